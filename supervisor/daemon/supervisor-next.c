/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-next.h"

#include "base/own.h"
#include "policy/trust.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define REPLACED " (deleted)" /* proc(5): behind the name of a program whose file is gone */
#define PROGRAM "berm "
#define LINE_MAX_BYTES 128
#define CODE_NOT_STARTED 127

int supervisor_next_open(struct error *err)
{
	char path[PATH_MAX];
	ssize_t length = readlink(SELF, path, sizeof(path) - 1);
	const size_t mark = strlen(REPLACED);

	if (length < 0)
		return error_errno(err, "read " SELF);
	path[length] = '\0';
	if ((size_t)length > mark && strcmp(path + length - mark, REPLACED) == 0)
		path[(size_t)length - mark] = '\0';
	return trust_program(path, geteuid(), err);
}

/* In the child. Whoever reads finds why it could not be started. */
static void __attribute__((noreturn)) be_the_program(int fd, int output, pid_t parent)
{
	const char *argv[] = {"berm", "--version", NULL};
	const struct rlimit no_core = {0, 0};
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	/* A group of its own, to be ended as one. */
	if (nothing < 0 || setpgid(0, 0) < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
		dup2(nothing, STDERR_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
		setrlimit(RLIMIT_CORE, &no_core) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(CODE_NOT_STARTED);
	execveat(fd, "", (char **)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	dprintf(STDOUT_FILENO, "%s", strerror(errno));
	_exit(CODE_NOT_STARTED);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* False where it lasts longer. */
static bool wait_for_end(int pidfd, unsigned limit_ms)
{
	const uint64_t until = now_ms() + limit_ms;
	struct pollfd polled = {.fd = pidfd, .events = POLLIN};
	uint64_t now;
	int r;

	do {
		now = now_ms();
		r = poll(&polled, 1, now < until ? (int)(until - now) : 0);
	} while (r < 0 && errno == EINTR);
	return r == 1;
}

/* It and what it has started end here in any case. */
static int end(pid_t pid)
{
	int status = 0;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static bool is_version_line(const char *text, size_t length)
{
	const size_t name = strlen(PROGRAM);

	return length > name + 1 && memcmp(text, PROGRAM, name) == 0 && text[name] >= '0' &&
	       text[name] <= '9' && memchr(text, '\n', length) == text + length - 1;
}

static int judge(int status, const char *text, size_t length, struct error *err)
{
	if (WIFSIGNALED(status))
		return error_set(err, -ENOEXEC, ERROR_REFUSED,
			"the program that is on disk now was killed by signal %d when it was asked "
			"for its --version",
			WTERMSIG(status));
	if (!WIFEXITED(status) || WEXITSTATUS(status) == CODE_NOT_STARTED)
		return error_set(err, -ENOEXEC, ERROR_REFUSED,
			"the program that is on disk now cannot be executed: %.*s", (int)length,
			text);
	if (WEXITSTATUS(status) != 0)
		return error_set(err, -ENOEXEC, ERROR_REFUSED,
			"the program that is on disk now ended with code %d when it was asked for "
			"its --version",
			WEXITSTATUS(status));
	if (!is_version_line(text, length))
		return error_set(err, -ENOEXEC, ERROR_REFUSED,
			"the program that is on disk now is no berm: it does not say \"berm "
			"VERSION\" when it is asked for its --version");
	return 0;
}

int supervisor_next_try(int fd, unsigned limit_ms, struct error *err)
{
	autoclose int input = -1, output = -1, pidfd = -1;
	char text[LINE_MAX_BYTES];
	pid_t parent = getpid(), pid;
	ssize_t length;
	bool in_time;
	int ends[2], status;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, "try the program that is on disk now");
	input = ends[0];
	output = ends[1];
	pid = fork();
	if (pid == 0)
		be_the_program(fd, output, parent);
	if (pid < 0)
		return error_errno(err, "try the program that is on disk now");
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	in_time = pidfd >= 0 && wait_for_end(pidfd, limit_ms);
	status = end(pid);
	if (!in_time)
		return error_set(err, -ETIMEDOUT, ERROR_REFUSED,
			"the program that is on disk now did not say its --version within %u ms",
			limit_ms);
	length = read(input, text, sizeof(text));
	return judge(status, text, length < 0 ? 0 : (size_t)length, err);
}
