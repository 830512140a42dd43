/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-tell.h"

#include "base/log.h"
#include "daemon/group-untold.h"

#include <time.h>

#define LOCK_MS 200       /* while the run lasts: its other askers wait */
#define LOCK_LAST_MS 5000 /* at its end */
#define AGAIN_MS 1000

static uint64_t now_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* How often the effects say so, which only ever grows. */
static uint64_t count_of(const struct group_teller *by, unsigned trigger)
{
	const struct effects *e = by->effects;
	uint64_t count = 0;

	switch (trigger) {
	case PACE_BREAKER:
		return e->breakers_tripped;
	case PACE_ROGUE:
		return e->emergencies;
	case PACE_TIME_BOX:
		return by->time_box_over;
	case PACE_CAP:
		count = e->caps_crossed;
		for (unsigned i = 0; i < COUNTER_COUNT; i++)
			count += e->refused[i];
		return count;
	default:
		return 0;
	}
}

unsigned group_told_wanted(struct group_told *told, const struct group_teller *by)
{
	unsigned wanted = 0;

	for (unsigned i = 0; i < PACE_TRIGGER_COUNT; i++) {
		uint64_t count = count_of(by, i);

		if (by->is_isolated && told->told[i])
			told->told[i] = count;
		if (count > told->told[i])
			wanted |= 1U << i;
	}
	return wanted;
}

/* A suspicion first: it isolates, whatever becomes of the evidence. */
static int tell(struct group_told *told, const struct group_teller *by, unsigned wanted,
	unsigned lock_ms, struct error *err)
{
	for (unsigned i = 0; i < PACE_TRIGGER_COUNT; i++) {
		uint64_t count = count_of(by, i);
		int r;

		if (!(wanted & 1U << i))
			continue;
		r = group_tell_one(by->state, by->agent->group, by->agent->id, i, lock_ms, err);
		if (r < 0)
			return r;
		told->told[i] = count;
	}
	group_untold_drop(by->state, by->agent->group, by->run);
	told->kept = 0;
	return 0;
}

/* Before anything is waited for: from here on a kill of this process keeps nothing from the group.
 */
static void keep(struct group_told *told, const struct group_teller *by, unsigned wanted)
{
	struct error err = {0};

	if (!(wanted & ~told->kept))
		return;
	if (group_untold_keep(by->state, by->run, by->agent, wanted | told->kept, &err) == 0)
		told->kept |= wanted;
	else if (!told->failed)
		log_line("run: what the group %s is to be told cannot be kept: %s",
			by->agent->group, err.text);
}

static void tell_or_say(
	struct group_told *told, const struct group_teller *by, unsigned wanted, bool is_last)
{
	struct error err = {0};
	int r = tell(told, by, wanted, is_last ? LOCK_LAST_MS : LOCK_MS, &err);

	told->next_ms = now_ms() + AGAIN_MS;
	if (r < 0 && (is_last || !told->failed))
		log_line("run: the group %s was not told what this run did%s: %s", by->agent->group,
			is_last ? "; who starts its next run tells it" : "; it is tried again",
			err.text);
	told->failed |= r < 0;
}

void group_told_look(struct group_told *told, const struct group_teller *by, bool is_last)
{
	struct error err = {0};
	unsigned wanted;

	if (!by->agent || !by->agent->group[0])
		return;
	wanted = group_told_wanted(told, by);
	keep(told, by, wanted);
	if (wanted && (is_last || now_ms() >= told->next_ms))
		tell_or_say(told, by, wanted, is_last);
	if (!wanted && told->kept) {
		group_untold_drop(by->state, by->agent->group, by->run);
		told->kept = 0;
	}
	/* What others left; a lock that was not to be had is not waited for twice. */
	if (is_last && !told->kept && group_untold_tell(by->state, by->agent, LOCK_MS, &err) < 0)
		log_line("run: %s", err.text);
}
