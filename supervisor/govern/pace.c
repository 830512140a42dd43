/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include "govern/pace-table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define BIT(value) (1U << (value))

static void name_copy(char to[PACE_NAME_MAX + 1], const char *from)
{
	snprintf(to, PACE_NAME_MAX + 1, "%s", from ? from : "");
}

static void id_copy(char to[AGENT_ID_BYTES + 1], const char *from)
{
	snprintf(to, AGENT_ID_BYTES + 1, "%s", from ? from : "");
}

void pace_group_start(struct pace_group *group, const char *name, const uint8_t id[PACE_ID_BYTES],
	unsigned tier, unsigned configured, const struct pace_now *now)
{
	assert(tier >= 1 && tier <= 3 && configured < PHASE_COUNT && agent_name_is_good(name));
	*group = (struct pace_group){.tier = tier, .configured = configured, .phase = configured};
	name_copy(group->name, name);
	memcpy(group->id, id, PACE_ID_BYTES);
	group->window_ms = PACE_WINDOW_MS;
	pace_clock_start(&group->clock, now);
	group->entered = group->disturbed = group->clock.moment;
}

static bool is_isolated(const struct pace_group *group, const char *agent)
{
	if (group->all_isolated)
		return true;
	for (size_t i = 0; i < group->isolated_count; i++)
		if (strcmp(group->isolated[i].agent, agent) == 0)
			return true;
	return false;
}

static void isolate(struct pace_group *group, const char *agent)
{
	struct pace_isolated *free_slot = &group->isolated[group->isolated_count];

	if (!agent || !agent[0] || is_isolated(group, agent))
		return;
	if (group->isolated_count == array_size(group->isolated)) {
		group->all_isolated = true;
		return;
	}
	id_copy(free_slot->agent, agent);
	free_slot->since = group->clock.moment;
	group->isolated_count++;
}

static void enter(struct pace_group *group, unsigned to)
{
	const struct pace_moment *now = &group->clock.moment;

	if (group->phase == PHASE_ALTERNATE && to == PHASE_PRIMARY) {
		if (group->return_count == array_size(group->returns))
			memmove(group->returns, group->returns + 1,
				--group->return_count * sizeof(group->returns[0]));
		group->returns[group->return_count++] = *now;
	}
	/* Somebody has looked at a group that leaves contingency: its cycles begin anew. */
	if (to < group->phase && group->phase >= PHASE_CONTINGENCY)
		group->return_count = 0;
	if (group->phase == PHASE_EMERGENCY)
		group->recovering = true;
	if (to == PHASE_EMERGENCY)
		group->recovering = false;
	if (to == PHASE_PRIMARY) {
		group->recovering = false;
		group->isolated_count = 0;
		group->all_isolated = false;
	}
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
		if (group->requests[i].open && group->requests[i].to <= to)
			group->requests[i] = (struct pace_request){0};
	group->phase = to;
	group->entered = group->disturbed = *now;
	group->explained = false;
	if (group->changes < UINT64_MAX)
		group->changes++;
}

static struct pace_request *slot_of(struct pace_group *group, unsigned to)
{
	return &group->requests[to == PHASE_EMERGENCY ? PACE_SLOT_EMERGENCY
						      : PACE_SLOT_CONTINGENCY];
}

const struct pace_request *pace_request_of(const struct pace_group *group, unsigned to)
{
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
		if (group->requests[i].open && group->requests[i].to == to)
			return &group->requests[i];
	return NULL;
}

bool pace_is_undecided(const struct pace_group *group)
{
	return group->requests[PACE_SLOT_CONTINGENCY].open ||
	       group->requests[PACE_SLOT_EMERGENCY].open;
}

static void ask(
	struct pace_group *group, const struct pace_row *row, const struct pace_event *event)
{
	struct pace_request *r = slot_of(group, row->to);

	*r = (struct pace_request){.open = true,
		.to = row->to,
		.trigger = event->trigger,
		.authority = event->authority,
		.since = group->clock.moment};
	name_copy(r->source, event->source);
	id_copy(r->agent, event->agent);
}

