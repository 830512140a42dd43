/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-watch.h"

#include "daemon/groups.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct group_watch {
	struct groups groups;
	char group[PACE_NAME_MAX + 1], agent[AGENT_ID_BYTES + 1];
	int epoll_fd, notify_fd, timer_fd; /* owned; notify -1: only the timer */
	bool has_last;
	struct pace_effects last;
	unsigned last_phase;
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

bool group_watch_look(
	struct group_watch *watch, struct pace_effects *ret_effects, unsigned *ret_phase)
{
	uint64_t next_ms = UINT64_MAX;
	struct error ignored = {0};
	struct pace_effects now;
	unsigned phase = PHASE_COUNT;
	bool is_new;
	int r;

	drain(watch);
	r = groups_look(&watch->groups, watch->group, &watch->state, &ignored);
	if (r == 0) {
		pace_effects(&watch->state, watch->agent, &now);
		phase = watch->state.phase;
		next_ms = pace_next_ms(&watch->state);
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
