/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "policy/pace.h"

static const char *const exceed_words[ON_EXCEED_COUNT] = {
	"deny", "alternate", "contingency", "emergency"};

/* Of two words the one that refuses more; a word that is not written refuses nothing. */
static void stricter_word(struct limit *now, const struct limit *other)
{
	if (other->set && (!now->set || other->value == RESPONSE_DENY))
		*now = *other;
}

static struct response in_force(const struct phase_rules *rules, enum phase phase)
{
	return response_is_written(&rules->then) ? rules->then : response_default(phase);
}

/* What a phase means without a response is a response too: neither side can take it away from the
 * other by writing less. */
static void join_responses(
	struct phase_rules *now, const struct phase_rules *ceiling, enum phase phase)
{
	struct response both = in_force(now, phase), other = in_force(ceiling, phase);

	stricter_word(&both.fs_write, &other.fs_write);
	stricter_word(&both.network, &other.network);
	stricter_word(&both.exec, &other.exec);
	if (other.run.set && (!both.run.set || other.run.value > both.run.value))
		both.run = other.run;
	now->then = both;
}

static void narrow_phase(struct narrowing *n, struct phase_rules *now, enum phase phase)
{
	const struct phase_rules *c = pace_rules(n->ceiling, phase);

	if (!pace_is_written(c) && pace_exceeded(n->ceiling->blast_radius.on_exceed) != phase)
		return;
	join_responses(now, c, phase);
	narrow_add_all(n, &now->when, &c->when);
	if (c->recover == RECOVER_NEVER && now->recover != RECOVER_NEVER) {
		now->recover = RECOVER_NEVER;
		now->recover_at = c->recover_at;
	}
}

void narrow_pace(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	narrow_phase(n, &now->pace.alternate, PHASE_ALTERNATE);
	narrow_phase(n, &now->pace.contingency, PHASE_CONTINGENCY);
	narrow_phase(n, &now->pace.emergency, PHASE_EMERGENCY);
	if (c->blast_radius.on_exceed <= now->blast_radius.on_exceed)
		return;
	if (now->blast_radius.on_exceed_at.line)
		narrow_note(n, "blast_radius.on_exceed:", exceed_words[now->blast_radius.on_exceed],
			now->blast_radius.on_exceed_at, exceed_words[c->blast_radius.on_exceed],
			&c->blast_radius.on_exceed_at);
	now->blast_radius.on_exceed = c->blast_radius.on_exceed;
	now->blast_radius.on_exceed_at = c->blast_radius.on_exceed_at;
}
