/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-internal.h"

#include "base/log.h"
#include "base/number.h"
#include "daemon/supervisor-cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>

#define ACCEPT_MAX 64 /* in a turn */
#define WATCHDOG_LEAST_USEC 100000ULL
#define WATCHDOG_MOST_USEC (24 * 3600 * 1000000ULL)
#define DESCRIPTORS_WANTED (SUPERVISOR_PEERS_MAX + SUPERVISOR_SESSIONS_MAX + CLOSER_ROOM + 64)

uint64_t supervisor_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- answers ---- */

static const struct error too_many = {.code = -EAGAIN,
	.kind = ERROR_INTERNAL,
	.text = "the supervisor has no room for more connections; try again"};

/* The only packet that a connection gets from here: there is room for it. */
static void answer(int fd, const Berm__Wire__SuperviseReply *reply)
{
	autofree uint8_t *packet = NULL;
	size_t length = supervise_pack(&reply->base, SUPERVISE_REPLY_MAX, &packet);

	if (length)
		(void)!send(fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void refuse(struct supervisor *s, int fd, const struct error *why)
{
	Berm__Wire__SuperviseReply reply;

	s->refused++;
	berm__wire__supervise_reply__init(&reply);
	reply.version = SUPERVISE_VERSION;
	reply.error = why->code < 0 ? -why->code : EIO;
	reply.reason = (char *)(uintptr_t)why->text;
	answer(fd, &reply);
}

/* ---- requests ---- */

static int do_run(struct supervisor *s, struct waiting *client, struct error *err)
{
	/* Without root a run is of the supervisor's own user. */
	if (geteuid() != 0 && client->peer.uid != geteuid())
		return error_set(err, -EPERM, ERROR_REFUSED,
			"this supervisor is not root's: it runs for its own user alone");
	return supervisor_begin(s, client, err);
}

static int do_status(struct supervisor *s, struct waiting *client, struct error *err)
{
	char version[] = BERM_VERSION;
	Berm__Wire__SuperviseStatus status;
	Berm__Wire__SuperviseReply reply;

	(void)err;
	berm__wire__supervise_status__init(&status);
	status.pid = (uint32_t)getpid();
	status.version = version;
	status.sessions = supervisor_running(s, false);
	status.adopted = supervisor_running(s, true);
	status.users = users_count(&s->users);
	status.refused = s->refused;
	berm__wire__supervise_reply__init(&reply);
	reply.version = SUPERVISE_VERSION;
	reply.status = &status;
	answer(client->fd, &reply);
	return 0;
}

/* Everything that can be asked, and who may ask it. Whether somebody may start an agent is the
 * agent's to say: the session asks it, and looks at what came with the request. */
static const struct request_row {
	Berm__Wire__SuperviseType type;
	bool operator_only, has_descriptors;
	int (*handle)(struct supervisor *s, struct waiting *client, struct error *err);
} rows[] = {
	{BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_RUN, false, true, do_run},
	{BERM__WIRE__SUPERVISE_TYPE__SUPERVISE_STATUS, true, false, do_status},
};

static int check(const struct request_row *row, const struct waiting *client, bool has_descriptors,
	struct error *err)
{
	if (!row)
		return error_set(
			err, -ENOSYS, ERROR_INPUT, "the supervisor does not know that request");
	if (row->operator_only && !supervisor_is_operator(&client->peer))
		return error_set(
			err, -EPERM, ERROR_REFUSED, "that is for the supervisor's operator alone");
	if (has_descriptors != row->has_descriptors)
		return error_set(err, -EPROTO, ERROR_INPUT, "with that request come %s descriptors",
			row->has_descriptors ? "four" : "no");
	return 0;
}

static int serve_request(struct supervisor *s, struct waiting *client, size_t length,
	bool has_descriptors, struct error *err)
{
	Berm__Wire__SuperviseRequest *request = NULL;
	const struct request_row *row = NULL;
	int r = supervise_request_read(s->packet, length, &request, err);

	if (r < 0 || !request)
		return r;
	for (size_t i = 0; i < array_size(rows); i++)
		if (rows[i].type == request->type)
			row = &rows[i];
	berm__wire__supervise_request__free_unpacked(request, NULL);
	r = check(row, client, has_descriptors, err);
	return r == 0 && row ? row->handle(s, client, err) : r;
}

/* ---- connections ---- */

/* What it still has in its queue is nobody's to close but a child's. */
void supervisor_drop(struct supervisor *s, struct waiting *client)
{
	/* A session has the same connection: the set would keep it as long. */
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, client->fd, NULL);
	closer_take(&s->closer, &client->fd, supervisor_now_ms());
	client->user->connections--;
	*client = (struct waiting){.fd = -1};
}

/* The last word to somebody; the end of the connection is theirs to see at once. */
static void send_away(struct supervisor *s, int fd, const struct error *why)
{
	if (why->code)
		refuse(s, fd, why);
	shutdown(fd, SHUT_RDWR);
}

/* One request a connection: after it the connection is a session's, or closed. The request itself
 * stays where it is, with all that came with it, for the session to take. */
static void serve(struct supervisor *s, struct waiting *client)
{
	struct error err = {0};
	bool has_descriptors = false;
	size_t length = 0;
	int r = supervisor_packet_peek(
		client->fd, s->packet, sizeof(s->packet), &length, &has_descriptors);

	if (r == 0)
		return;
	if (r == -EPROTO)
		error_set(&err, -EPROTO, ERROR_INPUT, "this is no request");
	else if (r > 0)
		r = serve_request(s, client, length, has_descriptors, &err);
	if (r < 0)
		send_away(s, client->fd, &err);
	supervisor_drop(s, client);
}

/* A connection is a request: who makes too many of them costs no more than a word. */
static int admit(struct supervisor *s, int fd, struct waiting *ret_client, struct error *err)
{
	int r = supervisor_peer_read(fd, &ret_client->peer, err);
	uint64_t now_ms = supervisor_now_ms();
	struct user *user;

	/* Who is behind root has to be known before anything is counted. */
	if (r == 0 && ret_client->peer.uid == 0)
		r = supervisor_peer_check(fd, &ret_client->peer, err);
	if (r < 0)
		return r;
	user = users_find(&s->users, supervisor_peer_user(&ret_client->peer), now_ms);
	if (!user || !user_asks(user, now_ms))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"too many requests of yours at once; try again in a second");
	if (!user_connects(user))
		return error_set(err, -EAGAIN, ERROR_REFUSED,
			"too many connections of yours at once; try again in a second");
	if (ret_client->peer.uid != 0)
		r = supervisor_peer_check(fd, &ret_client->peer, err);
	if (r < 0)
		user->connections--;
	ret_client->user = user;
	ret_client->deadline_ms = now_ms + SUPERVISOR_SILENT_MS;
	return r;
}

