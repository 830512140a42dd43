/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-server.h"

#include "base/failpoint.h"
#include "daemon/recorder-peer.h"
#include "daemon/recorder-server-internal.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#define EVENTS_MAX 64
#define ACCEPTS_MAX 64
#define LISTENER RECORDER_CLIENTS_MAX
#define TIMER (RECORDER_CLIENTS_MAX + 1U)
#define NEVER UINT64_MAX
#define LAST_PACKETS 1024
#define COMMIT_BYTES (1U << 20)

static uint64_t boot_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- answers ---- */

bool server_answer(const struct client *client, const struct recorder_reply *reply)
{
	uint8_t packet[RECORDER_REPLY_MAX];
	size_t length = recorder_reply_write(reply, packet);

	return send(client->fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length;
}

static void watch_for_room(struct recorder_server *s, struct client *client, bool wanted)
{
	struct epoll_event event = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.u32 = (uint32_t)(client - s->clients)};

	if (client->writable != wanted &&
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == 0)
		client->writable = wanted;
}

/* What is on the disk, which is not all that has come where the answer had to wait for room; only
 * the last of these answers matters, so one that finds no room is made anew later. */
static void acknowledge(struct recorder_server *s, struct client *client)
{
	const struct recorder_reply reply = {.durable = client->committed};
	bool is_all = client->committed == client->number;
	bool is_news = client->durable != client->committed || (client->waits && is_all);

	if (is_news && !server_answer(client, &reply)) {
		watch_for_room(s, client, true);
		return;
	}
	watch_for_room(s, client, false);
	if (!is_news)
		return;
	failpoint("server.acknowledged");
	client->durable = client->committed;
	client->waits = client->waits && !is_all;
}

/* ---- clients that come and go ---- */

static void drop(struct recorder_server *s, struct client *client)
{
	server_end_run(s, client);
	own_close(&client->fd); /* which takes it out of the epoll set as well */
	*client = (struct client){.fd = -1};
	if (--s->count == 0)
		s->idle_since_ns = boot_now_ns();
}

/* The last answer. A socket that is closed with packets in it takes away what was said before
 * (ECONNRESET): they are taken out first, as many as a socket can hold. */
static void say_last(const struct client *client, const struct recorder_reply *reply)
{
	char byte;

	server_answer(client, reply);
	for (unsigned i = 0; i < LAST_PACKETS && recv(client->fd, &byte, 1, MSG_DONTWAIT) > 0; i++)
		;
}

static void refuse(struct recorder_server *s, struct client *client, const struct error *why)
{
	struct recorder_reply reply = {.error = why->code};

	snprintf(reply.reason, sizeof(reply.reason), "%s", why->text);
	say_last(client, &reply);
	drop(s, client);
}

static struct client *free_place(struct recorder_server *s)
{
	for (unsigned i = 0; i < s->options.places; i++) {
		if (s->clients[i].fd >= 0)
			continue;
		if (i >= s->highest)
			s->highest = i + 1;
		return &s->clients[i];
	}
	return NULL;
}

int recorder_server_add(struct recorder_server *s, int *fd, struct error *err)
{
	struct client *client = free_place(s);
	struct epoll_event event = {.events = EPOLLIN};

	if (!client)
		return error_set(err, -EAGAIN, ERROR_INTERNAL,
			"the recorder has %u clients and takes no more", s->options.places);
	event.data.u32 = (uint32_t)(client - s->clients);
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, *fd, &event) < 0)
		return error_errno(err, "the recorder's clients");
	*client = (struct client){.fd = take_fd(fd), .since_ns = boot_now_ns()};
	s->count++;
	return 0;
}

