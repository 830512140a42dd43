/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "policy/approvals.h"
#include "policy/keys.h"

#include <string.h>

/* The narrowing is done once more, by the code that did it: of what it changes nothing can be left
 * to change, and the programs are those that come of a profile without any. */

static bool same_words(const struct command_words *a, const struct command_words *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = strcmp(a->items[i], b->items[i]) == 0;
	return same;
}

static bool same_gate(const struct judge_rule *a, const struct judge_rule *b)
{
	return strcmp(a->name, b->name) == 0 && same_words(&a->exec, &b->exec) &&
	       a->on.value == b->on.value && gate_timeout_ms(a) == gate_timeout_ms(b) &&
	       a->on_error == b->on_error && a->operators == b->operators;
}

/* Behind those of the profile, which are nobody's but the caller's. */
static bool gates_hold(const struct judge_rules *gates, const struct judge_rules *demanded)
{
	size_t own = gates->count - demanded->count;
	bool hold = gates->count >= demanded->count;

	for (size_t i = 0; hold && i < own; i++)
		hold = !gates->items[i].operators;
	for (size_t i = 0; hold && i < demanded->count; i++)
		hold = same_gate(&gates->items[own + i], &demanded->items[i]);
	return hold;
}

/* demanded: what the ceilings leave of a profile that says nothing. */
static const char *programs_hold(const struct profile *p, const struct profile *demanded)
{
	if (!gates_hold(&p->gates, &demanded->gates))
		return "has other gates than its ceilings";
	if (p->approvals.exec_of_ceiling != demanded->approvals.exec_of_ceiling ||
		p->approvals.exec_is_operators != demanded->approvals.exec_is_operators ||
		(demanded->approvals.exec_of_ceiling &&
			!same_words(&p->approvals.exec, &demanded->approvals.exec)))
		return "asks by another program than its ceilings";
	return NULL;
}

static bool same_limit(const struct limit *a, const struct limit *b)
{
	return a->set == b->set && a->value == b->value;
}

static bool same_limits(const struct profile *a, const struct profile *b, enum section_id section)
{
	bool same = true;

	for (const struct key *key = sections[section].keys; same && key->name; key++) {
		const void *of_a = (const char *)a + key->offset;
		const void *of_b = (const char *)b + key->offset;

		if (key->stored && key->type >= VALUE_COUNT && key->type <= VALUE_PERCENT)
			same = same_limit(of_a, of_b);
	}
	return same;
}

static const char *values_hold(const struct profile *p, const struct profile *again)
{
	uint64_t within, within_again;
	uint64_t most = approvals_rate(p, &within);
	uint64_t most_again = approvals_rate(again, &within_again);

	if (p->approvals.on.value != again->approvals.on.value ||
		approvals_channels(p) != approvals_channels(again) ||
		approvals_timeout_ms(p) != approvals_timeout_ms(again) || most != most_again ||
		within != within_again)
		return "asks in another way than its ceilings";
	if (!same_limits(p, again, SECTION_LIMITS) ||
		!same_limits(p, again, SECTION_BLAST_RADIUS) ||
		!same_limits(p, again, SECTION_TMP) || !same_limits(p, again, SECTION_HOME) ||
		p->fs.tmp.private != again->fs.tmp.private ||
		p->fs.home.private != again->fs.home.private)
		return "lets more be done than its ceilings";
	if (!same_limit(&p->requires.landlock, &again->requires.landlock) ||
		!same_limit(&p->requires.notify, &again->requires.notify) ||
		!same_limit(&p->requires.bpf, &again->requires.bpf) ||
		!same_limit(&p->requires.cgroup, &again->requires.cgroup) ||
		p->degrade != again->degrade || p->feedback != again->feedback)
		return "asks less of this host than its ceilings";
	return NULL;
}

int ceilings_hold(const struct profile *profile, const struct profile *const *ceilings,
	size_t count, struct arena *arena, const char **ret_wrong)
{
	struct profile demanded = {0}, was, again;
	autotext struct text ignored = {0};
	struct diagnostics d = {.out = &ignored};
	const char *values = NULL;

	for (size_t i = 0; i < count; i++) {
		struct narrowing n = {.was = &was, .ceiling = ceilings[i], .arena = arena, .d = &d};

		was = demanded;
		n.now = &demanded;
		narrow_approvals(&n);
		memcpy(&was, profile, sizeof(was));
		memcpy(&again, profile, sizeof(again));
		n.now = &again;
		narrow_approvals(&n);
		narrow_numbers(&n);
		if (n.no_memory)
			return -ENOMEM;
		if (!values)
			values = values_hold(profile, &again);
	}
	*ret_wrong = programs_hold(profile, &demanded);
	if (!*ret_wrong)
		*ret_wrong = values;
	return 0;
}