/* Of whoever has most of them, the one that has said nothing for the longest time. */
static bool goes_before(const struct waiting *one, const struct waiting *other)
{
	if (one->user->connections != other->user->connections)
		return one->user->connections > other->user->connections;
	return one->deadline_ms < other->deadline_ms;
}

static struct waiting *free_place(struct supervisor *s)
{
	struct waiting *first = &s->waiting[0];

	for (size_t i = 0; i < SUPERVISOR_PEERS_MAX; i++) {
		if (s->waiting[i].fd < 0)
			return &s->waiting[i];
		if (goes_before(&s->waiting[i], first))
			first = &s->waiting[i];
	}
	send_away(s, first->fd, &too_many);
	supervisor_drop(s, first);
	return first;
}

/* No descriptor is left: who waits is let in by the one kept for that, and sent away; else the
 * socket would stay readable for ever. */
static void accept_without_room(struct supervisor *s)
{
	int fd;

	own_close(&s->reserve_fd);
	fd = accept4(s->place.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		send_away(s, fd, &too_many);
		closer_take(&s->closer, &fd, supervisor_now_ms());
		closer_look(&s->closer, true, supervisor_now_ms());
	}
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* False where nobody waits. */
static bool accept_one(struct supervisor *s)
{
	int fd = accept4(s->place.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct waiting client = {.fd = -1}, *place;
	struct error err = {0};

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		accept_without_room(s);
	if (fd < 0)
		return false;
	if (admit(s, fd, &client, &err) < 0) {
		send_away(s, fd, &err);
		closer_take(&s->closer, &fd, supervisor_now_ms());
		return true;
	}
	place = free_place(s);
	client.fd = take_fd(&fd);
	*place = client;
	if (supervisor_watch(s, place->fd, MARK_WAITING(place - s->waiting)) < 0)
		supervisor_drop(s, place);
	return true;
}

/* ---- the loop ---- */

static int earlier(int one_ms, int other_ms)
{
	return other_ms < 0 || (one_ms >= 0 && one_ms < other_ms) ? one_ms : other_ms;
}

static int next_deadline(struct supervisor *s)
{
	uint64_t now_ms = supervisor_now_ms();
	int least_ms = -1;

	for (size_t i = 0; i < SUPERVISOR_PEERS_MAX; i++) {
		struct waiting *client = &s->waiting[i];

		if (client->fd < 0)
			continue;
		if (client->deadline_ms > now_ms) {
			least_ms = earlier(least_ms, (int)(client->deadline_ms - now_ms));
			continue;
		}
		shutdown(client->fd, SHUT_RDWR);
		supervisor_drop(s, client);
	}
	if (s->watchdog_ms && now_ms >= s->watched_ms) {
		supervisor_notify("WATCHDOG=1");
		s->watched_ms = now_ms + s->watchdog_ms;
	}
	if (s->watchdog_ms)
		least_ms = earlier(least_ms, (int)(s->watched_ms - now_ms));
	return earlier(closer_look(&s->closer, false, now_ms), least_ms);
}

/* False where it is one that ends. */
static bool take_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return true;
	s->upgrades = info.ssi_signo == SIGUSR2;
	return s->upgrades;
}

/* Those that are there before those that are new, so that no mark of this turn means another one.
 * False when it is time to end. */
bool supervisor_handle(struct supervisor *s, const struct epoll_event *events, int count)
{
	bool is_new = false, go_on = true;

	for (int i = 0; i < count; i++) {
		uint64_t mark = events[i].data.u64;
		unsigned place = (unsigned)mark;

		if (mark == MARK_SIGNAL)
			go_on = take_signal(s);
		else if (mark == MARK_LISTEN)
			is_new = true;
		else if (mark == MARK_WAITING(place) && s->waiting[place].fd >= 0)
			serve(s, &s->waiting[place]);
		else if (mark == MARK_RUNNING(place))
			supervisor_look(s, place);
	}
	for (int i = 0; is_new && i < ACCEPT_MAX && !closer_is_full(&s->closer) && accept_one(s);
		i++)
		;
	/* No process can be made: who comes waits, and this loop does not turn for nothing. */
	if (is_new && closer_is_full(&s->closer))
		nanosleep(&(struct timespec){.tv_nsec = CLOSER_DELAY_MS * 1000000L}, NULL);
	return go_on;
}

static int loop(struct supervisor *s, struct error *err)
{
	struct epoll_event events[EVENTS_MAX];
	bool go_on = true;
	int count;

	do {
		count = epoll_wait(s->epoll_fd, events, EVENTS_MAX, next_deadline(s));
		if (count < 0 && errno != EINTR)
			return error_errno(err, "wait for requests");
		go_on = count < 0 || supervisor_handle(s, events, count);
		if (go_on && s->upgrades)
			supervisor_upgrade(s);
	} while (go_on);
	return 0;
}

/* A session has the usual limit again. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
		return;
	limit.rlim_cur = DESCRIPTORS_WANTED;
	if (limit.rlim_max >= DESCRIPTORS_WANTED) {
		setrlimit(RLIMIT_NOFILE, &limit);
		return;
	}
	/* Root can have more; others what there is. */
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max = DESCRIPTORS_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* systemd replaces a supervisor that does not say in time that it is there
 * (sd_watchdog_enabled(3)): one that hangs. Half of the time; 0: nobody asks. */
static unsigned watchdog_ms(void)
{
	const char *time_words = getenv("WATCHDOG_USEC"), *pid_words = getenv("WATCHDOG_PID");
	uint64_t usec, pid;

	if (!time_words || !number_parse_u64(time_words, &usec) || usec < WATCHDOG_LEAST_USEC ||
		usec > WATCHDOG_MOST_USEC)
		return 0;
	if (pid_words && (!number_parse_u64(pid_words, &pid) || pid != (uint64_t)getpid()))
		return 0;
	return (unsigned)(usec / 2000);
}

static int begin(struct supervisor *s, struct error *err)
{
	struct error why = {0};
	sigset_t ends;

	raise_descriptors();
	/* Executed by a descriptor it would have that for a name. */
	prctl(PR_SET_NAME, "berm");
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGUSR2);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	s->signal_fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->signal_fd < 0 || s->epoll_fd < 0 || s->reserve_fd < 0)
		return error_errno(err, "begin to supervise");
	if (supervisor_watch(s, s->place.listen_fd, MARK_LISTEN) < 0 ||
		supervisor_watch(s, s->signal_fd, MARK_SIGNAL) < 0)
		return error_errno(err, "begin to supervise");
	if (supervisor_cgroup_enter_leaf(&why) < 0)
		log_line("supervise: runs get no cgroup with limits: %s", why.text);
	s->watchdog_ms = watchdog_ms();
	supervisor_adopt(s);
	return 0;
}

