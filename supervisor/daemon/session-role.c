/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/session-role.h"

#include "apply/caller.h"
#include "base/log.h"
#include "daemon/perform.h"
#include "daemon/planner.h"
#include "daemon/role.h"
#include "daemon/supervisor-peer.h"
#include "daemon/supervisor-wire.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define ANSWER_SECONDS 5 /* that a client may take */
#define TAKE_SECONDS 10  /* that taking the request may */
#define DESCRIPTORS_USUAL 1024

/* ---- what it is to do ---- */

/* Nobody but the supervisor gives orders: with a set-user-ID berm anybody could. */
static bool is_supervisors(int fd)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       peer.uid == geteuid() && getuid() == geteuid();
}

static int take_order(int fd, Berm__Wire__SuperviseOrder **ret_order, int *ret_client_fd)
{
	autofree uint8_t *bytes = malloc(SUPERVISE_ORDER_MAX);
	struct supervisor_packet packet = {0};
	struct error err = {0};
	int r = bytes ? supervisor_packet_receive(fd, bytes, SUPERVISE_ORDER_MAX, &packet)
		      : -ENOMEM;

	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	r = packet.count == 1 ? supervise_order_read(bytes, packet.length, ret_order, &err)
			      : -EPROTO;
	if (r == 0)
		*ret_client_fd = take_fd(&packet.fds[0]);
	supervisor_packet_finish(&packet);
	return r;
}

/* What the supervisor has for itself. */
static void settle(const Berm__Wire__SuperviseOrder *order)
{
	struct rlimit limit;

	umask(022);
	prctl(PR_SET_NAME, "berm-session");
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > DESCRIPTORS_USUAL) {
		limit.rlim_cur = DESCRIPTORS_USUAL;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i < order->n_environment; i++)
		putenv(order->environment[i]);
	caller_assume(order->uid, order->gid, order->login_uid);
}

/* From here to the process's end, so that none of them ends it before it has answered: those that
 * it sends to itself for its client, and that of a reader who went away. The tool has them as they
 * should be. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	for (const int *number = supervise_signals; *number; number++)
		sigaddset(&set, *number);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* ---- what its client wants ---- */

static int check_descriptors(const struct supervisor_packet *packet, struct error *err)
{
	static const char *const names[SUPERVISE_STDIO] = {"stdin", "stdout", "stderr"};

	if (packet->count != SUPERVISE_DESCRIPTORS)
		return error_set(err, -EPROTO, ERROR_INPUT,
			"with that request come %d descriptors, not %u", SUPERVISE_DESCRIPTORS,
			packet->count);
	for (unsigned i = 0; i < SUPERVISE_STDIO; i++)
		if (!supervisor_stdio_is_plain(packet->fds[i], i == 0))
			return error_set(err, -EPERM, ERROR_REFUSED,
				"%s is no pipe, terminal or null device that is open for the tool",
				names[i]);
	if (!supervisor_is_pipe(packet->fds[SUPERVISE_SIGNALS]))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"signals come through no pipe that is open for reading");
	return 0;
}

/* Another way to the same, of this process alone: how the client's own blocks is the client's to
 * say. -errno. */
static int open_again(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* The standard streams become this process's, for the tool. What is said goes to the same stderr,
 * and never waits there; where nobody reads it, nowhere. */
static int take_descriptors(
	const struct supervisor_packet *packet, int *ret_signals_fd, struct error *err)
{
	int r = open_again(packet->fds[SUPERVISE_SIGNALS], O_RDONLY);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "the pipe of signals: %s", strerror(-r));
	*ret_signals_fd = r;
	for (int i = 0; i < SUPERVISE_STDIO; i++)
		if (dup2(packet->fds[i], i) < 0)
			return error_errno(err, "the tool's standard streams");
	log_to(open_again(STDERR_FILENO, O_WRONLY));
	return 0;
}

static int take_request(
	int fd, Berm__Wire__SuperviseRequest **ret_request, int *ret_signals_fd, struct error *err)
{
	autofree uint8_t *bytes = malloc(SUPERVISE_REQUEST_MAX);
	struct supervisor_packet packet = {0};
	int r = bytes ? supervisor_packet_receive(fd, bytes, SUPERVISE_REQUEST_MAX, &packet)
		      : -ENOMEM;

	if (r <= 0)
		return error_set(err, r < 0 ? r : -EPIPE, ERROR_INPUT, "this is no request");
	r = supervise_request_read(bytes, packet.length, ret_request, err);
	if (r == 0 && !(*ret_request)->run)
		r = error_set(err, -EPROTO, ERROR_INPUT, "this is no request for a run");
	if (r == 0)
		r = check_descriptors(&packet, err);
	if (r == 0)
		r = take_descriptors(&packet, ret_signals_fd, err);
	supervisor_packet_finish(&packet);
	return r;
}

/* ---- what it answers ---- */

