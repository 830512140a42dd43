/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "daemon/supervisor-internal.h"
#include "daemon/supervisor-next.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define DRAIN_MS 500

static bool has_waiting(const struct supervisor *s)
{
	for (size_t i = 0; i < SUPERVISOR_PEERS_MAX; i++)
		if (s->waiting[i].fd >= 0)
			return true;
	return false;
}

/* Who came in time is served. Who comes to a socket that stays waits there for the next supervisor;
 * who has connected and said nothing yet gets a moment, and then sees the end of the connection and
 * comes again (supervisor-client.c). What is left in queues goes with this process, which ends now:
 * a process that ends waits for nobody (see the closer). */
void supervisor_drain(struct supervisor *s)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now_ms = supervisor_now_ms();
	const uint64_t until_ms = now_ms + DRAIN_MS;
	int count;

	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->signal_fd, NULL);
	if (s->place.passed || s->upgrades)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->place.listen_fd, NULL);
	do {
		count = epoll_wait(s->epoll_fd, events, EVENTS_MAX,
			has_waiting(s) ? (int)(until_ms - now_ms) : 0);
		if (count > 0)
			supervisor_handle(s, events, count);
		now_ms = supervisor_now_ms();
	} while (count > 0 && now_ms < until_ms);
}

/* ---- the next version ---- */

static void execute_next(const struct supervisor_options *options, int fd, struct error *err)
{
	const char *argv[] = {"berm", "supervise", "--state-dir", options->state,
		options->socket ? "--socket" : NULL, options->socket, NULL};

	execveat(fd, "", (char **)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	error_errno(err, "execute it");
}

/* Who has connected meanwhile is served or told before the program goes. */
static int leave(struct supervisor *s, struct error *err)
{
	int r;

	supervisor_drain(s);
	for (size_t i = 0; i < SUPERVISOR_PEERS_MAX; i++) {
		if (s->waiting[i].fd < 0)
			continue;
		shutdown(s->waiting[i].fd, SHUT_RDWR);
		supervisor_drop(s, &s->waiting[i]);
	}
	closer_look(&s->closer, true, supervisor_now_ms());
	/* To be closed by exec is to be closed by this process. */
	r = s->closer.count ? -EAGAIN : supervisor_place_hand_over(&s->place);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "%s", strerror(-r)) : 0;
}

/* SIGUSR2: the same process with the program that is on disk now. It has the same locks and the
 * same socket, in which whoever comes meanwhile waits, and finds the runs as after any other end.
 * Returns only where that does not work, and nothing is lost then: what exec(2) has begun nobody
 * takes back, so the program has to show before that it works here. */
void supervisor_upgrade(struct supervisor *s)
{
	struct error err = {0};
	autoclose int fd = supervisor_next_open(&err);

	s->upgrades = false;
	if (fd < 0 || supervisor_next_try(fd, SUPERVISOR_NEXT_MS, &err) < 0) {
		log_line(
			"supervise: the new version was not begun, this one goes on: %s", err.text);
		return;
	}
	s->upgrades = true;
	if (leave(s, &err) == 0)
		execute_next(s->options, fd, &err);
	log_line("supervise: the new version was not begun, this one goes on: %s", err.text);
	supervisor_place_keep(&s->place);
	s->upgrades = false;
	if (supervisor_watch(s, s->signal_fd, MARK_SIGNAL) < 0 ||
		supervisor_watch(s, s->place.listen_fd, MARK_LISTEN) < 0)
		log_line("supervise: it cannot go on: %s", strerror(errno));
}
