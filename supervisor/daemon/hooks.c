/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hooks.h"

#include "policy/trust.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define CODE_DENY 2
#define CODE_NOT_STARTED 127
#define POLLED_MAX (HOOKS_MAX * HOOK_FDS)

uint64_t hook_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void fail(struct hook *hook, int code, const char *what)
{
	hook->over = hook->failed = true;
	error_set(&hook->error, code, ERROR_INTERNAL, "%s %s", hook->argc ? hook->argv[0] : "it",
		what);
}

/* A file of its own: how far it reads is nobody else's matter, and nobody waits for it. */
static int make_input(const struct hook *hook)
{
	autoclose int fd = memfd_create("berm-question", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, hook->input, hook->input_length) != (ssize_t)hook->input_length ||
		lseek(fd, 0, SEEK_SET) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
			0)
		return -EIO;
	return take_fd(&fd);
}

/* Whoever can write to the program, or can lay another one in its place, is who judges. Nobody else
 * can do either between this and its start. */
static bool is_trusted(const struct hook *hook)
{
	struct error ignored = {0};
	struct stat st;

	if (trust_way(hook->argv[0], geteuid() == 0 ? hook->uid : geteuid(), &ignored) < 0)
		return false;

	if (stat(hook->argv[0], &st) < 0 || !S_ISREG(st.st_mode) || st.st_mode & 022)
		return false;
	return st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == hook->uid;
}

/* ---- in the child: only what may be called after fork(2) ---- */

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) == 0;
}

static bool become(const struct hook *hook)
{
	if (geteuid() == 0 &&
		(setgroups(0, NULL) < 0 || setresgid(hook->gid, hook->gid, hook->gid) < 0))
		return errno == EPERM && hook->uid == geteuid() && drop_capabilities();
	/* The bounding set goes while there is the right to do so. */
	if (hook->uid == geteuid())
		return drop_capabilities();
	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break;
	return setresuid(hook->uid, hook->uid, hook->uid) == 0 && drop_capabilities();
}

static void be_the_program(const struct hook *hook, char *const *argv, int input, int output,
	pid_t parent) __attribute__((noreturn));

static void be_the_program(
	const struct hook *hook, char *const *argv, int input, int output, pid_t parent)
{
	static char path[] = "PATH=/usr/bin:/bin";
	char *const environment[] = {path, NULL};
	const struct rlimit no_core = {0, 0};
	sigset_t none;

	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* No terminal either: what asks there asks in berm's name. */
	if (setsid() < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
		syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) < 0 || chdir("/") < 0 ||
		setrlimit(RLIMIT_CORE, &no_core) < 0 || !become(hook) ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(CODE_NOT_STARTED);
	umask(077);
	execve(argv[0], argv, environment);
	_exit(CODE_NOT_STARTED);
}

/* ---- */

static int launch(struct hook *hook, int input)
{
	char *argv[HOOK_ARGUMENTS_MAX + 1] = {0};
	autoclose int write_end = -1;
	pid_t parent = getpid();
	int ends[2];

	memcpy(argv, hook->argv, hook->argc * sizeof(*argv));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	hook->output = ends[0];
	write_end = ends[1];
	hook->pid = fork();
	if (hook->pid == 0)
		be_the_program(hook, argv, input, write_end, parent);
	if (hook->pid < 0)
		return -errno;
	hook->pidfd = (int)syscall(SYS_pidfd_open, hook->pid, 0);
	return hook->pidfd < 0 ? -errno : 0;
}

void hook_start(struct hook *hook)
{
	autoclose int input = -1;

	hook->pid = -1;
	hook->pidfd = hook->output = -1;
	hook->length = 0;
	hook->over = hook->failed = false;
	hook->deadline_ms = hook_clock_ms() + hook->timeout_ms;
	if (hook->argc == 0 || hook->argc > HOOK_ARGUMENTS_MAX || hook->argv[0][0] != '/')
		return fail(hook, -EINVAL, "is no command with an absolute path");
	if (!is_trusted(hook))
		return fail(hook, -EPERM,
			"is not there, or not a file that its owner (root, or who starts the run) "
			"alone can write, in directories of such owners alone");
	input = make_input(hook);
	if (input < 0 || launch(hook, input) < 0)
		fail(hook, -EREMOTEIO, "could not be started");
}

void hook_fds(const struct hook *hook, int fds[HOOK_FDS])
{
	fds[0] = hook->over ? -1 : hook->pidfd;
	fds[1] = hook->over ? -1 : hook->output;
}

