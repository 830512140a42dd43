/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What the kernel does not clean by itself when berm is killed (a cgroup, a placeholder directory)
 * is cleaned by a process that does nothing else: it waits for the end of a pipe whose other end
 * only the supervisor holds. One byte before the end says that all is clean already. */

/* PID 1 of the run dies a little after berm and holds the placeholders' locks until then. */
#define JANITOR_WAIT_MS 2000

static void janitor_wait(const struct launch *launch, int pipe_fd)
{
	ssize_t n;
	char clean;

	do
		n = read(pipe_fd, &clean, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return;
	cgroup_remove((struct launch *)(uintptr_t)launch);
	reserve_remove(launch, JANITOR_WAIT_MS);
}

static void close_but(const struct launch *launch, int pipe_fd)
{
	int keep[3] = {pipe_fd, launch->cgroup_fd, launch->cgroup_parent_fd};

	/* Also 0-2: whoever reads the tool's output must not wait for the janitor. */
	for (int fd = 0; fd < 1024; fd++) {
		bool kept = false;

		for (size_t i = 0; i < array_size(keep); i++)
			kept |= keep[i] == fd;
		for (size_t i = 0; i < launch->placeholder_count; i++)
			kept |= launch->placeholders[i].parent_fd == fd;
		if (!kept)
			close(fd);
	}
	close_range(1024, ~0U, 0);
}

int janitor_start(struct launch *launch, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (launch->cgroup_parent_fd < 0 && launch->placeholder_count == 0)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return error_errno(err, "fork the janitor");
	}
	if (pid == 0) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		setsid();
		prctl(PR_SET_NAME, "berm-janitor");
		close_but(launch, ends[0]);
		janitor_wait(launch, ends[0]);
		_exit(0);
	}
	close(ends[0]);
	launch->janitor_fd = ends[1];
	launch->janitor_pid = pid;
	return 0;
}

void janitor_dismiss(struct launch *launch)
{
	if (launch->janitor_fd < 0)
		return;
	(void)!write(launch->janitor_fd, "k", 1);
	own_close(&launch->janitor_fd);
	while (waitpid(launch->janitor_pid, NULL, 0) < 0 && errno == EINTR)
		;
}
