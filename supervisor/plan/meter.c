/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "plan/compile.h"
#include "policy/pace.h"

/* blast_radius and pace: which make of the meter the run gets, what it is told, and by what each of
 * these lines is enforced then. */

#define STEPS_MAX 3 /* thresholds of one counter that the meter holds beside its cap */

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
		"notify (each open for writing counts)"},
	{COUNTER_FILES_DELETED, RULES_BLAST_FILES_DELETED,
		offsetof(struct profile, blast_radius.files_deleted), GATE_COUNTS,
		"notify (each call that removes or replaces a name counts)"},
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

static const struct phase_sections {
	enum rule_section when, then;
} phase_sections[PHASE_COUNT] = {
	[PHASE_ALTERNATE] = {RULES_ALTERNATE_WHEN, RULES_ALTERNATE_THEN},
	[PHASE_CONTINGENCY] = {RULES_CONTINGENCY_WHEN, RULES_CONTINGENCY_THEN},
	[PHASE_EMERGENCY] = {RULES_EMERGENCY_WHEN, RULES_EMERGENCY_THEN},
};

static const struct limit *cap_of(const struct profile *p, const struct counted *counter)
{
	return (const void *)((const char *)p + counter->offset);
}

static bool has_triggers(const struct profile *p)
{
	return p->pace.alternate.when.count || p->pace.contingency.when.count ||
	       p->pace.emergency.when.count;
}

bool plan_needs_meter(const struct profile *profile)
{
	return blast_radius_is_capped(profile) || has_triggers(profile);
}

bool meter_sees_all(const struct compiler *c)
{
	return c->facts->meter_programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL;
}

bool meter_sees_network(const struct compiler *c)
{
	return meter_sees_all(c) ||
	       c->facts->meter_programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NETWORK;
}

const char *meter_words(struct compiler *c)
{
	autotext struct text t = {0};
	char *kept;

	text_printf(&t, "bpf (%s)", c->facts->meter_make);
	kept = keep(c, text_take(&t));
	return kept ? kept : "";
}

int meter_missing(struct compiler *c, uint32_t rule, const char *consequence)
{
	autotext struct text t = {0};

	text_puts(&t, consequence);
	if (*c->facts->meter_missing)
		text_printf(&t, " (%s)", c->facts->meter_missing);
	return feature_missing(c, "bpf", rule, text_string(&t));
}

/* ---- parts of the message ---- */

#define ADD(c, list, type, init)                                                                   \
	({                                                                                         \
		type *added_ = malloc(sizeof(type));                                               \
		if (!added_ || !message_push(c, &(c)->plan->meter->list,                           \
				       &(c)->plan->meter->n_##list, added_)) {                     \
			free(added_);                                                              \
			added_ = NULL;                                                             \
			(c)->out_of_memory = true;                                                 \
		} else {                                                                           \
			init(added_);                                                              \
		}                                                                                  \
		added_;                                                                            \
	})

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
	s = ADD(c, steps, Berm__Wire__MeterStep, berm__wire__meter_step__init);
	if (!s)
		return;
	s->counter = step->counter;
	s->at = step->at;
	s->posture = step->posture;
	s->rule = step->rule;
	s->phase = step->phase;
}

/* ---- caps ---- */

/* Say by what a cap holds. Returns 1 where nothing counts it, with the operator's word. */
static int cap_enforced(struct compiler *c, const struct counted *counter, uint32_t rule)
{
	int r;

	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return 0;
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
		ret_step->rule = rule_index(c, phase_sections[phase].when, i);
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

static void add_warning(struct compiler *c, const Berm__Wire__MeterCap *cap)
{
	const struct limit *warn = &c->profile->blast_radius.warn_at;
	uint32_t rule = rule_index(c, RULES_BLAST_WARN_AT, 0);
	size_t steps = 0;

	if (!warn->set || cap->limit == 0)
		return;
	for (size_t i = 0; i < c->plan->meter->n_steps; i++)
		steps += c->plan->meter->steps[i]->counter == cap->counter;
	if (steps == STEPS_MAX) {
		note(c,
			"%s: %s has three states below and above its cap already, and their "
			"beginning is the warning",
			rule_text(c, rule), effect_counter_name(cap->counter));
		return;
	}
	/* The first value that is that share or more. */
	add_step(c, &(Berm__Wire__MeterStep){.counter = cap->counter,
			    .at = (cap->limit * warn->value + 99) / 100,
			    .rule = rule});
}

static int add_caps(struct compiler *c)
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
		cap = r > 0 ? NULL
			    : ADD(c, caps, Berm__Wire__MeterCap, berm__wire__meter_cap__init);
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

/* ---- states ---- */

static void add_phases(struct compiler *c)
{
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct phase_rules *rules = pace_rules(c->profile, phase);
		Berm__Wire__MeterPhase *p =
			ADD(c, phases, Berm__Wire__MeterPhase, berm__wire__meter_phase__init);

		if (!p)
			return;
		p->phase = phase;
		p->posture = pace_posture(rules, phase);
		p->final = rules->recover == RECOVER_NEVER;
		p->rule = rule_index(c, phase_sections[phase].then, 0);
	}
}

