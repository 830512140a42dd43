/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace-time.h"

#include "govern/pace-table.h"

#include <stdio.h>

#define BIT(value) (1U << (value))

/* What time and settings bring, the more restrictive first. */
static const struct {
	enum pace_trigger trigger;
	enum pace_authority authority;
	enum phase to;  /* COUNT: as configured */
	unsigned waits; /* for these conditions */
} timers[] = {
	{PACE_CONFIGURED, PACE_BY_BERM, PHASE_COUNT, 0},
	{PACE_UNANSWERED, PACE_BY_OBSERVER, PHASE_EMERGENCY, PACE_IF_UNANSWERED},
	{PACE_WINDOW, PACE_BY_BERM, PHASE_EMERGENCY, PACE_IF_WINDOW_OVER},
	{PACE_CYCLES, PACE_BY_BERM, PHASE_CONTINGENCY, 0},
	{PACE_STAYED, PACE_BY_BERM, PHASE_CONTINGENCY, PACE_IF_STAYED},
	{PACE_STABLE, PACE_BY_BERM, PHASE_PRIMARY, PACE_IF_STABLE},
};

static struct pace_event timer_event(const struct pace_group *group, size_t i)
{
	struct pace_event event = {
		.trigger = timers[i].trigger, .authority = timers[i].authority, .to = timers[i].to};

	if (event.to == PHASE_COUNT)
		event.to = group->configured;
	if (timers[i].to == PHASE_EMERGENCY && group->requests[PACE_SLOT_EMERGENCY].agent[0])
		event.agent = group->requests[PACE_SLOT_EMERGENCY].agent;
	return event;
}

/* How long the timer still waits, where that ends within the way; UINT64_MAX: it does not, or what
 * waits would not come then. */
static uint64_t due_in(struct pace_group *group, size_t i, const struct pace_way *way, bool off)
{
	struct pace_event event = timer_event(group, i);
	uint64_t wait = pace_time_missing(group, timers[i].waits);
	const struct pace_clock clock = group->clock;
	struct pace_outcome ignored = {0};
	const struct pace_row *row;

	/* What counts on the first clock does not come while that stands. */
	if (wait > (off ? way->off_ms : way->on_ms) ||
		(off && wait && timers[i].waits == PACE_IF_STABLE))
		return UINT64_MAX;
	group->clock.moment.most_ms += wait;
	group->clock.moment.least_ms += off ? 0 : wait;
	row = pace_find_row(group, &event, &ignored);
	group->clock = clock;
	return row ? wait : UINT64_MAX;
}

/* The timer that is over first; of those that are over at once the more restrictive one. */
static size_t find_due(struct pace_group *group, const struct pace_way *way, bool off,
	unsigned without, uint64_t *ret_wait)
{
	size_t found = array_size(timers);

	*ret_wait = UINT64_MAX;
	for (size_t i = 0; i < array_size(timers); i++) {
		uint64_t wait =
			without & BIT(timers[i].trigger) ? UINT64_MAX : due_in(group, i, way, off);

		if (wait >= *ret_wait)
			continue;
		*ret_wait = wait;
		found = i;
	}
	return found;
}

void pace_tick_without(struct pace_group *group, const struct pace_now *now, unsigned without,
	struct pace_outcome *ret_outcome)
{
	for (unsigned off = 2; off-- > 0;) {
		struct pace_way way = pace_clock_way(&group->clock, now);
		uint64_t wait;
		size_t i = find_due(group, &way, off, without, &wait);
		struct pace_event event;
		char agent[AGENT_ID_BYTES + 1];

		if (i == array_size(timers)) {
			way.on_ms = 0;
			if (off && way.off_ms)
				pace_clock_walk(&group->clock, now, &way);
			continue;
		}
		if (wait)
			pace_clock_walk(&group->clock, now,
				&(struct pace_way){off ? wait : 0, off ? 0 : wait});
		event = timer_event(group, i);
		/* The request that holds the id ends with the change. */
		snprintf(agent, sizeof(agent), "%s", event.agent ? event.agent : "");
		event.agent = agent[0] ? agent : NULL;
		pace_attempt(group, &event, ret_outcome);
		return;
	}
	pace_clock_advance(&group->clock, now);
	*ret_outcome = (struct pace_outcome){.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.trigger = PACE_TRIGGER_COUNT,
		.authority = PACE_BY_BERM,
		.wanted = group->phase};
}

void pace_tick(
	struct pace_group *group, const struct pace_now *now, struct pace_outcome *ret_outcome)
{
	pace_tick_without(group, now, 0, ret_outcome);
}

bool pace_loosens(const struct pace_outcome *outcome)
{
	return outcome->after < outcome->before || (outcome->actions & PACE_RELEASE);
}

bool pace_settle(
	struct pace_group *group, const struct pace_now *now, unsigned steps, bool *ret_due)
{
	struct pace_outcome outcome;
	bool due = false, whole = false;

	for (unsigned i = 0; i < steps && !whole; i++) {
		struct pace_group before = *group;

		pace_tick(group, now, &outcome);
		whole = outcome.result != PACE_CHANGED;
		due |= !whole;
		if (whole || !pace_loosens(&outcome))
			continue;
		*group = before;
		pace_clock_advance(&group->clock, now);
		whole = true;
	}
	if (ret_due)
		*ret_due = due;
	return whole;
}

uint64_t pace_next(const struct pace_group *group, struct pace_outcome *ret_outcome)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < array_size(timers); i++) {
		struct pace_event event = timer_event(group, i);
		struct pace_group later = *group;
		struct pace_outcome outcome;
		uint64_t wait = pace_time_missing(group, timers[i].waits);

		/* Were the wait over: would it change anything? */
		pace_clock_skip(&later.clock, wait);
		event.agent = NULL;
		pace_attempt(&later, &event, &outcome);
		if (outcome.result != PACE_REFUSED && wait < next) {
			next = wait;
			*ret_outcome = outcome;
		}
	}
	return next;
}

uint64_t pace_next_ms(const struct pace_group *group)
{
	struct pace_outcome outcome;

	return pace_next(group, &outcome);
}
