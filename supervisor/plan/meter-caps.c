/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/pace.h"

/* blast_radius: caps, and the thresholds of each counter beside them. */

/* What the gate, which sees numbers and registers of calls only, makes of a counter. */
enum gate_sight { GATE_COUNTS, GATE_BLIND, GATE_NETWORK /* the cgroup programs count it */ };

static const struct counted {
	enum effect_counter counter;
	enum rule_section section;
	size_t offset; /* of the struct limit in struct profile */
	enum gate_sight sight;
	const char *words; /* GATE_COUNTS: by what; GATE_BLIND: what does not hold */
} counted[] = {
	{COUNTER_FILES_CHANGED, RULES_BLAST_FILES_CHANGED,
		offsetof(struct profile, blast_radius.files_changed), GATE_COUNTS,
		"notify (an upper bound: each open for writing and each changing call counts)"},
	{COUNTER_FILES_DELETED, RULES_BLAST_FILES_DELETED,
		offsetof(struct profile, blast_radius.files_deleted), GATE_COUNTS,
		"notify (an upper bound: each call that removes or replaces a name counts)"},
	{COUNTER_BYTES_WRITTEN, RULES_BLAST_BYTES_WRITTEN,
		offsetof(struct profile, blast_radius.bytes_written), GATE_BLIND,
		"without programs in the kernel nobody counts the bytes that are written"},
	{COUNTER_BYTES_SENT, RULES_BLAST_BYTES_SENT,
		offsetof(struct profile, blast_radius.bytes_sent), GATE_NETWORK, NULL},
	{COUNTER_HOSTS_CONTACTED, RULES_BLAST_HOSTS_CONTACTED,
		offsetof(struct profile, blast_radius.hosts_contacted), GATE_NETWORK, NULL},
	{COUNTER_PROCESSES_STARTED, RULES_BLAST_PROCESSES_STARTED,
		offsetof(struct profile, blast_radius.processes_started), GATE_COUNTS, "notify"},
};

static const struct limit *cap_of(const struct profile *p, const struct counted *counter)
{
	return (const void *)((const char *)p + counter->offset);
}

/* Of one counter and one `at` there is one threshold: what all say of it holds. */
static void add_step(struct compiler *c, const Berm__Wire__MeterStep *step)
{
	Berm__Wire__Meter *m = c->plan->meter;
	Berm__Wire__MeterStep *s;

	for (size_t i = 0; i < m->n_steps; i++) {
		s = m->steps[i];
		if (s->counter != step->counter || s->at != step->at)
			continue;
		s->posture |= step->posture;
		if (step->phase > s->phase) {
			s->phase = step->phase;
			s->rule = step->rule;
		}
		return;
	}
	s = METER_ADD(c, steps, berm__wire__meter_step__init);
	if (!s)
		return;
	s->counter = step->counter;
	s->at = step->at;
	s->posture = step->posture;
	s->rule = step->rule;
	s->phase = step->phase;
}

/* Say by what a cap holds. Returns 1 where nothing counts it, with the operator's word. */
static int cap_enforced(struct compiler *c, const struct counted *counter, uint32_t rule)
{
	int r;

	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return 0;
	}
	if (counter->sight == GATE_NETWORK && c->profile->network.mode == NETWORK_MODE_SCOPED &&
		!meter_wants_link(c->profile) && c->facts->network_namespaces) {
		rule_enforced(c, rule, "network namespace (nothing is sent)");
		return 0;
	}
	if (counter->sight == GATE_COUNTS && !c->plan->meter->gate) {
		r = meter_blind(c, rule);
		return r < 0 ? r : 1;
	}
	if (counter->sight == GATE_COUNTS) {
		rule_enforced(c, rule, counter->words);
		return 0;
	}
	if (counter->sight == GATE_NETWORK && meter_sees_network(c)) {
		rule_enforced(c, rule, "cgroup programs");
		return 0;
	}
	r = meter_missing(c, rule,
		counter->sight == GATE_BLIND ? counter->words
					     : "nobody counts what is sent over the network");
	return r < 0 ? r : 1;
}

/* The first value above a share of a cap. Caps are below 2^50 and shares at most 1000. */
static uint64_t value_above(uint64_t limit, uint64_t percent)
{
	return limit * percent / 100 + 1;
}

/* The step at which a phase begins by the shares of a cap: the lowest one counts. */
static bool find_share(
	const struct compiler *c, enum phase phase, uint64_t limit, Berm__Wire__MeterStep *ret_step)
{
	const struct triggers *when = &pace_rules(c->profile, phase)->when;
	bool found = false;

	for (size_t i = 0; i < when->count; i++) {
		const struct trigger *t = &when->items[i];
		uint64_t at;

		if (t->event != TRIGGER_BLAST_RADIUS)
			continue;
		at = value_above(limit, t->above_percent.value);
		if (found && at >= ret_step->at)
			continue;
		found = true;
		ret_step->at = at;
		ret_step->rule = rule_index(c, meter_phase_sections[phase].when, i);
		ret_step->phase = phase;
	}
	return found;
}

/* The cap itself is the threshold right above it: a phase that begins there costs no step. */
static void add_shares(struct compiler *c, Berm__Wire__MeterCap *cap)
{
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		Berm__Wire__MeterStep step = {.counter = cap->counter};

		if (!find_share(c, phase, cap->limit, &step))
			continue;
		step.posture = pace_posture(pace_rules(c->profile, phase), phase);
		if (step.at != cap->limit + 1) {
			add_step(c, &step);
			continue;
		}
		cap->posture |= step.posture;
		if (phase > cap->phase)
			cap->phase = phase;
	}
}

/* With the states that is four thresholds at most, which is what the meter holds for a counter. */
static void add_warning(struct compiler *c, const Berm__Wire__MeterCap *cap)
{
	const struct limit *warn = &c->profile->blast_radius.warn_at;

	if (!warn->set || cap->limit == 0)
		return;
	/* The first value that is that share or more. */
	add_step(c, &(Berm__Wire__MeterStep){.counter = cap->counter,
			    .at = (cap->limit * warn->value + 99) / 100,
			    .rule = rule_index(c, RULES_BLAST_WARN_AT, 0)});
}

int meter_caps(struct compiler *c)
{
	enum phase exceeded = pace_exceeded(c->profile->blast_radius.on_exceed);

	for (size_t i = 0; i < array_size(counted); i++) {
		const struct limit *limit = cap_of(c->profile, &counted[i]);
		uint32_t rule = rule_index(c, counted[i].section, 0);
		Berm__Wire__MeterCap *cap;
		int r;

		if (!limit->set)
			continue;
		r = cap_enforced(c, &counted[i], rule);
		if (r < 0)
			return r;
		cap = r > 0 ? NULL : METER_ADD(c, caps, berm__wire__meter_cap__init);
		if (!cap)
			continue;
		cap->counter = counted[i].counter;
		cap->limit = limit->value;
		cap->rule = rule;
		cap->phase = exceeded;
		if (exceeded != PHASE_PRIMARY)
			cap->posture = pace_posture(pace_rules(c->profile, exceeded), exceeded);
		add_shares(c, cap);
		add_warning(c, cap);
	}
	return 0;
}