static void perform(struct pace_group *group, const struct pace_row *row,
	const struct pace_event *event, struct pace_outcome *outcome)
{
	bool evidence = (PACE_EVIDENCE & BIT(event->trigger)) != 0;

	outcome->actions = row->actions;
	switch (row->how) {
	case PACE_GO:
		outcome->result = PACE_CHANGED;
		if (row->to > group->phase) {
			isolate(group, event->agent);
			/* Who was held for this decision is not forgotten with it. */
			for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
				if (group->requests[i].open && group->requests[i].to <= row->to)
					isolate(group, group->requests[i].agent);
		}
		enter(group, row->to);
		break;
	case PACE_ASK:
		outcome->result = PACE_ASKED;
		group->disturbed = group->clock.moment;
		group->explained = false;
		/* Evidence contains only until it is decided upon, a suspicion until the return. */
		if (!evidence)
			isolate(group, event->agent);
		ask(group, row, event);
		break;
	case PACE_STAY:
		outcome->result = PACE_NOTED;
		if (event->trigger == PACE_DISMISSED)
			*slot_of(group, row->to) = (struct pace_request){0};
		else
			group->explained = true;
		break;
	}
	outcome->after = group->phase;
	if (!outcome->agent[0])
		outcome->actions &= ~(unsigned)PACE_ISOLATE;
}

static void attempt(
	struct pace_group *group, const struct pace_event *event, struct pace_outcome *outcome)
{
	const struct pace_row *row;

	*outcome = (struct pace_outcome){.result = PACE_REFUSED,
		.before = group->phase,
		.after = group->phase,
		.trigger = event->trigger,
		.authority = event->authority,
		.wanted = event->to};
	id_copy(outcome->agent, event->agent);
	row = pace_find_row(group, event, outcome);
	if (!row)
		return;
	outcome->refusal = PACE_FINE;
	outcome->wait_ms = 0;
	outcome->missing_review = 0;
	outcome->wanted = row->to;
	perform(group, row, event, outcome);
}

/* It speaks against a return, and whom it names is isolated; the phase stays. */
static void note(
	struct pace_group *group, const struct pace_event *event, struct pace_outcome *outcome)
{
	*outcome = (struct pace_outcome){.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.trigger = event->trigger,
		.authority = event->authority,
		.wanted = group->phase};
	id_copy(outcome->agent, event->agent);
	if (event->agent && event->agent[0]) {
		isolate(group, event->agent);
		outcome->actions = PACE_ISOLATE;
	}
	group->disturbed = group->clock.moment;
	group->explained = false;
}

/* What a suspicion is in alternate: another agent's, the backup's, or nothing new. False: nothing
 * new. */
static bool refine_suspicion(const struct pace_group *group, struct pace_event *event)
{
	if (group->phase == PHASE_PRIMARY)
		return true;
	if (group->phase != PHASE_ALTERNATE || !event->agent || is_isolated(group, event->agent) ||
		pace_request_of(group, PHASE_CONTINGENCY))
		return false;
	event->to = PHASE_CONTINGENCY;
	event->trigger = strcmp(event->agent, group->backup) == 0 ? PACE_BACKUP : PACE_SECOND_AGENT;
	return event->trigger == PACE_BACKUP || group->isolated_count > 0;
}

/* The same for a signal that speaks for an emergency: a second one, or the first one again. */
static bool refine_evidence(const struct pace_group *group, struct pace_event *event)
{
	const struct pace_request *r = pace_request_of(group, PHASE_EMERGENCY);

	if (group->phase == PHASE_EMERGENCY)
		return false;
	event->to = PHASE_EMERGENCY;
	if (!r)
		return true;
	if (strcmp(r->source, event->source ? event->source : "") == 0)
		return false;
	event->trigger = PACE_SECOND_SIGNAL;
	event->authority = PACE_BY_BERM;
	return true;
}

static bool is_malformed(const struct pace_event *event)
{
	return event->trigger >= PACE_TRIGGER_COUNT || event->authority >= PACE_AUTHORITY_COUNT ||
	       event->to > PHASE_COUNT || (event->review & ~(unsigned)PACE_REVIEW_ALL) ||
	       (event->agent && !agent_id_is_good(event->agent)) ||
	       (event->source && !agent_name_is_good(event->source));
}

static void refuse(const struct pace_group *group, const struct pace_event *event,
	enum pace_refusal refusal, struct pace_outcome *outcome)
{
	*outcome = (struct pace_outcome){.result = PACE_REFUSED,
		.refusal = refusal,
		.before = group->phase,
		.after = group->phase,
		.trigger = event->trigger,
		.authority = event->authority,
		.wanted = event->to};
}

