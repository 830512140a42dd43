/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/pace.h"
#include "policy/recorded.h"
#include "wire/held.h"

/* Which make of the meter a run gets. The kernel's programs see every effect. The gate, which is
 * asked about system calls one by one, sees their numbers and registers only. */

bool meter_holds_writes(const struct profile *p)
{
	bool held = p->approvals.on.value & HELD_WRITE;

	for (size_t i = 0; i < p->gates.count; i++)
		held = held || p->gates.items[i].on.value & HELD_WRITE;
	return held;
}

/* What the gate has to refuse, now or in some state. */
static bool is_counted(const struct profile *p)
{
	return meter_holds_writes(p) || blast_radius_is_capped(p) || recorded_refuses(p) ||
	       p->pace.alternate.when.count || p->pace.contingency.when.count ||
	       p->pace.emergency.when.count;
}

static bool is_networked(const struct profile *p)
{
	return p->network.mode == NETWORK_MODE_HOST ? p->network.deny.count > 0
						    : meter_wants_link(p);
}

static bool has_patterns(const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].is_glob && !rules->items[i].optional)
			return true;
	}
	return false;
}

/* Names that no mount can hold, or that somebody wants to hear of. */
static bool is_named(const struct profile *p)
{
	return has_patterns(&p->fs.deny) || has_patterns(&p->fs.protect) || p->fs.canaries.count;
}

bool plan_needs_meter(const struct profile *profile)
{
	return is_counted(profile) || is_networked(profile) || is_named(profile) ||
	       recorded_needs_meter(profile);
}

bool meter_sees_all(const struct compiler *c)
{
	const Berm__Wire__Meter *m = c->plan->meter;

	return m && m->programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL;
}

bool meter_sees_network(const struct compiler *c)
{
	const Berm__Wire__Meter *m = c->plan->meter;

	return m && m->programs != BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
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
	c->out_of_memory |= t.failed;
	return feature_missing(c, "bpf", rule, text_string(&t));
}

int meter_blind(struct compiler *c, uint32_t rule)
{
	return feature_missing(c, "notify", rule,
		"without programs in the kernel and without user notification nobody counts");
}

/* The kernel's programs decide within the call, where nobody can be waited for. */
static int refuse_to_hold(struct compiler *c)
{
	const Berm__Wire__Approvals *a = c->plan->approvals;
	uint32_t rule = a ? a->rule : 0;

	for (size_t i = 0; a && !(a->on & HELD_WRITE) && i < a->n_gates; i++)
		if (a->gates[i]->on & HELD_WRITE)
			rule = a->gates[i]->rule;
	return error_set(c->err, -EOPNOTSUPP, ERROR_UNSUPPORTED,
		"%s: nothing can be held before a write here: %s", rule_text(c, rule),
		meter_sees_all(c) ? "the bpf make of the meter decides within the call"
				  : "this host has no seccomp user notification");
}

int plan_meter(struct compiler *c)
{
	Berm__Wire__Meter *m;
	int r;

	if (!plan_needs_meter(c->profile))
		return 0;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	berm__wire__meter__init(m);
	c->plan->meter = m;
	/* A word that this build does not know is none that it can rely on. */
	if (c->facts->meter_programs <= BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL)
		m->programs = (Berm__Wire__MeterPrograms)c->facts->meter_programs;
	m->gate = is_counted(c->profile) && !meter_sees_all(c) && c->facts->seccomp_notify;
	if (meter_holds_writes(c->profile) && !m->gate)
		return refuse_to_hold(c);
	r = meter_caps(c);
	return r < 0 ? r : meter_pace(c);
}
