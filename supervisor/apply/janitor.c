/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/memory.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What the kernel does not clean by itself when berm is killed (a cgroup, a placeholder directory)
 * is cleaned by a process that does nothing else: it waits for the end of a pipe whose other end
 * only the supervisor holds. One byte before the end says that all is clean already. */

/* PID 1 of the run dies a little after berm and holds the placeholders' locks until then. */
#define JANITOR_WAIT_MS 2000
/* Names that a profile protects before they exist; each holds a descriptor. */
#define JANITOR_PLACEHOLDERS_MAX 256

static void janitor_wait(const struct launch *launch, int pipe_fd)
{
	struct pollfd end = {.fd = pipe_fd, .events = POLLIN};
	ssize_t n;
	char clean;

	if (poll(&end, 1, MEMORY_IDLE_MS) == 0)
		memory_release_program();
	do
		n = read(pipe_fd, &clean, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return;
	cgroup_remove((struct launch *)(uintptr_t)launch);
	reserve_remove(launch, JANITOR_WAIT_MS);
}

static int compare_descriptors(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything but what cleaning needs; also 0-2, since whoever reads the tool's output must not wait
 * for the janitor. */
static void close_but(const struct launch *launch, int pipe_fd)
{
	int keep[2 + JANITOR_PLACEHOLDERS_MAX];
	size_t count = 0;
	unsigned next = 0;

	keep[count++] = pipe_fd;
	if (launch->cgroup_parent_fd >= 0)
		keep[count++] = launch->cgroup_parent_fd;
	for (size_t i = 0; i < launch->placeholder_count; i++)
		keep[count++] = launch->placeholders[i].parent_fd;
	qsort(keep, count, sizeof(keep[0]), compare_descriptors);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)keep[i] > next)
			close_range(next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	close_range(next, ~0U, 0);
}

int janitor_start(struct launch *launch, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (launch->placeholder_count > JANITOR_PLACEHOLDERS_MAX)
		return error_set(err, -E2BIG, ERROR_INPUT,
			"more than %d protected names that do not exist yet",
			JANITOR_PLACEHOLDERS_MAX);
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