/* False where nobody waits. */
static bool accept_one(struct recorder_server *s)
{
	autoclose int fd = accept4(s->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct error err = {0};

	if (fd < 0)
		return false;
	if (recorder_peer_check(fd, s->options.owner, &err) < 0 ||
		recorder_server_add(s, &fd, &err) < 0) {
		const struct client nobody = {.fd = fd};
		struct recorder_reply reply = {.error = err.code};

		/* A full house is no verdict. */
		if (err.code == -EAGAIN)
			reply.error = -EUSERS;
		snprintf(reply.reason, sizeof(reply.reason), "%s", err.text);
		say_last(&nobody, &reply);
	}
	return true;
}

/* ---- requests ---- */

/* One packet; false where there is none, or the client is gone. A packet that is longer than any
 * request is cut by the kernel, and shown by its length. */
static bool serve_one(struct recorder_server *s, struct client *client)
{
	struct error err = {0};
	ssize_t n = recv(client->fd, s->packet, RECORDER_PACKET_MAX + 1, MSG_DONTWAIT | MSG_TRUNC);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		drop(s, client);
		return false;
	}
	failpoint("server.received");
	r = recorder_request_read(s->packet, (size_t)n, &s->request, &err);
	if (r == 0)
		r = server_take(s, client, &s->request, &err);
	failpoint("server.taken");
	recorder_request_free(&s->request);
	if (r < 0)
		refuse(s, client, &err);
	return r == 0;
}

static void serve(struct recorder_server *s, struct client *client, uint32_t events)
{
	if (events & EPOLLOUT && client->writable)
		acknowledge(s, client);
	for (unsigned i = 0; i < RECORDER_TURN_PACKETS && serve_one(s, client); i++)
		;
}

/* ---- the disk ---- */

static bool somebody_waits(const struct recorder_server *s)
{
	for (unsigned i = 0; i < s->highest; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].waits && !s->clients[i].writable)
			return true;
	return false;
}

/* Much came since the last commit: who sent it keeps it until it is acknowledged, and has no room
 * for more than twice of this (RECORDER_KEPT_ACTIVITY_BYTES). */
static bool queue_is_filling(const struct recorder_server *s)
{
	struct recorder_status status;

	recorder_status(s->options.recorder, &status);
	return status.queued_bytes > COMMIT_BYTES;
}

static int fail(struct recorder_server *s, const struct error *err)
{
	struct error ignored;

	if (err->code == -ENOSPC)
		(void)!recorder_trouble(s->options.recorder, "write", ENOSPC, &ignored);
	recorder_server_refuse(s, err);
	return err->code;
}

static int commit(struct recorder_server *s, struct error *err)
{
	struct error local = {0};

	if (recorder_commit(s->options.recorder, &local) < 0) {
		fail(s, &local);
		if (err)
			*err = local;
		return local.code;
	}
	failpoint("server.committed");
	for (unsigned i = 0; i < s->highest; i++) {
		struct client *client = &s->clients[i];

		if (client->fd < 0 || !client->begun)
			continue;
		client->committed = client->number;
		acknowledge(s, client);
	}
	return 0;
}

static int commit_what_is_due(struct recorder_server *s, struct error *err)
{
	if (somebody_waits(s) || boot_now_ns() >= recorder_due_ns(s->options.recorder))
		return commit(s, err);
	return 0;
}

/* Whoever connected and says nothing holds a place that somebody else may need. Returns when the
 * next one is due. */
static uint64_t drop_silent(struct recorder_server *s, uint64_t now_ns)
{
	const uint64_t limit_ns = (uint64_t)RECORDER_SILENT_MS * 1000000;
	const struct error why = {.code = -ETIMEDOUT, .text = "nothing was said for too long"};
	uint64_t due_ns = NEVER;

	for (unsigned i = 0; i < s->highest; i++) {
		struct client *client = &s->clients[i];

		if (client->fd < 0 || client->begun)
			continue;
		if (now_ns - client->since_ns >= limit_ns)
			refuse(s, client, &why);
		else if (client->since_ns + limit_ns < due_ns)
			due_ns = client->since_ns + limit_ns;
	}
	return due_ns;
}

static void arm(struct recorder_server *s)
{
	uint64_t due_ns = recorder_due_ns(s->options.recorder);
	uint64_t silent_ns = drop_silent(s, boot_now_ns());
	struct itimerspec at = {0};

	if (silent_ns < due_ns)
		due_ns = silent_ns;
	if (due_ns == s->armed_ns)
		return;
	if (due_ns != NEVER)
		at.it_value = (struct timespec){.tv_sec = (time_t)(due_ns / 1000000000),
			.tv_nsec = (long)(due_ns % 1000000000)};
	timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
	s->armed_ns = due_ns;
}