static void add_breaker(
	struct compiler *c, enum denial_class class, enum phase phase, const struct trigger *t)
{
	const struct triggers *when = &pace_rules(c->profile, phase)->when;
	Berm__Wire__MeterBreaker *b =
		ADD(c, breakers, Berm__Wire__MeterBreaker, berm__wire__meter_breaker__init);

	if (!b)
		return;
	b->class_ = class;
	b->count = class == DENIAL_COUNTED ? (uint32_t)t->count.value : 1;
	b->within_ms = class == DENIAL_COUNTED ? t->within_ms.value : 0;
	b->posture = pace_posture(pace_rules(c->profile, phase), phase);
	b->phase = phase;
	b->rule = rule_index(c, phase_sections[phase].when, (size_t)(t - when->items));
}

/* What the gate sees of refusals: those of calls, by their numbers. A path that a wall refuses
 * never comes to it. */
static int trigger_enforced(struct compiler *c, const struct trigger *t, uint32_t rule)
{
	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return 0;
	}
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
		rule_enforced(c, rule, "as the caps");
		return 0;
	case TRIGGER_TOOL_CHANGED:
	case TRIGGER_APPROVALS_UNREACHABLE:
	case TRIGGER_RECORDER_FAILED:
	case TRIGGER_COUNT:
		break;
	}
	return 0;
}

static int add_triggers(struct compiler *c, enum phase phase)
{
	static const enum denial_class classes[TRIGGER_COUNT] = {
		[TRIGGER_DENIAL] = DENIAL_COUNTED,
		[TRIGGER_CANARY_TOUCHED] = DENIAL_CANARY,
		[TRIGGER_ESCAPE_ATTEMPT] = DENIAL_ESCAPE,
	};
	const struct triggers *when = &pace_rules(c->profile, phase)->when;

	for (size_t i = 0; i < when->count; i++) {
		const struct trigger *t = &when->items[i];
		int r = trigger_enforced(c, t, rule_index(c, phase_sections[phase].when, i));

		if (r < 0)
			return r;
		if (classes[t->event] == DENIAL_QUIET ||
			(classes[t->event] == DENIAL_CANARY && !meter_sees_all(c)))
			continue;
		add_breaker(c, classes[t->event], phase, t);
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
	uint32_t rule = rule_index(c, phase_sections[phase].then, 0);
	unsigned posture = pace_posture(pace_rules(c->profile, phase), phase);

	note_asks(c, phase, rule);
	if (meter_sees_all(c)) {
		rule_enforced(c, rule, meter_words(c));
		return;
	}
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

static int add_pace(struct compiler *c)
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

int plan_meter(struct compiler *c)
{
	Berm__Wire__Meter *m;
	int r = 0;

	if (!plan_needs_meter(c->profile))
		return 0;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	berm__wire__meter__init(m);
	c->plan->meter = m;
	m->programs = (Berm__Wire__MeterPrograms)c->facts->meter_programs;
	m->gate = !meter_sees_all(c);
	if (m->gate && !c->facts->seccomp_notify) {
		m->gate = false;
		r = feature_missing(c, "notify", 0,
			"without programs in the kernel or user notification nobody counts");
	}
	if (r == 0)
		r = add_caps(c);
	if (r == 0)
		r = add_pace(c);
	return r;
}