/* Who says that the group is to be where it is says nothing new; it counts as a disturbance. */
static bool is_there(const struct pace_group *group, const struct pace_event *event)
{
	if (event->to != group->phase)
		return false;
	switch ((enum pace_trigger)event->trigger) {
	case PACE_DECLARED:
		return event->authority >= PACE_BY_OPERATOR;
	case PACE_KILL:
		return event->authority == PACE_BY_KILL_KEY;
	case PACE_CASCADE:
	case PACE_EXFILTRATION:
	case PACE_COORDINATION:
	case PACE_ROGUE:
		return event->authority == PACE_BY_COMMANDER;
	case PACE_CAP:
	case PACE_BREAKER:
	case PACE_SCORE:
	case PACE_EXTERNAL:
	case PACE_SECOND_AGENT:
	case PACE_BACKUP:
	case PACE_STAYED:
	case PACE_CYCLES:
	case PACE_SECOND_SIGNAL:
	case PACE_WINDOW:
	case PACE_UNANSWERED:
	case PACE_DISMISSED:
	case PACE_EXPLAINED:
	case PACE_STABLE:
	case PACE_REVIEWED:
	case PACE_CONFIGURED:
	case PACE_TRIGGER_COUNT:
		break;
	}
	return false;
}

/* Who says no without saying to what answers the one decision that is open. False: there are two.
 */
static bool find_decision(const struct pace_group *group, struct pace_event *event)
{
	if (event->trigger != PACE_DISMISSED || event->to != PHASE_COUNT)
		return true;
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++) {
		if (group->requests[i].open && event->to != PHASE_COUNT)
			return false;
		if (group->requests[i].open)
			event->to = group->requests[i].to;
	}
	return true;
}

void pace_apply(struct pace_group *group, const struct pace_now *now,
	const struct pace_event *event, struct pace_outcome *ret_outcome)
{
	struct pace_event e = *event;
	bool signal = e.authority == PACE_BY_BERM || e.authority == PACE_BY_OBSERVER;

	pace_clock_advance(&group->clock, now);
	if (is_malformed(&e)) {
		refuse(group, event, PACE_MALFORMED, ret_outcome);
	} else if (!find_decision(group, &e)) {
		refuse(group, event, PACE_WHICH, ret_outcome);
	} else if (PACE_INNER_TRIGGERS & BIT(e.trigger)) {
		refuse(group, event, PACE_NO_RULE, ret_outcome);
	} else if (signal &&
		   (((PACE_SUSPICIONS & BIT(e.trigger)) && !refine_suspicion(group, &e)) ||
			   ((PACE_EVIDENCE & BIT(e.trigger)) && !refine_evidence(group, &e)))) {
		note(group, event, ret_outcome);
	} else if (is_there(group, &e)) {
		note(group, event, ret_outcome);
	} else if (e.trigger == PACE_REVIEWED && e.to != PHASE_COUNT && e.to + 1 < group->phase) {
		refuse(group, event, PACE_NO_SKIPPING, ret_outcome);
	} else {
		attempt(group, &e, ret_outcome);
	}
}

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

void pace_tick(
	struct pace_group *group, const struct pace_now *now, struct pace_outcome *ret_outcome)
{
	pace_clock_advance(&group->clock, now);
	for (size_t i = 0; i < array_size(timers); i++) {
		struct pace_event event = timer_event(group, i);
		char agent[AGENT_ID_BYTES + 1];

		/* The request that holds the id ends with the change. */
		id_copy(agent, event.agent);
		event.agent = agent[0] ? agent : NULL;
		attempt(group, &event, ret_outcome);
		if (ret_outcome->result != PACE_REFUSED)
			return;
	}
	*ret_outcome = (struct pace_outcome){.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.trigger = PACE_TRIGGER_COUNT,
		.authority = PACE_BY_BERM,
		.wanted = group->phase};
}

bool pace_settle(struct pace_group *group, const struct pace_now *now, unsigned steps)
{
	struct pace_outcome outcome;

	for (unsigned i = 0; i < steps; i++) {
		pace_tick(group, now, &outcome);
		if (outcome.result != PACE_CHANGED)
			return true;
	}
	return false;
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
		attempt(&later, &event, &outcome);
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
