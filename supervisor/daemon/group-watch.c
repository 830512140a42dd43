/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-watch.h"

#include "daemon/groups.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* For what is due and not written yet; the run's other askers wait. */
static const struct group_patience patience = {100, 300};
#define SETTLE_AGAIN_MS 60000

struct group_watch {
	struct groups groups;
	char group[PACE_NAME_MAX + 1], agent[AGENT_ID_BYTES + 1];
	int epoll_fd, notify_fd, timer_fd; /* owned; notify -1: only the timer */
	bool has_last;
	uint64_t blind_since_ms; /* CLOCK_BOOTTIME; 0: the file can be read */
	struct pace_effects last;
	unsigned last_phase;
	uint64_t settle_ms;      /* CLOCK_BOOTTIME: what is due is not tried to be written before */
	struct pace_group state; /* large: not on the stack of whoever looks */
};

static int add(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* A host without watches left still has the timer. */
static int open_notify(const struct group_watch *watch)
{
	autoclose int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", watch->groups.dir_fd);
	if (fd < 0 || inotify_add_watch(fd, path,
			      IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MODIFY | IN_ATTRIB |
				      IN_ONLYDIR) < 0)
		return -1;
	return take_fd(&fd);
}

int group_watch_open(const char *state, const char *group, const char *agent,
	struct group_watch **ret_watch, struct error *err)
{
	struct group_watch *watch;
	int r;

	if (!agent_name_is_good(group) || !agent_id_is_good(agent))
		return error_set(err, -EINVAL, ERROR_INPUT, "the agent's group or its id is none");
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to watch a group");
	watch->groups = GROUPS_NONE;
	watch->notify_fd = -1;
	snprintf(watch->group, sizeof(watch->group), "%s", group);
	snprintf(watch->agent, sizeof(watch->agent), "%s", agent);
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	r = groups_open(state, &watch->groups, err);
	if (r == 0) {
		watch->notify_fd = open_notify(watch);
		if (watch->epoll_fd < 0 || watch->timer_fd < 0 ||
			add(watch->epoll_fd, watch->notify_fd) < 0 ||
			add(watch->epoll_fd, watch->timer_fd) < 0)
			r = error_errno(err, "watch the group %s", group);
	}
	if (r < 0) {
		group_watch_close(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

int group_watch_fd(const struct group_watch *watch)
{
	return watch->epoll_fd;
}

/* Events are only a reason to look; what they say does not matter. */
static void drain(const struct group_watch *watch)
{
	char bytes[4096] __attribute__((aligned(8)));
	uint64_t ticks;

	while (watch->notify_fd >= 0 && read(watch->notify_fd, bytes, sizeof(bytes)) > 0)
		;
	(void)!read(watch->timer_fd, &ticks, sizeof(ticks));
}

static void arm(const struct group_watch *watch, uint64_t ms)
{
	uint64_t wait = ms < GROUP_WATCH_MS ? ms + 1 : GROUP_WATCH_MS;
	const struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(wait / 1000),
						.tv_nsec = (long)(wait % 1000) * 1000000}};

	(void)timerfd_settime(watch->timer_fd, 0, &spec, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* This process or the host had nothing left for a moment, which says nothing about the group. */
static const int passing[] = {EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN, EIO};

/* What held before holds for that long, and no longer: then it is unknown. */
static bool is_passing(struct group_watch *watch, int r)
{
	for (size_t i = 0; i < array_size(passing) && watch->has_last; i++) {
		if (r != -passing[i])
			continue;
		if (!watch->blind_since_ms)
			watch->blind_since_ms = now_ms();
		return now_ms() - watch->blind_since_ms < GROUP_WATCH_BLIND_MS;
	}
	return false;
}

/* Whoever looks writes down what is due, so that all see one history; where that does not succeed,
 * now and then. */
static int look(struct group_watch *watch, uint64_t *ret_next_ms)
{
	struct error ignored = {0};
	bool waits = false;
	int r;

	if (now_ms() < watch->settle_ms)
		r = groups_look(&watch->groups, watch->group, &watch->state, &ignored);
	else
		r = groups_settle(
			&watch->groups, watch->group, &patience, &watch->state, &waits, &ignored);
	if (waits)
		watch->settle_ms = now_ms() + SETTLE_AGAIN_MS;
	/* What is due already is no reason to look again at once. */
	if (r == 0 && now_ms() >= watch->settle_ms)
		*ret_next_ms = pace_next_ms(&watch->state);
	return r;
}

bool group_watch_look(
	struct group_watch *watch, struct pace_effects *ret_effects, unsigned *ret_phase)
{
	uint64_t next_ms = UINT64_MAX;
	struct pace_effects now;
	unsigned phase = PHASE_COUNT;
	bool is_new;
	int r;

	drain(watch);
	r = look(watch, &next_ms);
	if (r == 0) {
		watch->blind_since_ms = 0;
		pace_effects(&watch->state, watch->agent, &now);
		phase = watch->state.phase;
	} else if (is_passing(watch, r)) {
		now = watch->last;
		phase = watch->last_phase;
		next_ms = GROUP_WATCH_AGAIN_MS;
	} else {
		pace_effects_unknown(&now);
	}
	arm(watch, next_ms);
	is_new = !watch->has_last || now.posture != watch->last.posture ||
		 now.posture_staged != watch->last.posture_staged || phase != watch->last_phase;
	watch->has_last = true;
	watch->last = now;
	watch->last_phase = phase;
	*ret_effects = now;
	*ret_phase = phase;
	return is_new;
}

void group_watch_close(struct group_watch *watch)
{
	if (!watch)
		return;
	groups_close(&watch->groups);
	own_close(&watch->notify_fd);
	own_close(&watch->timer_fd);
	own_close(&watch->epoll_fd);
	free(watch);
}
