/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include "govern/pace-table.h"
#include "govern/pace-time.h"

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

static void isolate_asked(struct pace_group *group, const struct pace_request *r)
{
	isolate(group, r->agent);
	for (size_t i = 0; i < r->more_count; i++)
		isolate(group, r->more[i].agent);
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

/* Who is suspected takes nothing over. */
static void take_over(struct pace_group *group, const struct pace_event *event)
{
	if (!group->backup[0] || is_isolated(group, group->backup))
		return;
	group->takeover = (struct pace_takeover){
		.change = group->changes, .trigger = event->trigger, .authority = event->authority};
	name_copy(group->takeover.by, event->source);
}

bool pace_takeover_is_due(const struct pace_group *group)
{
	return group->takeover.change && !group->takeover.taken &&
	       group->takeover.change == group->changes && group->phase == PHASE_ALTERNATE;
}

bool pace_takeover_is_late(const struct pace_group *group)
{
	return pace_at_most_ms(&group->clock, &group->entered) > PACE_TAKEOVER_MS;
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
					isolate_asked(group, &group->requests[i]);
		}
		enter(group, row->to);
		if (row->actions & PACE_START_BACKUP)
			take_over(group, event);
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

void pace_attempt(
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

/* It speaks against a return; the phase stays. */
static void disturb(
	struct pace_group *group, const struct pace_event *event, struct pace_outcome *outcome)
{
	*outcome = (struct pace_outcome){.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.trigger = event->trigger,
		.authority = event->authority,
		.wanted = group->phase};
	id_copy(outcome->agent, event->agent);
	group->disturbed = group->clock.moment;
	group->explained = false;
}

/* The same, and whom it names is isolated. */
static void note(
	struct pace_group *group, const struct pace_event *event, struct pace_outcome *outcome)
{
	disturb(group, event, outcome);
	if (!event->agent || !event->agent[0])
		return;
	isolate(group, event->agent);
	outcome->actions = PACE_ISOLATE;
}

static bool is_finding(
	const char *agent, unsigned trigger, const struct pace_event *event, bool any_trigger)
{
	return strcmp(agent, event->agent ? event->agent : "") == 0 &&
	       (any_trigger || trigger == event->trigger);
}

/* Whether the question says so already. Who is suspected is asked about once, whatever it is
 * suspected of. */
static bool is_in_question(const struct pace_request *r, const struct pace_event *event)
{
	bool suspicion = (PACE_SUSPICIONS & BIT(event->trigger)) != 0;

	if (is_finding(r->agent, r->trigger, event, suspicion))
		return true;
	for (size_t i = 0; i < r->more_count; i++)
		if (is_finding(r->more[i].agent, r->more[i].trigger, event, suspicion))
			return true;
	return false;
}

/* The question is another one with each thing that is new in it, so that nobody's "no" to the first
 * one answers them all. It does not begin anew. */
static void add_to_question(struct pace_group *group, const struct pace_event *event, unsigned to,
	struct pace_outcome *outcome)
{
	bool suspicion = (PACE_SUSPICIONS & BIT(event->trigger)) != 0;
	struct pace_request *r = slot_of(group, to);

	disturb(group, event, outcome);
	if (suspicion)
		isolate(group, event->agent);
	if (is_in_question(r, event))
		return;
	if (r->more_count < array_size(r->more)) {
		struct pace_finding *more = &r->more[r->more_count++];

		more->trigger = event->trigger;
		id_copy(more->agent, event->agent);
	} else {
		r->agent[0] = '\0';
	}
	outcome->result = PACE_ASKED;
	outcome->wanted = to;
	outcome->actions = PACE_NOTIFY | PACE_CONTAIN | (suspicion ? PACE_ISOLATE : 0U);
}

/* What is made of a signal. */
enum signal {
	SIGNAL_NEW,  /* the table says */
	SIGNAL_MORE, /* of what a decision is open about */
	SIGNAL_NOTE, /* nothing new */
};

/* A suspicion in alternate: another agent's, the backup's, or nothing new. */
static enum signal refine_suspicion(const struct pace_group *group, struct pace_event *event)
{
	if (group->phase == PHASE_PRIMARY)
		return SIGNAL_NEW;
	if (group->phase != PHASE_ALTERNATE || !event->agent || is_isolated(group, event->agent))
		return SIGNAL_NOTE;
	if (pace_request_of(group, PHASE_CONTINGENCY)) {
		event->to = PHASE_CONTINGENCY;
		return SIGNAL_MORE;
	}
	event->to = PHASE_CONTINGENCY;
	event->trigger = strcmp(event->agent, group->backup) == 0 ? PACE_BACKUP : PACE_SECOND_AGENT;
	return event->trigger == PACE_BACKUP || group->isolated_count > 0 ? SIGNAL_NEW
									  : SIGNAL_NOTE;
}

/* The same for a signal that speaks for an emergency: a second one, or one more of the first. */
static enum signal refine_evidence(const struct pace_group *group, struct pace_event *event)
{
	const struct pace_request *r = pace_request_of(group, PHASE_EMERGENCY);

	if (group->phase == PHASE_EMERGENCY)
		return SIGNAL_NOTE;
	event->to = PHASE_EMERGENCY;
	if (!r)
		return SIGNAL_NEW;
	if (pace_is_same_source(r, event))
		return SIGNAL_MORE;
	event->trigger = PACE_SECOND_SIGNAL;
	event->authority = PACE_BY_BERM;
	return SIGNAL_NEW;
}

static enum signal refine(const struct pace_group *group, struct pace_event *event)
{
	if (event->authority != PACE_BY_BERM && event->authority != PACE_BY_OBSERVER)
		return SIGNAL_NEW;
	if (PACE_SUSPICIONS & BIT(event->trigger))
		return refine_suspicion(group, event);
	return PACE_EVIDENCE & BIT(event->trigger) ? refine_evidence(group, event) : SIGNAL_NEW;
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
	case PACE_TIME_BOX:
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

/* What is neither refused at first sight nor about where the group is already. */
static void apply_good(struct pace_group *group, const struct pace_event *event,
	struct pace_event *e, struct pace_outcome *outcome)
{
	switch (refine(group, e)) {
	case SIGNAL_NOTE:
		note(group, event, outcome);
		return;
	case SIGNAL_MORE:
		add_to_question(group, event, e->to, outcome);
		return;
	case SIGNAL_NEW:
		break;
	}
	if (is_there(group, e))
		note(group, event, outcome);
	else if (e->trigger == PACE_REVIEWED && e->to != PHASE_COUNT && e->to + 1 < group->phase)
		refuse(group, event, PACE_NO_SKIPPING, outcome);
	else
		pace_attempt(group, e, outcome);
}

void pace_apply(struct pace_group *group, const struct pace_now *now,
	const struct pace_event *event, struct pace_outcome *ret_outcome)
{
	struct pace_event e = *event;

	pace_clock_advance(&group->clock, now);
	if (is_malformed(&e))
		refuse(group, event, PACE_MALFORMED, ret_outcome);
	else if (!find_decision(group, &e))
		refuse(group, event, PACE_WHICH, ret_outcome);
	else if (PACE_INNER_TRIGGERS & BIT(e.trigger))
		refuse(group, event, PACE_NO_RULE, ret_outcome);
	else
		apply_good(group, event, &e, ret_outcome);
}
