/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-client-internal.h"

#include "base/path.h"
#include "daemon/recorder-place.h"
#include "daemon/recorder-role.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

/* Between two attempts while another recorder ends, or begins. */
#define PAUSE_FIRST_MS 1
#define PAUSE_MAX_MS 50
#define CLOSE_MS 2000

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int failed(struct recorder_client *c, struct error *err)
{
	if (err)
		*err = c->failure;
	return c->failure.code;
}

/* The first reason is the one that is told. */
static int fail(struct recorder_client *c, const struct error *why)
{
	if (!c->has_failed)
		c->failure = *why;
	if (!c->failure.code)
		c->failure.code = -EIO;
	c->has_failed = true;
	own_close(&c->fd);
	return c->failure.code;
}

/* ---- connecting ---- */

static int reach(struct recorder_client *c, struct error *err)
{
	int fd;

	if (c->options.connect)
		return c->options.connect(c->options.context, err);
	fd = recorder_place_connect(c->options.state);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return recorder_launch(c->options.state, err);
	if (fd == -EAGAIN || fd == -ECONNRESET)
		return -EAGAIN;
	return fd < 0 ? error_set(err, fd, ERROR_INTERNAL, "reach the recorder of %s: %s",
				c->options.state, strerror(-fd))
		      : fd;
}

static int watch(struct recorder_client *c, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | (c->wants_room ? EPOLLOUT : 0U)};

	return epoll_ctl(c->epoll_fd, operation, c->fd, &event);
}

/* All that is not acknowledged is to be told again, to whoever is there now. */
static void start_again(struct recorder_client *c)
{
	own_close(&c->fd); /* which takes it out of the epoll set as well */
	c->unsent = c->first;
	c->begin_sent = c->begun = c->end_sent = c->wants_room = false;
}

static int connect_once(struct recorder_client *c, struct error *err)
{
	start_again(c);
	c->fd = reach(c, err);
	if (c->fd < 0) {
		int r = c->fd;

		c->fd = -1;
		return r;
	}
	return watch(c, EPOLL_CTL_ADD) < 0 ? error_errno(err, "the recorder's descriptor") : 0;
}

/* ---- sending and receiving ---- */

