/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-role.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SELF "/proc/self/exe"

/* Nothing of the one who started it: not its descriptors, whose readers wait for an end of file;
 * not its directory, environment or signals. */
static void become_recorder(const char *state, int fd)
{
	char role[] = RECORDER_ROLE, name[] = "berm", *path = (char *)(uintptr_t)state;
	char *argv[] = {name, role, path, NULL}, *environment[] = {NULL};
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;
	int null;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* First out of the way of the numbers that it and 0-2 are to have. */
	fd = fcntl(fd, F_DUPFD, RECORDER_FIRST_FD + 1);
	null = open("/dev/null", O_RDWR);
	if (fd < 0 || null < 0 || chdir("/") < 0)
		return;
	for (int number = 0; number < 3; number++)
		if (dup2(null, number) < 0)
			return;
	if (dup2(fd, RECORDER_FIRST_FD) < 0 || close_range(RECORDER_FIRST_FD + 1, ~0U, 0) < 0)
		return;
	execve(SELF, argv, environment);
}

int recorder_launch(const char *state, struct error *err)
{
	autoclose int ours = -1, theirs = -1;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_errno(err, "a socket for the recorder");
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, "start the recorder");
	if (pid == 0) {
		/* Twice, so that it is no child of ours, and leads no session that a terminal
		 * could belong to. */
		setsid();
		if (fork() == 0) {
			become_recorder(state, theirs);
			_exit(127);
		}
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return take_fd(&ours);
}