/* Connections and the socket are not closed here, see drain(). */
static void finish(struct supervisor *s)
{
	for (size_t i = 0; i < SUPERVISOR_SESSIONS_MAX; i++)
		own_close(&s->running[i].fd);
	own_close(&s->epoll_fd);
	own_close(&s->signal_fd);
	own_close(&s->reserve_fd);
	free(s);
}

int supervisor_serve(const struct supervisor_options *options, struct error *err)
{
	struct supervisor *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	s->options = options;
	s->users.owner = geteuid();
	s->epoll_fd = s->signal_fd = s->reserve_fd = -1;
	for (size_t i = 0; i < SUPERVISOR_PEERS_MAX; i++)
		s->waiting[i].fd = -1;
	for (size_t i = 0; i < SUPERVISOR_SESSIONS_MAX; i++)
		s->running[i].fd = -1;
	s->place = SUPERVISOR_PLACE_NONE;
	r = supervisor_place_take(options->state, options->socket, &s->place, err);
	if (r == 0)
		r = begin(s, err);
	if (r == 0) {
		supervisor_notify("READY=1");
		r = loop(s, err);
		supervisor_notify("STOPPING=1");
		/* The name first: nobody new comes. */
		supervisor_place_leave(&s->place);
		supervisor_drain(s);
	} else {
		supervisor_place_leave(&s->place);
	}
	finish(s);
	return r;
}
