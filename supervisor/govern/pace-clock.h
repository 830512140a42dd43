/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* The clocks of a group. Time comes in from outside; nothing here asks for it.
 *
 * Boot time is exact while the host is up and begins anew with each boot, and how long the host was
 * off nobody can say for certain. So a group has two clocks that go on over reboots: one that never
 * runs ahead of real time and one that, as far as the wall clock tells, never runs behind it. Waits
 * whose end loosens something count on the first, waits whose end tightens something on the second.
 * Neither ever goes back, and both stop at UINT64_MAX instead of going over. */

#define PACE_BOOT_ID_BYTES 16

/* The host's time, as it came in. */
struct pace_now {
	uint8_t boot_id[PACE_BOOT_ID_BYTES];
	uint64_t boot_ms; /* CLOCK_BOOTTIME */
	uint64_t wall_ms; /* since 1970; only records and what happens over a reboot look at it */
};

/* A moment of a group. */
struct pace_moment {
	uint64_t least_ms; /* of the clock that never runs ahead */
	uint64_t most_ms;  /* of the clock that never runs behind; >= least_ms */
	uint64_t wall_ms;
};

struct pace_clock {
	uint8_t boot_id[PACE_BOOT_ID_BYTES];
	uint64_t boot_ms;
	struct pace_moment moment;
};

/* A clock that starts now. */
void pace_clock_start(struct pace_clock *clock, const struct pace_now *now);
/* Bring the clock up to now. Within one boot both clocks advance by what boot time did, and stand
 * where it seems to go back (a snapshot of a machine taken up again). After a reboot the first one
 * advances by the new boot's age, the second one by what the wall clock says where that is more. */
void pace_clock_advance(struct pace_clock *clock, const struct pace_now *now);
/* The way from where the clock stands to now: first the time off, in which only the second clock
 * goes on, then the boot of now, in which both do. */
struct pace_way {
	uint64_t off_ms, on_ms;
};
struct pace_way pace_clock_way(const struct pace_clock *clock, const struct pace_now *now);
/* Go a part of it: at most off_ms, and of on_ms only what comes after all of off_ms. The rest of
 * the way is there as before. */
void pace_clock_walk(
	struct pace_clock *clock, const struct pace_now *now, const struct pace_way *part);

/* Let both clocks go on by ms: for questions about the future. */
void pace_clock_skip(struct pace_clock *clock, uint64_t ms);

/* How long ago a moment is at least, and at most; 0 where it lies ahead. */
uint64_t pace_at_least_ms(const struct pace_clock *clock, const struct pace_moment *since);
uint64_t pace_at_most_ms(const struct pace_clock *clock, const struct pace_moment *since);