static void read_output(struct hook *hook)
{
	while (hook->output >= 0) {
		struct pollfd polled = {.fd = hook->output, .events = POLLIN};
		ssize_t n;

		if (poll(&polled, 1, 0) != 1)
			return;
		n = read(
			hook->output, hook->text + hook->length, sizeof(hook->text) - hook->length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			own_close(&hook->output);
			return;
		}
		hook->length += (size_t)n;
		if (hook->length == sizeof(hook->text))
			return fail(hook, -EBADMSG, "wrote too much");
	}
}

static void judge(struct hook *hook, int status)
{
	struct error why = {0};

	hook->over = true;
	if (!WIFEXITED(status))
		return fail(hook, -EREMOTEIO, "did not end by itself");
	if (WEXITSTATUS(status) == CODE_DENY) {
		/* Words are welcome here, and no duty. */
		if (answer_read(hook->text, hook->length, &hook->answer, &why) < 0)
			hook->answer = (struct answer){0};
		hook->answer.verdict = VERDICT_DENY;
		return;
	}
	if (WEXITSTATUS(status) == CODE_NOT_STARTED)
		return fail(hook, -EREMOTEIO, "could not be started (exit code 127)");
	if (WEXITSTATUS(status) != 0)
		return fail(hook, -EREMOTEIO, "ended with a code that is neither 0 nor 2");
	if (answer_read(hook->text, hook->length, &hook->answer, &why) < 0) {
		fail(hook, why.code, "gave no answer:");
		error_wrap(&why, "%s", hook->error.text);
		hook->error = why;
	}
}

/* Its number is its own, and its group's, for as long as nobody has reaped it. */
static bool has_ended(const struct hook *hook)
{
	siginfo_t info = {0};

	while (waitid(P_PID, (id_t)hook->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		if (errno != EINTR)
			return false;
	return info.si_pid == hook->pid;
}

static int reap(struct hook *hook)
{
	int status = 0;
	pid_t pid;

	kill(-hook->pid, SIGKILL);
	do
		pid = waitpid(hook->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	hook->pid = -1;
	return pid < 0 ? -errno : status;
}

void hook_handle(struct hook *hook, uint64_t now_ms)
{
	if (hook->over)
		return;
	/* Too late is too late, also for an answer that is there. */
	if (now_ms >= hook->deadline_ms)
		return fail(hook, -ETIMEDOUT, "did not answer in time");
	if (has_ended(hook)) {
		int status;

		/* What it left running may hold its output: what is there counts. */
		read_output(hook);
		status = reap(hook);
		if (!hook->over && status < 0)
			return fail(hook, -EREMOTEIO, "ended unseen");
		if (!hook->over)
			judge(hook, status);
		return;
	}
	read_output(hook);
}

void hook_finish(struct hook *hook)
{
	if (hook->pid > 0) {
		kill(hook->pid, SIGKILL); /* it may not have its group yet */
		(void)reap(hook);
	}
	own_close(&hook->pidfd);
	own_close(&hook->output);
}

/* False where all are over, or somebody wants it to end. */
static bool wait_for_any(struct hook *hooks, size_t count, const struct hooks_stop *stop)
{
	struct pollfd polled[1 + POLLED_MAX] = {{.fd = stop->fd, .events = POLLIN}};
	uint64_t now = hook_clock_ms(), until = UINT64_MAX;
	nfds_t n = 1;

	for (size_t i = 0; i < count; i++) {
		int fds[HOOK_FDS];

		if (hooks[i].over)
			continue;
		hook_fds(&hooks[i], fds);
		until = hooks[i].deadline_ms < until ? hooks[i].deadline_ms : until;
		for (unsigned k = 0; k < HOOK_FDS && n <= POLLED_MAX; k++)
			polled[n++] = (struct pollfd){.fd = fds[k], .events = POLLIN};
	}
	if (n == 1)
		return false;
	poll(polled, n, until <= now ? 0 : until - now > 60000 ? 60000 : (int)(until - now));
	return !(polled[0].revents & POLLIN) || !stop->is_meant(stop->context);
}

void hooks_run(struct hook *hooks, size_t count, const struct hooks_stop *stop)
{
	for (size_t i = 0; i < count; i++)
		hook_start(&hooks[i]);
	while (wait_for_any(hooks, count, stop))
		for (size_t i = 0; i < count; i++)
			hook_handle(&hooks[i], hook_clock_ms());
	for (size_t i = 0; i < count; i++) {
		if (!hooks[i].over)
			fail(&hooks[i], -EINTR, "was ended with who asked it");
		hook_finish(&hooks[i]);
	}
}
