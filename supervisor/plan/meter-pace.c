/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/pace.h"

/* pace: what each state means for the run, and what trips into it beside the caps. */

#define BREAKERS_MAX 4 /* that the meter holds for one run */

const struct meter_phase_sections meter_phase_sections[PHASE_COUNT] = {
	[PHASE_ALTERNATE] = {RULES_ALTERNATE_WHEN, RULES_ALTERNATE_THEN},
	[PHASE_CONTINGENCY] = {RULES_CONTINGENCY_WHEN, RULES_CONTINGENCY_THEN},
	[PHASE_EMERGENCY] = {RULES_EMERGENCY_WHEN, RULES_EMERGENCY_THEN},
};

static void add_phases(struct compiler *c)
{
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct phase_rules *rules = pace_rules(c->profile, phase);
		Berm__Wire__MeterPhase *p = METER_ADD(c, phases, berm__wire__meter_phase__init);

		if (!p)
			return;
		p->phase = phase;
		p->posture = pace_posture(rules, phase);
		p->final = rules->recover == RECOVER_NEVER;
		p->rule = rule_index(c, meter_phase_sections[phase].then, 0);
	}
}

/* Two breakers of one class and of one rate are one. */
static bool join_breaker(const struct compiler *c, const Berm__Wire__MeterBreaker *breaker)
{
	for (size_t i = 0; i < c->plan->meter->n_breakers; i++) {
		Berm__Wire__MeterBreaker *b = c->plan->meter->breakers[i];

		if (b->class_ != breaker->class_ || b->count != breaker->count ||
			b->within_ms != breaker->within_ms)
			continue;
		b->posture |= breaker->posture;
		if (breaker->phase > b->phase) {
			b->phase = breaker->phase;
			b->rule = breaker->rule;
		}
		return true;
	}
	return false;
}

static int add_breaker(
	struct compiler *c, enum denial_class class, enum phase phase, const struct trigger *t)
{
	const struct triggers *when = &pace_rules(c->profile, phase)->when;
	Berm__Wire__MeterBreaker *b, breaker = BERM__WIRE__METER_BREAKER__INIT;

	breaker.class_ = class;
	breaker.count = class == DENIAL_COUNTED ? (uint32_t)t->count.value : 1;
	breaker.within_ms = class == DENIAL_COUNTED ? t->within_ms.value : 0;
	breaker.posture = pace_posture(pace_rules(c->profile, phase), phase);
	breaker.phase = phase;
	breaker.rule = rule_index(c, meter_phase_sections[phase].when, (size_t)(t - when->items));
	if (join_breaker(c, &breaker))
		return 0;
	if (c->plan->meter->n_breakers == BREAKERS_MAX)
		return error_set(c->err, -E2BIG, ERROR_INPUT,
			"%s is one too many: a run has at most %d different triggers of denial, "
			"canary_touched and escape_attempt",
			rule_text(c, breaker.rule), BREAKERS_MAX);
	b = METER_ADD(c, breakers, berm__wire__meter_breaker__init);
	if (b)
		*b = breaker;
	return 0;
}

/* What the gate sees of refusals: those of calls, by their numbers. A path that a wall refuses
 * never comes to it. */
static int trigger_enforced(struct compiler *c, const struct trigger *t, uint32_t rule)
{
	bool canary = t->event == TRIGGER_CANARY_TOUCHED;

	if (t->event == TRIGGER_RECORDER_FAILED) {
		rule_enforced(c, rule, "supervisor");
		return 0;
	}

	if (canary && c->profile->fs.canaries.count == 0) {
		rule_enforced(c, rule, "nothing (no canaries)");
		return 0;
	}
	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return 0;
	}
	if (!canary && !c->plan->meter->gate)
		return meter_blind(c, rule);
	switch (t->event) {
	case TRIGGER_DENIAL:
		rule_enforced(c, rule,
			"notify (weaker: refused system calls count, refused paths do not)");
		note(c, "%s: without programs in the kernel a path that is refused does not count",
			rule_text(c, rule));
		return 0;
	case TRIGGER_ESCAPE_ATTEMPT:
		rule_enforced(c, rule, "notify (by system call)");
		return 0;
	case TRIGGER_CANARY_TOUCHED:
		return meter_missing(
			c, rule, "a canary cannot be read, but nobody learns that it was tried");
	case TRIGGER_BLAST_RADIUS:
		rule_enforced(c, rule, "the meter of the caps");
		return 0;
	case TRIGGER_TOOL_CHANGED:
	case TRIGGER_APPROVALS_UNREACHABLE:
	case TRIGGER_RECORDER_FAILED:
	case TRIGGER_COUNT:
		break;
	}
	return 0;
}

/* What a breaker counts for an event; DENIAL_QUIET: the event has none. */
static enum denial_class class_of(enum trigger_event event)
{
	switch (event) {
	case TRIGGER_DENIAL:
		return DENIAL_COUNTED;
	case TRIGGER_CANARY_TOUCHED:
		return DENIAL_CANARY;
	case TRIGGER_ESCAPE_ATTEMPT:
		return DENIAL_ESCAPE;
	case TRIGGER_BLAST_RADIUS:
	case TRIGGER_TOOL_CHANGED:
	case TRIGGER_APPROVALS_UNREACHABLE:
	case TRIGGER_RECORDER_FAILED:
	case TRIGGER_COUNT:
		break;
	}
	return DENIAL_QUIET;
}

static int add_triggers(struct compiler *c, enum phase phase)
{
	const struct triggers *when = &pace_rules(c->profile, phase)->when;

	for (size_t i = 0; i < when->count; i++) {
		const struct trigger *t = &when->items[i];
		enum denial_class class = class_of(t->event);
		int r = trigger_enforced(c, t, rule_index(c, meter_phase_sections[phase].when, i));

		if (r < 0)
			return r;
		if (class == DENIAL_QUIET || (class == DENIAL_CANARY && !meter_sees_all(c)))
			continue;
		r = add_breaker(c, class, phase, t);
		if (r < 0)
			return r;
	}
	return 0;
}

static void note_asks(struct compiler *c, enum phase phase, uint32_t rule)
{
	const struct response *then = &pace_rules(c->profile, phase)->then;
	const struct limit *words[] = {&then->fs_write, &then->network, &then->exec};

	for (size_t i = 0; i < array_size(words); i++) {
		if (!words[i]->set || words[i]->value != RESPONSE_ASK)
			continue;
		note(c, "%s: nobody can be asked yet, so it is denied", rule_text(c, rule));
		return;
	}
}

/* The gate sees calls that open and change, not the writes to what is open. */
static void response_enforced(struct compiler *c, enum phase phase)
{
	uint32_t rule = rule_index(c, meter_phase_sections[phase].then, 0);
	unsigned posture = pace_posture(pace_rules(c->profile, phase), phase);

	note_asks(c, phase, rule);
	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return;
	}
	if (posture & POSTURE_NO_NETWORK && meter_sees_network(c))
		rule_enforced(c, rule, "cgroup programs");
	if (posture & POSTURE_FROZEN_BIT || !(posture & POSTURE_NO_WRITE)) {
		rule_enforced(c, rule, "notify");
		return;
	}
	rule_enforced(c, rule, "notify (weaker: what is open for writing can still be written)");
	if (rule)
		note(c,
			"%s: without programs in the kernel what was opened for writing before can "
			"still be written; run: freeze stops that as well",
			rule_text(c, rule));
}

int meter_pace(struct compiler *c)
{
	add_phases(c);
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		int r = add_triggers(c, phase);

		if (r < 0)
			return r;
		response_enforced(c, phase);
	}
	return 0;
}