static ProtobufCBinaryData bytes_of(const struct text *text)
{
	return (ProtobufCBinaryData){.len = text->length, .data = (uint8_t *)text->data};
}

/* A record that is too long for a packet is left out, and that is said. */
static size_t pack_end(const struct performance *performance, uint8_t **ret_packet)
{
	char too_long[] = "the run's record is too long to be sent; berm log has it";
	Berm__Wire__SuperviseReply reply;
	Berm__Wire__SuperviseEnd end;
	size_t length;

	berm__wire__supervise_reply__init(&reply);
	berm__wire__supervise_end__init(&end);
	reply.version = SUPERVISE_VERSION;
	reply.end = &end;
	end.code = (uint32_t)performance->code & 0xff;
	end.reason = (char *)(uintptr_t)performance->reason;
	end.diagnostics = bytes_of(&performance->diagnostics);
	end.footer = bytes_of(&performance->footer);
	end.record = bytes_of(&performance->record);
	length = supervise_pack(&reply.base, SUPERVISE_REPLY_MAX, ret_packet);
	if (length)
		return length;
	end.diagnostics = end.footer = end.record = (ProtobufCBinaryData){0};
	end.reason = too_long;
	return supervise_pack(&reply.base, SUPERVISE_REPLY_MAX, ret_packet);
}

static void tell(int fd, const uint8_t *packet, size_t length)
{
	const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	int flags = fcntl(fd, F_GETFL);

	if (length && flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0)
		(void)!send(fd, packet, length, MSG_NOSIGNAL);
}

static void tell_end(int fd, const struct performance *performance)
{
	autofree uint8_t *packet = NULL;
	size_t length = pack_end(performance, &packet);

	tell(fd, packet, length);
}

static void tell_begun(int fd)
{
	Berm__Wire__SuperviseReply reply;
	autofree uint8_t *packet = NULL;
	size_t length;

	berm__wire__supervise_reply__init(&reply);
	reply.version = SUPERVISE_VERSION;
	reply.begun = true;
	length = supervise_pack(&reply.base, SUPERVISE_REPLY_MAX, &packet);
	tell(fd, packet, length);
}

static void tell_refused(int fd, const struct error *why)
{
	Berm__Wire__SuperviseReply reply;
	autofree uint8_t *packet = NULL;
	size_t length;

	berm__wire__supervise_reply__init(&reply);
	reply.version = SUPERVISE_VERSION;
	reply.error = why->code < 0 ? -why->code : EIO;
	reply.reason = (char *)(uintptr_t)why->text;
	length = supervise_pack(&reply.base, SUPERVISE_REPLY_MAX, &packet);
	tell(fd, packet, length);
}

static void tell_supervisor(bool refused)
{
	const char word = SESSION_REFUSED;

	if (refused)
		(void)!send(ROLE_FD, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- the role ---- */

static bool do_run(const Berm__Wire__SuperviseOrder *order, const Berm__Wire__SuperviseRun *run,
	const char *state, int client_fd, int signals_fd)
{
	const struct session_client client = {.signals_fd = signals_fd, .pid = (pid_t)order->pid};
	autoperformance struct performance performance = {0};
	autofree const char **command = calloc(run->n_argv + 1, sizeof(*command));

	if (!command)
		return false;
	memcpy(command, run->argv, run->n_argv * sizeof(*command));
	tell_begun(client_fd);
	perform(&(struct session_request){.agent = run->agent,
			.task = run->task[0] ? run->task : NULL,
			.argv = command,
			.state_dir = state,
			.timeout_ms = run->timeout_ms,
			.trace_denials = run->trace_denials,
			.client = &client,
			.record = true},
		&(struct performance_wanted){
			.record = run->want_record, .footer = run->want_footer},
		&performance);
	/* First, so that who is refused cannot ask again before it is counted. */
	tell_supervisor(performance.was_refused);
	tell_end(client_fd, &performance);
	return true;
}

int session_role(int argc, char **argv)
{
	Berm__Wire__SuperviseRequest *request = NULL;
	Berm__Wire__SuperviseOrder *order = NULL;
	int client_fd = -1, signals_fd = -1;
	struct error err = {0};

	if (argc != 3 || fcntl(ROLE_FD, F_SETFD, FD_CLOEXEC) < 0 || !is_supervisors(ROLE_FD) ||
		take_order(ROLE_FD, &order, &client_fd) < 0)
		return 2; /* somebody typed it, or the supervisor is gone */
	settle(order);
	hold_signals();
	planners_use();
	/* What else came with the request is closed: that may wait for whoever sent it. */
	alarm(TAKE_SECONDS);
	if (take_request(client_fd, &request, &signals_fd, &err) < 0 || !request) {
		tell_supervisor(true);
		tell_refused(client_fd, &err);
		return 1;
	}
	alarm(0);
	/* The environment points into the order, and the connection is closed by the end of the
	 * process, which waits for nothing in its queue. */
	return do_run(order, request->run, argv[2], client_fd, signals_fd) ? 0 : 1;
}
