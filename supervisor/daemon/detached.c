/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/detached.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_FD 3 /* closed by execve(2), or tells why that failed */
#define USUAL_PATH "PATH=/usr/local/bin:/usr/bin:/bin"

/* All that follows runs in processes of its own. */

static void default_signals(void)
{
	struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &normal, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int leave_descriptors(int input, int report)
{
	int null = open("/dev/null", O_RDWR);

	/* First out of the way of the numbers that they are to have. */
	report = fcntl(report, F_DUPFD, REPORT_FD + 1);
	input = fcntl(input < 0 ? null : input, F_DUPFD, REPORT_FD + 1);
	if (null < 0 || report < 0 || input < 0 || dup2(input, 0) < 0 || dup2(null, 1) < 0 ||
		dup2(null, 2) < 0 || dup3(report, REPORT_FD, O_CLOEXEC) < 0)
		return -1;
	return close_range(REPORT_FD + 1, ~0U, 0);
}

static void report(int error)
{
	(void)!write(REPORT_FD, &error, sizeof(error));
}

static void execute(char *const *argv)
{
	char path[] = USUAL_PATH;
	char *environment[] = {path, NULL};

	setsid();
	default_signals();
	execve(argv[0], argv, environment);
	report(errno);
	_exit(127);
}

/* Its group is the program's until it is waited for. */
static void watch(pid_t pid, unsigned limit_seconds)
{
	struct timespec limit = {.tv_sec = limit_seconds};
	siginfo_t info = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)!sigtimedwait(&set, NULL, &limit);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0)
		kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void stay(const struct detached *detached, int report_fd)
{
	sigset_t set;
	pid_t pid;

	prctl(PR_SET_NAME, "berm-starter");
	if (leave_descriptors(detached->input, report_fd) < 0 || chdir("/") < 0) {
		(void)!write(report_fd, &(int){EIO}, sizeof(int));
		_exit(1);
	}
	default_signals();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid = fork();
	if (pid == 0)
		execute(detached->argv);
	if (pid < 0) {
		report(errno);
		_exit(1);
	}
	close(REPORT_FD);
	watch(pid, detached->limit_seconds);
	_exit(0);
}

int detached_start(const struct detached *detached, struct error *err)
{
	autoclose int read_end = -1, write_end = -1;
	int ends[2], error = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "start %s", detached->argv[0]);
	read_end = ends[0];
	write_end = ends[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, "start %s", detached->argv[0]);
	if (pid == 0) {
		/* Twice, so that it is no child of ours. */
		setsid();
		pid = fork();
		if (pid == 0)
			stay(detached, write_end);
		if (pid < 0)
			(void)!write(write_end, &errno, sizeof(errno));
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	own_close(&write_end);
	do
		n = read(read_end, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(error))
		return error_set(
			err, -error, ERROR_INTERNAL, "%s: %s", detached->argv[0], strerror(error));
	return n == 0 ? 0 : error_errno(err, "start %s", detached->argv[0]);
}
