/* SPDX-License-Identifier: Apache-2.0 */
#include "record/anchor-command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define ARGUMENTS_MAX 64
#define CODE_STALE 3

struct child {
	pid_t pid;
	int pidfd;
	int output; /* -1: it goes to /dev/null */
	uint64_t deadline_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int failed(const struct anchor_command *c, int error, const char *what, struct error *err)
{
	return error_set(
		err, error, ERROR_INTERNAL, "the anchor's command %s %s", c->argv[0], what);
}

/* A pipe that holds the whole line already: the program may read it or not. */
static int make_input(const char *line, int *ret_read)
{
	size_t length = strlen(line);
	int ends[2], r = 0;

	if (length == 0) {
		*ret_read = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return *ret_read < 0 ? -errno : 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if (write(ends[1], line, length) != (ssize_t)length)
		r = -EIO;
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		*ret_read = ends[0];
	return r;
}

static int set_up(
	posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int input, int output)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes,
			POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);
	if (r == 0)
		r = output >= 0 ? posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO)
				: posix_spawn_file_actions_addopen(
					  actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawn_file_actions_addchdir_np(actions, "/");
	return r;
}

static int spawn(char *const *argv, int input, int output, pid_t *ret_pid)
{
	static char path[] = "PATH=/usr/bin:/bin";
	char *const environment[] = {path, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_up(&actions, &attributes, input, output);
		if (r == 0)
			r = posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

/* ARGV, the word, and what follows it; `line` on its input. Its output, where it is wanted, is
 * child->output. */
static int start(const struct anchor_command *c, const char *word, const char *operand,
	const char *line, struct child *child, struct error *err)
{
	char *argv[ARGUMENTS_MAX + 3];
	autoclose int input = -1, output = -1;
	int ends[2];
	size_t count = 0;

	while (c->argv[count] && count < ARGUMENTS_MAX) {
		argv[count] = c->argv[count];
		count++;
	}
	if (count == 0 || c->argv[count] || argv[0][0] != '/')
		return error_set(err, -EINVAL, ERROR_INPUT,
			"the anchor's command needs an absolute path and at most %d words",
			ARGUMENTS_MAX);
	argv[count++] = (char *)(uintptr_t)word;
	argv[count++] = (char *)(uintptr_t)operand;
	argv[count] = NULL;
	if (make_input(line, &input) < 0 || (operand && pipe2(ends, O_CLOEXEC) < 0))
		return failed(c, -EREMOTEIO, "got no pipe", err);
	child->output = operand ? ends[0] : -1;
	output = operand ? ends[1] : -1;
	child->deadline_ms = now_ms() + (c->timeout_ms ? c->timeout_ms : ANCHOR_COMMAND_MS);
	if (spawn(argv, input, output, &child->pid) != 0)
		return failed(c, -EREMOTEIO, "could not be started", err);
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	return 0;
}

/* Until it ends or its time is up: what it writes, as far as there is room. -EBADMSG where it
 * writes more than that. */
static int listen_to(struct child *child, char *text, size_t room, size_t *ret_length)
{
	size_t length = 0;
	bool ended = false;

	while (!ended || child->output >= 0) {
		uint64_t now = now_ms();
		struct pollfd polled[2] = {{.fd = ended ? -1 : child->pidfd, .events = POLLIN},
			{.fd = child->output, .events = POLLIN}};
		int left = now < child->deadline_ms ? (int)(child->deadline_ms - now) : 0;
		/* What it left running may hold its output: that is not waited for. */
		int n = poll(polled, 2, ended ? 0 : left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && !ended)
			return -ETIMEDOUT;
		if (n == 0)
			break;
		if (polled[1].revents) {
			ssize_t got = read(child->output, text + length, room - length);

			if (got > 0 && length + (size_t)got == room)
				return -EBADMSG;
			length += got > 0 ? (size_t)got : 0;
			if (got == 0 || (got < 0 && errno != EINTR))
				own_close(&child->output);
		}
		ended = ended || polled[0].revents;
	}
	*ret_length = length;
	return 0;
}

/* Take its exit code. */
static int finish(struct child *child, bool kill_it, int *ret_status)
{
	pid_t pid;

	if (kill_it)
		kill(-child->pid, SIGKILL);
	do
		pid = waitpid(child->pid, ret_status, 0);
	while (pid < 0 && errno == EINTR);
	return pid < 0 ? -errno : 0;
}

static int run(const struct anchor_command *c, const char *word, const char *operand, char *text,
	size_t *text_length, struct error *err)
{
	struct child child = {.pidfd = -1, .output = -1};
	size_t room = *text_length;
	int status = 0, error = start(c, word, operand, text, &child, err), r;

	*text_length = 0;
	if (error < 0) {
		own_close(&child.output);
		return error;
	}
	r = child.pidfd < 0 ? -errno : listen_to(&child, text, room, text_length);
	error = finish(&child, r < 0, &status);
	own_close(&child.pidfd);
	own_close(&child.output);
	if (r == -ETIMEDOUT)
		return failed(c, r, "did not end in time", err);
	if (r == -EBADMSG)
		return failed(c, r, "wrote more than a line", err);
	if (r < 0 || error < 0 || !WIFEXITED(status))
		return failed(c, -EREMOTEIO, "did not end by itself", err);
	if (WEXITSTATUS(status) == CODE_STALE && !operand)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"the anchor's command %s knows a later head, or another one", c->argv[0]);
	if (WEXITSTATUS(status) != 0)
		return error_set(err, -EREMOTEIO, ERROR_INTERNAL,
			"the anchor's command %s ended with code %d", c->argv[0],
			WEXITSTATUS(status));
	return 0;
}

static int command_publish(void *context, const struct log_head *head, struct error *err)
{
	char line[LOG_LINE_BYTES];
	size_t length = 0;

	log_head_format(head, line);
	return run(context, "publish", NULL, line, &length, err);
}

static int command_latest(void *context, const uint8_t log_id[LOG_ID_BYTES],
	struct log_head *ret_head, struct error *err)
{
	const struct anchor_command *c = context;
	char line[LOG_LINE_BYTES] = "", id[LOG_ID_BYTES * 2 + 1];
	size_t length = sizeof(line);
	struct log_head head;
	int r;

	sodium_bin2hex(id, sizeof(id), log_id, LOG_ID_BYTES);
	r = run(c, "latest", id, line, &length, err);
	if (r < 0)
		return r;
	if (length == 0)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND,
			"the anchor's command %s knows no head of this log", c->argv[0]);
	if (log_head_parse(line, length, &head, err) < 0)
		return failed(c, -EBADMSG, "wrote no head", err);
	if (memcmp(head.log_id, log_id, LOG_ID_BYTES) != 0)
		return failed(c, -EBADMSG, "wrote the head of another log", err);
	*ret_head = head;
	return 0;
}

struct anchor anchor_command(struct anchor_command *command)
{
	return (struct anchor){
		.publish = command_publish, .latest = command_latest, .context = command};
}
