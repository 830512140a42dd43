/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "daemon/supervisor-internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define DRAIN_MS 500
#define SELF "/proc/self/exe"
#define REPLACED " (deleted)" /* proc(5): behind the name of a program whose file is gone */

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

/* Where this process's program came from. */
static int find_program(char path[PATH_MAX], struct error *err)
{
	ssize_t length = readlink(SELF, path, PATH_MAX - 1);
	const size_t mark = strlen(REPLACED);

	if (length < 0)
		return error_errno(err, "read " SELF);
	path[length] = '\0';
	if ((size_t)length > mark && strcmp(path + length - mark, REPLACED) == 0)
		path[(size_t)length - mark] = '\0';
	return 0;
}

/* What is executed with our rights is root's or ours, and nobody else can change it. */
static int check_program(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at %s", path);
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) || st.st_mode & 022)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s is no program of root's or this user's that nobody else can change",
			path);
	return 0;
}

static void execute_next(const struct supervisor_options *options, struct error *err)
{
	const char *argv[] = {"berm", "supervise", "--state-dir", options->state,
		options->socket ? "--socket" : NULL, options->socket, NULL};
	char path[PATH_MAX];
	autoclose int fd = -1;

	if (find_program(path, err) < 0)
		return;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		error_errno(err, "open %s", path);
		return;
	}
	if (check_program(fd, path, err) < 0)
		return;
	execveat(fd, "", (char **)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	error_errno(err, "execute %s", path);
}

/* SIGUSR2: the same process with the program that is on disk now. It has the same locks and the
 * same socket, in which whoever comes meanwhile waits, and finds the runs as after any other end.
 * Returns only where that does not work, and nothing is lost then. */
void supervisor_upgrade(struct supervisor *s)
{
	struct error err = {0};
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
	if (r == 0)
		execute_next(s->options, &err);
	log_line("supervise: the new version was not begun, this one goes on: %s",
		err.code ? err.text : strerror(-r));
	supervisor_place_keep(&s->place);
	s->upgrades = false;
	if (supervisor_watch(s, s->signal_fd, MARK_SIGNAL) < 0 ||
		supervisor_watch(s, s->place.listen_fd, MARK_LISTEN) < 0)
		log_line("supervise: it cannot go on: %s", strerror(errno));
}
