/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace-clock.h"

#include <stdbool.h>
#include <string.h>

/* The most that a wall clock is believed to have gone on over one reboot, ten years: one that was
 * set to nonsense must not use up the clock. */
#define WALL_BELIEVED_MS (10ULL * 366 * 24 * 3600 * 1000)

static uint64_t plus(uint64_t a, uint64_t b)
{
	return b > UINT64_MAX - a ? UINT64_MAX : a + b;
}

static uint64_t beyond(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

void pace_clock_start(struct pace_clock *clock, const struct pace_now *now)
{
	*clock = (struct pace_clock){.boot_ms = now->boot_ms, .moment.wall_ms = now->wall_ms};
	memcpy(clock->boot_id, now->boot_id, sizeof(clock->boot_id));
}

static bool is_same_boot(const struct pace_clock *clock, const struct pace_now *now)
{
	return memcmp(clock->boot_id, now->boot_id, sizeof(clock->boot_id)) == 0;
}

struct pace_way pace_clock_way(const struct pace_clock *clock, const struct pace_now *now)
{
	uint64_t wall = beyond(now->wall_ms, clock->moment.wall_ms);

	if (is_same_boot(clock, now))
		return (struct pace_way){.on_ms = beyond(now->boot_ms, clock->boot_ms)};
	wall = wall < WALL_BELIEVED_MS ? wall : WALL_BELIEVED_MS;
	/* The clock was last right before this boot, so that the boot's age has passed. */
	return (struct pace_way){.off_ms = beyond(wall, now->boot_ms), .on_ms = now->boot_ms};
}

void pace_clock_walk(
	struct pace_clock *clock, const struct pace_now *now, const struct pace_way *part)
{
	const struct pace_way whole = pace_clock_way(clock, now);
	struct pace_moment *m = &clock->moment;

	m->least_ms = plus(m->least_ms, part->on_ms);
	m->most_ms = plus(m->most_ms, plus(part->off_ms, part->on_ms));
	if (part->off_ms < whole.off_ms || (whole.off_ms && !part->on_ms)) {
		m->wall_ms = plus(m->wall_ms, part->off_ms);
		return;
	}
	m->wall_ms = beyond(now->wall_ms, whole.on_ms - part->on_ms);
	if (!is_same_boot(clock, now)) {
		clock->boot_ms = 0;
		memcpy(clock->boot_id, now->boot_id, sizeof(clock->boot_id));
	}
	clock->boot_ms = plus(clock->boot_ms, part->on_ms);
}

void pace_clock_advance(struct pace_clock *clock, const struct pace_now *now)
{
	const struct pace_way way = pace_clock_way(clock, now);

	pace_clock_walk(clock, now, &way);
	/* Where the host was off and no boot time has passed yet. */
	if (!is_same_boot(clock, now)) {
		clock->boot_ms = now->boot_ms;
		memcpy(clock->boot_id, now->boot_id, sizeof(clock->boot_id));
	}
	clock->moment.wall_ms = now->wall_ms;
}

void pace_clock_skip(struct pace_clock *clock, uint64_t ms)
{
	clock->moment.least_ms = plus(clock->moment.least_ms, ms);
	clock->moment.most_ms = plus(clock->moment.most_ms, ms);
}

uint64_t pace_at_least_ms(const struct pace_clock *clock, const struct pace_moment *since)
{
	return beyond(clock->moment.least_ms, since->least_ms);
}

uint64_t pace_at_most_ms(const struct pace_clock *clock, const struct pace_moment *since)
{
	return beyond(clock->moment.most_ms, since->most_ms);
}