static void take_timer(struct recorder_server *s)
{
	uint64_t times;

	(void)!read(s->timer_fd, &times, sizeof(times));
	s->armed_ns = NEVER;
}

int recorder_server_handle(struct recorder_server *s, struct error *err)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(s->epoll_fd, events, EVENTS_MAX, 0), r;
	bool somebody_new = false;

	/* Those that are there before those that are new: a run that comes back after it closed
	 * its connection is not taken for a second one. */
	for (int i = 0; i < count; i++) {
		uint32_t place = events[i].data.u32;

		if (place == TIMER)
			take_timer(s);
		else if (place == LISTENER)
			somebody_new = true;
		else if (s->clients[place].fd >= 0)
			serve(s, &s->clients[place], events[i].events);
		/* Who comes later in this turn finds room as well. */
		if (queue_is_filling(s)) {
			r = commit(s, err);
			if (r < 0)
				return r;
		}
	}
	for (unsigned i = 0; somebody_new && i < ACCEPTS_MAX && accept_one(s); i++)
		;
	r = commit_what_is_due(s, err);
	if (r == 0)
		arm(s);
	return r;
}

int recorder_server_seal(struct recorder_server *s, struct error *err)
{
	struct error local = {0};
	int r = recorder_seal(s->options.recorder, &local);

	if (r < 0) {
		*err = local;
		return fail(s, &local);
	}
	/* What the seal found out is a record of its own. */
	r = commit(s, err);
	if (r == 0)
		arm(s);
	return r;
}

void recorder_server_refuse(struct recorder_server *s, const struct error *why)
{
	for (unsigned i = 0; i < s->highest; i++)
		if (s->clients[i].fd >= 0)
			refuse(s, &s->clients[i], why);
}

/* ---- the server ---- */

static int watch(int epoll_fd, int fd, uint32_t place)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = place};

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int recorder_server_create(const struct recorder_server_options *options,
	struct recorder_server **ret_server, struct error *err)
{
	struct recorder_server *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the recorder");
	s->options = *options;
	if (!s->options.places || s->options.places > RECORDER_CLIENTS_MAX)
		s->options.places = RECORDER_CLIENTS_MAX;
	s->armed_ns = NEVER;
	s->idle_since_ns = boot_now_ns();
	s->clients = calloc(RECORDER_CLIENTS_MAX, sizeof(*s->clients));
	s->packet = malloc(RECORDER_PACKET_MAX + 1);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	for (unsigned i = 0; s->clients && i < RECORDER_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	if (!s->clients || !s->packet || s->epoll_fd < 0 || s->timer_fd < 0 ||
		watch(s->epoll_fd, s->timer_fd, TIMER) < 0 ||
		watch(s->epoll_fd, options->listen_fd, LISTENER) < 0) {
		int r = error_errno(err, "the recorder's server");

		recorder_server_destroy(s);
		return r;
	}
	*ret_server = s;
	return 0;
}

void recorder_server_destroy(struct recorder_server *s)
{
	if (!s)
		return;
	/* Their runs last: they find another recorder, which goes on where this one ended. */
	for (unsigned i = 0; s->clients && i < s->highest; i++) {
		s->clients[i].has_end = true;
		if (s->clients[i].fd >= 0)
			drop(s, &s->clients[i]);
	}
	own_close(&s->timer_fd);
	own_close(&s->epoll_fd);
	free(s->packet);
	free(s->clients);
	free(s);
}

int recorder_server_fd(const struct recorder_server *s)
{
	return s->epoll_fd;
}

unsigned recorder_server_clients(const struct recorder_server *s)
{
	return s->count;
}

uint64_t recorder_server_idle_since_ns(const struct recorder_server *s)
{
	return s->idle_since_ns;
}

bool recorder_server_is_to_close(const struct recorder_server *s)
{
	return s->close_asked && s->count == 0;
}
