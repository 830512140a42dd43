/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-client.h"

#include "apply/caller.h"
#include "daemon/agents.h"
#include "daemon/places.h"
#include "daemon/supervisor-peer.h"
#include "daemon/supervisor-place.h"
#include "daemon/supervisor-pump.h"
#include "daemon/supervisor-wire.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#define STATUS_SECONDS 5
#define BEGIN_MS 60000 /* that a session may take to be there, on a host that is busy */
#define DEAF_MS 2000   /* a signal that lies unread so long: the session does not answer */
#define AGAIN_MS 5000  /* that a supervisor may be away that was there */
#define AGAIN_STEP_MS 50
#define AGAIN_TRIES 6 /* each twice as long after the one before: 3 s in all */

bool supervisor_is_asked(const char *agent)
{
	const struct places_request wanted = {0};
	autofree char *path = NULL;
	struct error ignored = {0};
	struct places places = {0};
	struct caller caller;
	struct stat st;
	bool own;

	if (stat(SUPERVISOR_SOCKET_OF_HOST, &st) < 0 || !S_ISSOCK(st.st_mode) || geteuid() == 0)
		return false;
	caller_identify(&caller);
	if (places_find(&caller, &wanted, &places, &ignored) < 0)
		return true;
	own = places.state && !strchr(agent, '/') &&
	      asprintf(&path, "%s/" AGENTS_DIR "/%s", places.state, agent) >= 0 &&
	      lstat(path, &st) == 0;
	places_finish(&places);
	return !own;
}

/* ---- one request ---- */

static int send_request(int fd, Berm__Wire__SuperviseType type, Berm__Wire__SuperviseRun *run,
	const int *fds, struct error *err)
{
	Berm__Wire__SuperviseRequest request;
	autofree uint8_t *packet = NULL;
	size_t length;
	int r;

	berm__wire__supervise_request__init(&request);
	request.version = SUPERVISE_VERSION;
	request.type = type;
	request.run = run;
	length = supervise_pack(&request.base, SUPERVISE_REQUEST_MAX, &packet);
	if (!length)
		return error_set(err, -E2BIG, ERROR_INPUT,
			"a command line of more than %d bytes is not sent to a supervisor",
			SUPERVISE_REQUEST_MAX);
	r = supervisor_packet_send(fd, packet, length, fds, fds ? SUPERVISE_DESCRIPTORS : 0);
	/* A supervisor that refuses the peer has closed its end already; its reason is there. */
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return error_set(err, r, ERROR_INTERNAL, "ask the supervisor: %s", strerror(-r));
	return 0;
}

static int read_answer(
	int fd, uint8_t *packet, Berm__Wire__SuperviseReply **ret_reply, struct error *err)
{
	Berm__Wire__SuperviseReply *reply = NULL;
	ssize_t n = recv(fd, packet, SUPERVISE_REPLY_MAX, 0);
	int r;

	/* Closed with our question unread: said once, before what was sent to us (af_unix.c). */
	if (n < 0 && errno == ECONNRESET)
		n = recv(fd, packet, SUPERVISE_REPLY_MAX, 0);
	if (n < 0)
		return error_errno(err, "read the supervisor's answer");
	if (n == 0)
		return error_set(err, -EPIPE, ERROR_INTERNAL,
			"the supervisor, or the session of the run, is gone without a word");
	r = supervise_reply_read(packet, (size_t)n, &reply, err);
	if (r < 0 || !reply)
		return r;
	if (reply->error) {
		r = error_set(err, -reply->error,
			reply->error == EPROTO ? ERROR_INPUT : ERROR_REFUSED, "%s", reply->reason);
		berm__wire__supervise_reply__free_unpacked(reply, NULL);
		return r;
	}
	*ret_reply = reply;
	return 0;
}

int supervisor_status(const char *socket, Berm__Wire__SuperviseReply **ret_reply, struct error *err)
{
	const struct timeval patience = {.tv_sec = STATUS_SECONDS};
	autoclose int fd = supervisor_connect(socket, err);
	autofree uint8_t *packet = malloc(SUPERVISE_REPLY_MAX);
	int r;

	if (fd < 0)
		return fd;
	if (!packet || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "ask the supervisor");
	r = send_request(fd, BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_STATUS, NULL, NULL, err);
	if (r == 0)
		r = read_answer(fd, packet, ret_reply, err);
	if (r == 0 && !(*ret_reply)->status) {
		berm__wire__supervise_reply__free_unpacked(*ret_reply, NULL);
		*ret_reply = NULL;
		return error_set(err, -EPROTO, ERROR_INTERNAL, "the supervisor's answer is none");
	}
	return r;
}