/* -EAGAIN: the rest later. -EPIPE and others: the recorder is gone. */
static int send_some(struct recorder_client *c)
{
	struct kept *next = NULL;
	size_t length;
	bool wanted = false;
	int r = 0;

	if (c->fd < 0)
		return -EPIPE;
	while (r == 0 && (length = kept_next_packet(c, &next)) > 0) {
		if (send(c->fd, c->packet, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			r = -errno;
			break;
		}
		c->begin_sent = true;
		c->unsent = next;
		c->end_sent = c->ending && !next;
	}
	wanted = r == -EAGAIN || r == -ENOBUFS;
	if (wanted != c->wants_room) {
		c->wants_room = wanted;
		watch(c, EPOLL_CTL_MOD);
	}
	return wanted ? -EAGAIN : r;
}

/* One answer. -EAGAIN: none is there; -EPIPE: nobody is. Others are what the recorder says. */
static int receive_one(struct recorder_client *c, struct error *err)
{
	uint8_t packet[RECORDER_REPLY_MAX + 1];
	struct recorder_reply reply;
	ssize_t n = c->fd < 0 ? 0 : recv(c->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	if (recorder_reply_read(packet, (size_t)n, &reply) < 0)
		return error_set(err, -EPROTO, ERROR_INTERNAL, "the recorder's answer is none");
	/* Another one has the log: it is to be looked for. */
	if (reply.error == -EAGAIN)
		return -EPIPE;
	if (reply.error)
		return error_set(err, reply.error, ERROR_INTERNAL, "%s", reply.reason);
	c->begun |= reply.begun;
	if (reply.durable)
		kept_release(c, reply.durable);
	return 0;
}

static int receive_all(struct recorder_client *c, struct error *err)
{
	int r;

	do
		r = receive_one(c, err);
	while (r == 0);
	return r == -EAGAIN ? 0 : r;
}

/* Both. Where nobody listens any more, what was said before that is the reason. */
static int exchange(struct recorder_client *c, struct error *err)
{
	int sent = send_some(c);
	int r = receive_all(c, err);

	return r == 0 && sent < 0 && sent != -EAGAIN ? -EPIPE : r;
}

/* ---- waiting ---- */

static bool is_done(const struct recorder_client *c, bool to_the_end)
{
	return to_the_end ? c->end_sent && !c->first : c->begun;
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&t, NULL);
}

static int out_of_patience(struct recorder_client *c, struct error *why)
{
	if (!why->code)
		error_set(why, -ETIMEDOUT, ERROR_INTERNAL, "the recorder of %s does not answer",
			c->options.state ? c->options.state : "this run");
	fail(c, why);
	return c->failure.code;
}

/* Until the recorder has taken the run on, or has all of it on the disk. A recorder that dies is
 * followed by another one. */
static int wait_for(struct recorder_client *c, bool to_the_end, unsigned timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms;
	unsigned pause = PAUSE_FIRST_MS;

	while (!c->has_failed && !is_done(c, to_the_end)) {
		struct error why = {0};
		struct pollfd fd = {.fd = c->epoll_fd, .events = POLLIN};
		uint64_t now = now_ms();
		int r = c->fd < 0 ? connect_once(c, &why) : 0;

		if (r == 0 || r == -EAGAIN)
			r = exchange(c, &why);
		if (is_done(c, to_the_end))
			break;
		if (r == 0 && now < deadline) {
			poll(&fd, 1, (int)(deadline - now));
			continue;
		}
		if (now >= deadline)
			return out_of_patience(c, &why);
		if (r != -EPIPE)
			return fail(c, &why);
		/* Gone, or not there yet. */
		if (c->begun && ++c->restarts > RECORDER_RESTARTS_MAX)
			return out_of_patience(c, &why);
		start_again(c);
		pause_ms(pause);
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	}
	return c->has_failed ? c->failure.code : 0;
}

/* ---- a run's recorder ---- */

int recorder_client_open(const struct recorder_client_options *options,
	struct recorder_client **ret_client, struct error *err)
{
	struct recorder_client *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to record the run");
	c->options = *options;
	c->fd = -1;
	c->number = c->durable = options->info.sequence;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->packet = malloc(RECORDER_PACKET_MAX);
	if (!c->packet || c->epoll_fd < 0) {
		int r = error_errno(err, "the recorder's client");

		recorder_client_close(c);
		return r;
	}
	*ret_client = c;
	return 0;
}

/* What goes wrong shows when it is waited for. */
static void try_to_send(struct recorder_client *c)
{
	struct error why = {0};
	int r;

	if (c->has_failed)
		return;
	if (c->fd < 0) {
		/* Once: a recorder that is gone is dealt with where it is waited for. */
		if (c->begin_sent || c->begun)
			return;
		r = connect_once(c, &why);
		if (r < 0 && r != -EAGAIN) {
			fail(c, &why);
			return;
		}
	}
	(void)!send_some(c);
}

void recorder_client_append(
	struct recorder_client *c, enum record_ring ring, const Berm__Wire__Record *record)
{
	kept_add(c, ring, record);
	/* Activity comes in crowds: recorder_client_handle() sends it. */
	if (ring == RECORD_RING_DECISIONS)
		try_to_send(c);
}

void recorder_client_lost(struct recorder_client *c, enum record_ring ring,
	Berm__Wire__LossSource source, uint64_t count)
{
	kept_add_lost(c, ring, source, count);
}

int recorder_client_ready(struct recorder_client *c, struct error *err)
{
	int r = c->has_failed ? c->failure.code : wait_for(c, false, RECORDER_PATIENCE_MS);

	return r < 0 ? failed(c, err) : 0;
}

int recorder_client_fd(const struct recorder_client *c)
{
	return c->epoll_fd;
}

int recorder_client_handle(struct recorder_client *c, struct error *err)
{
	struct error why = {0};
	int r;

	if (c->has_failed)
		return failed(c, err);
	r = exchange(c, &why);
	if (r == -EPIPE) {
		start_again(c);
		if (++c->restarts > RECORDER_RESTARTS_MAX)
			r = out_of_patience(c, &why);
		else
			r = wait_for(c, false, RECORDER_PATIENCE_MS);
	} else if (r < 0) {
		r = fail(c, &why);
	}
	return r < 0 ? failed(c, err) : 0;
}

/* Until nobody writes the log any more, where that comes soon. */
static void wait_for_close(struct recorder_client *c)
{
	uint64_t deadline = now_ms() + CLOSE_MS;
	autofree char *path = path_join(c->options.state, RECORDER_LOG_DIR);
	autoclose int log = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	own_close(&c->fd);
	while (log >= 0 && now_ms() < deadline && recorder_is_writing(&storage_system, log) == 1)
		pause_ms(PAUSE_FIRST_MS);
}

int recorder_client_finish(
	struct recorder_client *c, bool close, unsigned timeout_ms, struct error *err)
{
	int r;

	c->ending = true;
	c->close_too = close;
	r = c->has_failed ? c->failure.code : wait_for(c, true, timeout_ms);
	if (r == 0 && close && c->options.state)
		wait_for_close(c);
	return r < 0 ? failed(c, err) : 0;
}

void recorder_client_close(struct recorder_client *c)
{
	if (!c)
		return;
	kept_free(c);
	own_close(&c->fd);
	own_close(&c->epoll_fd);
	free(c->packet);
	free(c);
}

void recorder_client_status(
	const struct recorder_client *c, struct recorder_client_status *ret_status)
{
	*ret_status = (struct recorder_client_status){
		.told = c->number, .durable = c->durable, .lost = c->lost, .restarts = c->restarts};
}
