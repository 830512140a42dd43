/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/starter.h"

#include "daemon/anchor-role.h"
#include "record/anchor-command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define STARTER_FD 3
#define ANSWER_MS (2 * ANCHOR_COMMAND_MS)

typedef void (*serve_fn)(const void *context);

/* Nothing stays open but the socket: a lock of the role's must not outlive it. */
static void become(int fd, serve_fn serve, const void *context)
{
	prctl(PR_SET_NAME, "berm-starter");
	if (fd != STARTER_FD && dup3(fd, STARTER_FD, O_CLOEXEC) < 0)
		_exit(1);
	if (close_range(STARTER_FD + 1, ~0U, 0) == 0)
		serve(context);
	_exit(0);
}

static int start(serve_fn serve, const void *context, struct error *err)
{
	autoclose int ours = -1, theirs = -1;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, "a socket for the starter of commands");
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid == 0)
		become(theirs, serve, context);
	return pid < 0 ? error_errno(err, "start the starter of commands") : take_fd(&ours);
}

/* ---- the programs of sinks ---- */

struct programs {
	struct sink *const *sinks;
	int count;
};

/* Nothing of this process: no descriptors, no environment, no group of its terminal. */
static void become_program(char *const *command, int input)
{
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = {path, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	if (null < 0 || chdir("/") < 0 || dup2(input, 0) < 0 || dup2(null, 1) < 0 ||
		dup2(null, 2) < 0 || close_range(3, ~0U, 0) < 0)
		_exit(127);
	execve(command[0], command, environment);
	_exit(127);
}

static void serve_sinks(const void *context)
{
	const struct programs *programs = context;

	signal(SIGCHLD, SIG_IGN); /* nobody asks how they ended */
	for (;;) {
		autoclose int input = -1;
		uint32_t number;
		int r = sink_order_receive(STARTER_FD, &number, &input);
		char *const *command = r == 0 && number < (uint32_t)programs->count
					       ? sink_command(programs->sinks[number])
					       : NULL;

		if (r < 0)
			return;
		if (command && input >= 0 && fork() == 0)
			become_program(command, input);
	}
}

int starter_for_sinks(struct sink *const *sinks, int count, int *ret_fd, struct error *err)
{
	const struct programs programs = {sinks, count};
	int commands = 0, fd;

	*ret_fd = -1;
	for (int i = 0; i < count; i++)
		commands += sink_command(sinks[i]) != NULL;
	if (commands == 0)
		return 0;
	fd = start(serve_sinks, &programs, err);
	if (fd < 0)
		return fd;
	for (int i = 0; i < count; i++)
		sink_set_starter(sinks[i], fd, (uint32_t)i);
	*ret_fd = fd;
	return 0;
}

/* ---- the anchor's command ---- */

static void serve_anchor(const void *context)
{
	struct anchor_command command = {.argv = (char *const *)(uintptr_t)context};
	struct anchor anchor = anchor_command(&command);
	struct anchor_request request;

	while (recv(STARTER_FD, &request, sizeof(request), MSG_TRUNC) == sizeof(request)) {
		struct anchor_reply reply;
		struct error err = {0};

		memset(&reply, 0, sizeof(reply));
		reply.verb = request.verb;
		if (request.verb == ANCHOR_PUBLISH)
			reply.code = anchor.publish(anchor.context, &request.head, &err);
		else if (request.verb == ANCHOR_LATEST)
			reply.code = anchor.latest(
				anchor.context, request.head.log_id, &reply.head, &err);
		else
			return;
		snprintf(reply.text, sizeof(reply.text), "%s", err.text);
		if (send(STARTER_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
			return;
	}
}

int starter_for_anchor(char *const *command, struct error *err)
{
	return start(serve_anchor, command, err);
}

static int ask(struct starter_anchor *a, const struct anchor_request *request,
	struct anchor_reply *ret_reply, struct error *err)
{
	struct pollfd polled = {.fd = a->fd, .events = POLLIN};

	/* An answer that comes later would be taken for that of the next question. */
	a->gone = a->gone ||
		  send(a->fd, request, sizeof(*request), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ||
		  poll(&polled, 1, ANSWER_MS) != 1 ||
		  recv(a->fd, ret_reply, sizeof(*ret_reply), MSG_DONTWAIT | MSG_TRUNC) !=
			  sizeof(*ret_reply) ||
		  ret_reply->verb != request->verb;
	if (a->gone)
		return error_set(err, -EPIPE, ERROR_INTERNAL,
			"the process that starts the anchor's command has ended");
	if (ret_reply->code)
		return error_set(err, ret_reply->code, ERROR_INTERNAL, "%.*s",
			(int)sizeof(ret_reply->text) - 1, ret_reply->text);
	return 0;
}

static int publish(void *context, const struct log_head *head, struct error *err)
{
	struct anchor_request request;
	struct anchor_reply reply;

	memset(&request, 0, sizeof(request));
	request.verb = ANCHOR_PUBLISH;
	request.head = *head;
	return ask(context, &request, &reply, err);
}

static int latest(void *context, const uint8_t log_id[LOG_ID_BYTES], struct log_head *ret_head,
	struct error *err)
{
	struct anchor_request request;
	struct anchor_reply reply;
	int r;

	memset(&request, 0, sizeof(request));
	request.verb = ANCHOR_LATEST;
	memcpy(request.head.log_id, log_id, LOG_ID_BYTES);
	r = ask(context, &request, &reply, err);
	if (r == 0)
		*ret_head = reply.head;
	return r;
}

struct anchor starter_anchor(struct starter_anchor *anchor)
{
	return (struct anchor){.publish = publish, .latest = latest, .context = anchor};
}