/* ---- a run ---- */

/* A run that others do, from here. Zero is no valid state. */
struct asked {
	const char *socket;
	int fd;         /* owned: the connection */
	int signal_fd;  /* owned */
	int signals_fd; /* owned: the pipe through which signals go on */
	/* Owned, until a session has them: what lies in them is not lost with the supervisor. */
	int fds[SUPERVISE_DESCRIPTORS];
	struct pumps pumps;
	bool begun;        /* a session has taken it */
	uint64_t since_ms; /* the oldest signal that lies in the pipe was sent then, or later */
	uint64_t until_ms; /* a session should be there */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool ends_programs(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

/* As if nothing had been in its way. */
static void end_by(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	kill(getpid(), number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Nobody takes what we say: a supervisor or a session that is stopped must not make this process
 * one that cannot be ended. */
static bool is_deaf(struct asked *asked)
{
	int unread = 0;

	if (!asked->begun)
		return true;
	if (ioctl(asked->signals_fd, FIONREAD, &unread) < 0 || unread == 0)
		asked->since_ms = now_ms();
	return now_ms() - asked->since_ms >= DEAF_MS;
}

/* Best effort: a session that does not take it is about to end, or to be killed. */
static void forward(struct asked *asked)
{
	struct signalfd_siginfo info;

	while (read(asked->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		uint8_t number = (uint8_t)info.ssi_signo;

		if (ends_programs(number) && is_deaf(asked))
			end_by(number);
		is_deaf(asked);
		(void)!write(asked->signals_fd, &number, 1);
	}
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (const int *number = supervise_signals; *number; number++)
		sigaddset(&set, *number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void close_descriptors(struct asked *asked)
{
	for (int i = 0; i < SUPERVISE_DESCRIPTORS; i++)
		own_close(&asked->fds[i]);
}

/* The next packet. 1: it was the answer, which is the last one. */
static int take_packet(struct asked *asked, uint8_t *packet, Berm__Wire__SuperviseReply **ret_reply,
	struct error *err)
{
	Berm__Wire__SuperviseReply *reply = NULL;
	int r = read_answer(asked->fd, packet, &reply, err);

	if (r < 0 || !reply)
		return r;
	if (!reply->begun) {
		*ret_reply = reply;
		return 1;
	}
	asked->begun = true;
	close_descriptors(asked);
	berm__wire__supervise_reply__free_unpacked(reply, NULL);
	return 0;
}

/* How long to wait, -1 for ever; -ETIMEDOUT: no session came. */
static int patience_ms(const struct asked *asked, struct error *err)
{
	uint64_t now = now_ms();

	if (asked->begun)
		return -1;
	if (now < asked->until_ms)
		return (int)(asked->until_ms - now);
	return error_set(
		err, -ETIMEDOUT, ERROR_INTERNAL, "the supervisor is there and does not answer");
}

/* Until there is an answer, and all that the tool wrote has come through. */
static int wait_for_end(
	struct asked *asked, Berm__Wire__SuperviseReply **ret_reply, struct error *err)
{
	autofree uint8_t *packet = malloc(SUPERVISE_REPLY_MAX);
	bool answered = false;
	int r = packet ? 0 : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");

	while (r == 0 && (!answered || pumps_have_output(&asked->pumps))) {
		struct pollfd fds[8] = {{.fd = answered ? -1 : asked->fd, .events = POLLIN},
			{.fd = asked->signal_fd, .events = POLLIN}};
		unsigned count = 2 + pumps_poll(&asked->pumps, fds + 2);
		int wait_ms = patience_ms(asked, err);

		if (wait_ms < -1)
			return wait_ms;
		if (poll(fds, count, wait_ms) < 0) {
			if (errno != EINTR)
				r = error_errno(err, "wait for the run");
			continue;
		}
		if (fds[1].revents)
			forward(asked);
		pumps_move(&asked->pumps, fds + 2);
		if (fds[0].revents) {
			r = take_packet(asked, packet, ret_reply, err);
			answered = r != 0;
			r = r > 0 ? 0 : r;
		}
		if (answered)
			pumps_end_input(&asked->pumps);
	}
	return r;
}

static void put(struct text *out, const ProtobufCBinaryData *bytes)
{
	text_append(out, (const char *)bytes->data, bytes->len);
}

static int take_end(
	const Berm__Wire__SuperviseReply *reply, struct performance *performance, struct error *err)
{
	const Berm__Wire__SuperviseEnd *end = reply->end;

	if (!end)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "the supervisor's answer is none");
	performance->code = (int)end->code;
	snprintf(performance->reason, sizeof(performance->reason), "%s", end->reason);
	put(&performance->diagnostics, &end->diagnostics);
	put(&performance->footer, &end->footer);
	put(&performance->record, &end->record);
	return 0;
}

static int open_pipe(struct asked *asked, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "a pipe for signals");
	asked->fds[SUPERVISE_SIGNALS] = ends[0];
	asked->signals_fd = ends[1];
	return fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0 ? error_errno(err, "a pipe for signals") : 0;
}

/* The supervisor went away before a session was there, so that nothing was begun: one that is
 * replaced has a next one in a moment. */
static bool is_lost(const struct asked *asked, int r)
{
	return (r == -EPIPE || r == -ECONNRESET) && !asked->begun;
}

/* Each time longer: where sessions end before they say anything (no memory), all clients of the
 * host may be asking again. */
static void pause_ms(unsigned ms)
{
	const struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&pause, NULL);
}

static int connect_again(struct asked *asked, unsigned wait_ms, struct error *err)
{
	uint64_t until_ms = now_ms() + AGAIN_MS;

	own_close(&asked->fd);
	pause_ms(wait_ms);
	do {
		pause_ms(AGAIN_STEP_MS);
		/* Somebody may have had enough. */
		forward(asked);
		asked->fd = supervisor_connect(asked->socket, err);
	} while (asked->fd < 0 && now_ms() < until_ms);
	return asked->fd < 0 ? asked->fd : 0;
}

static int ask_until_begun(struct asked *asked, Berm__Wire__SuperviseRun *run,
	Berm__Wire__SuperviseReply **ret_reply, struct error *err)
{
	int r = 0;

	for (unsigned tries = 0;; tries++) {
		struct error why = {0};

		r = send_request(asked->fd, BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_RUN, run,
			asked->fds, &why);
		if (r == 0)
			r = wait_for_end(asked, ret_reply, &why);
		if (is_lost(asked, r) && tries < AGAIN_TRIES && now_ms() < asked->until_ms) {
			r = connect_again(asked, AGAIN_STEP_MS << tries, &why);
			if (r == 0)
				continue;
		}
		if (r < 0)
			*err = why;
		return r;
	}
}

static int do_run(struct asked *asked, Berm__Wire__SuperviseRun *run,
	struct performance *performance, struct error *err)
{
	Berm__Wire__SuperviseReply *reply = NULL;
	int r;

	r = open_pipe(asked, err);
	if (r == 0)
		r = pumps_open(&asked->pumps, asked->fds, err);
	if (r == 0)
		r = ask_until_begun(asked, run, &reply, err);
	close_descriptors(asked);
	pumps_close(&asked->pumps);
	if (r == 0 && reply)
		r = take_end(reply, performance, err);
	if (reply)
		berm__wire__supervise_reply__free_unpacked(reply, NULL);
	return r;
}

/* Root by sudo, and no login that the supervisor could see: to it this would be root. */
static int check_self(struct error *err)
{
	struct caller caller;

	caller_identify(&caller);
	if (geteuid() != 0 || caller.uid == 0)
		return 0;
	return error_set(err, -EPERM, ERROR_REFUSED,
		"user %u asks a supervisor without sudo and the like: who asks is what the kernel "
		"tells it",
		(unsigned)caller.uid);
}

int supervisor_run(const char *socket, Berm__Wire__SuperviseRun *run,
	struct performance *ret_performance, struct error *err)
{
	struct asked asked = {.socket = socket ? socket : SUPERVISOR_SOCKET_OF_HOST,
		.signal_fd = -1,
		.signals_fd = -1,
		.fds = {-1, -1, -1, -1}};
	int r;

	*ret_performance = (struct performance){0};
	r = check_self(err);
	if (r < 0)
		return r;
	asked.fd = supervisor_connect(asked.socket, err);
	if (asked.fd < 0)
		return asked.fd;
	asked.until_ms = now_ms() + BEGIN_MS;
	asked.signal_fd = open_signals();
	r = asked.signal_fd < 0 ? error_errno(err, "signalfd")
				: do_run(&asked, run, ret_performance, err);
	own_close(&asked.fd);
	own_close(&asked.signal_fd);
	own_close(&asked.signals_fd);
	return r;
}
