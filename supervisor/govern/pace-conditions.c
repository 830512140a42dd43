/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace-table.h"

#include <string.h>

#define BIT(value) (1U << (value))

static unsigned recent_returns(const struct pace_group *group)
{
	unsigned count = 0;

	for (size_t i = 0; i < group->return_count; i++)
		count += pace_at_least_ms(&group->clock, &group->returns[i]) < PACE_CYCLE_WINDOW_MS;
	return count;
}

static uint64_t supervised_ms(const struct pace_group *group)
{
	static const uint64_t waits[] = {0, 0, PACE_SUPERVISED_2_MS, PACE_SUPERVISED_3_MS};

	if (!group->recovering)
		return 0;
	return waits[group->tier < array_size(waits) ? group->tier : array_size(waits) - 1];
}

static uint64_t missing(uint64_t wanted_ms, uint64_t passed_ms)
{
	return passed_ms < wanted_ms ? wanted_ms - passed_ms : 0;
}

uint64_t pace_time_missing(const struct pace_group *group, unsigned condition)
{
	const struct pace_moment *asked = &group->requests[PACE_SLOT_EMERGENCY].since;
	const struct pace_clock *clock = &group->clock;

	switch (condition) {
	case PACE_IF_WINDOW_OVER:
		return missing(group->window_ms, pace_at_most_ms(clock, asked));
	case PACE_IF_UNANSWERED:
		return missing(PACE_UNANSWERED_MS, pace_at_most_ms(clock, asked));
	case PACE_IF_STAYED:
		return missing(PACE_ALTERNATE_MAX_MS, pace_at_most_ms(clock, &group->entered));
	case PACE_IF_SUPERVISED:
		return missing(supervised_ms(group), pace_at_least_ms(clock, &group->entered));
	case PACE_IF_STABLE:
		return missing(PACE_STABLE_MS, pace_at_least_ms(clock, &group->disturbed));
	}
	return 0;
}

uint64_t pace_step_missing_ms(const struct pace_group *group)
{
	return pace_time_missing(group, PACE_IF_SUPERVISED);
}

bool pace_is_same_source(const struct pace_request *request, const struct pace_event *event)
{
	const char *source = event->source ? event->source : "";

	if (request->source[0] || source[0])
		return strcmp(request->source, source) == 0;
	return strcmp(request->agent, event->agent ? event->agent : "") == 0;
}

static enum pace_refusal timed(
	const struct pace_group *group, unsigned condition, struct pace_outcome *outcome)
{
	outcome->wait_ms = pace_time_missing(group, condition);
	return outcome->wait_ms ? PACE_TOO_EARLY : PACE_FINE;
}

static enum pace_refusal unless(bool holds, enum pace_refusal refusal)
{
	return holds ? PACE_FINE : refusal;
}

static enum pace_refusal check_one(const struct pace_group *group, const struct pace_row *row,
	const struct pace_event *event, unsigned condition, struct pace_outcome *outcome)
{
	const struct pace_request *request = pace_request_of(group, row->to);

	switch ((enum pace_condition)condition) {
	case PACE_IF_CONFIGURED:
		return unless(row->to == group->configured, PACE_NO_RULE);
	case PACE_IF_ASKED:
		return unless(request != NULL, PACE_NOT_ASKED);
	case PACE_IF_OTHER_SOURCE:
		return unless(request && !pace_is_same_source(request, event), PACE_NOT_ASKED);
	case PACE_IF_OBSERVER_ASKED:
		return unless(request && request->authority == PACE_BY_OBSERVER, PACE_NOT_ASKED);
	case PACE_IF_CYCLES_USED:
		return unless(recent_returns(group) >= PACE_CYCLES_MAX, PACE_NO_RULE);
	case PACE_IF_ABOVE_FLOOR:
		return unless(row->to >= group->configured, PACE_FLOOR);
	case PACE_IF_DECIDED:
		return unless(!pace_is_undecided(group), PACE_UNDECIDED);
	case PACE_IF_NOT_RECOVERING:
		return unless(!group->recovering, PACE_NO_RULE);
	case PACE_IF_REASON:
		return unless(event->reason && event->reason[0], PACE_NO_REASON);
	case PACE_IF_EXPLAINED:
		return unless(group->explained, PACE_NO_REASON);
	case PACE_IF_REVIEW:
		outcome->missing_review = PACE_REVIEW_ALL & ~event->review;
		return unless(outcome->missing_review == 0, PACE_NO_REVIEW);
	case PACE_IF_CYCLES_LEFT:
		return unless(recent_returns(group) < PACE_CYCLES_MAX, PACE_TOO_OFTEN);
	case PACE_IF_WINDOW_OVER:
	case PACE_IF_UNANSWERED:
	case PACE_IF_STAYED:
	case PACE_IF_SUPERVISED:
	case PACE_IF_STABLE:
		return timed(group, condition, outcome);
	case PACE_CONDITIONS_ALL:
		break;
	}
	return PACE_MALFORMED;
}

static enum pace_refusal check_all(const struct pace_group *group, const struct pace_row *row,
	const struct pace_event *event, struct pace_outcome *outcome)
{
	for (unsigned bit = 1; bit < PACE_CONDITIONS_ALL; bit <<= 1) {
		enum pace_refusal refusal = PACE_FINE;

		if (row->conditions & bit)
			refusal = check_one(group, row, event, bit, outcome);
		if (refusal != PACE_FINE)
			return refusal;
	}
	return PACE_FINE;
}

static bool matches(
	const struct pace_group *group, const struct pace_row *row, const struct pace_event *event)
{
	return (row->from & BIT(group->phase)) && (row->triggers & BIT(event->trigger)) &&
	       (event->to == PHASE_COUNT || event->to == row->to) &&
	       !((row->conditions & PACE_IF_NOT_RECOVERING) && group->recovering);
}

const struct pace_row *pace_find_row(const struct pace_group *group, const struct pace_event *event,
	struct pace_outcome *outcome)
{
	bool authorised = false;

	outcome->refusal = PACE_NO_RULE;
	for (size_t i = 0; i < pace_row_count; i++) {
		const struct pace_row *row = &pace_rows[i];
		struct pace_outcome tried = *outcome;

		if (!matches(group, row, event))
			continue;
		if (!(row->tiers & BIT(group->tier))) {
			if (outcome->refusal == PACE_NO_RULE)
				outcome->refusal = PACE_NOT_IN_TIER;
			continue;
		}
		outcome->who_may |= row->authorities;
		if (!(row->authorities & BIT(event->authority))) {
			if (!authorised)
				outcome->refusal = PACE_NO_AUTHORITY;
			continue;
		}
		tried.refusal = check_all(group, row, event, &tried);
		if (tried.refusal == PACE_FINE)
			return row;
		if (!authorised) {
			outcome->refusal = tried.refusal;
			outcome->wait_ms = tried.wait_ms;
			outcome->missing_review = tried.missing_review;
		}
		authorised = true;
	}
	return NULL;
}
