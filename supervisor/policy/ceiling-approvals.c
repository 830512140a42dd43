/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "base/number.h"
#include "policy/approvals.h"

#include <string.h>

/* It has a say in who answers: what its gates leave to a person is for those that it names. */
static bool has_a_say(const struct profile *p)
{
	return (p->approvals.on.set && p->approvals.on.value) || p->approvals.channels.set ||
	       p->approvals.exec.count || p->gates.count;
}

/* Where it says so. */
static struct source source_of(const struct profile *p)
{
	return p->approvals.channels.set ? p->approvals.channels.at
	       : p->approvals.on.set     ? p->approvals.on.at
	       : p->gates.count          ? p->gates.items[0].at
					 : p->approvals.exec.at;
}

/* A channel that one of both sides does not have is none; a side that names none has the usual
 * ones. */
static void narrow_channels(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct limit *now = &n->now->approvals.channels;

	if (!has_a_say(n->was)) {
		*now = (struct limit){
			.set = true, .value = approvals_channels(c), .at = source_of(c)};
		return;
	}
	*now = (struct limit){.set = true,
		.value = approvals_channels(n->was) & approvals_channels(c),
		.at = source_of(c)};
	if (now->value != approvals_channels(n->was))
		narrow_note(n, "approvals.channels:", "all of it", source_of(n->was),
			now->value ? "a part" : "nothing", &now->at);
}

static bool same_words(const struct command_words *a, const struct command_words *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = strcmp(a->items[i], b->items[i]) == 0;
	return same;
}

/* A program of the profile does not answer what a ceiling may want asked. Nor does that of one
 * ceiling what another one wants asked: anybody may name one more. */
static void narrow_program(struct narrowing *n)
{
	const struct command_words *program = &n->ceiling->approvals.exec;
	bool first = !n->was->approvals.exec_of_ceiling && !n->now->of_run;
	bool operators = first ? n->ceiling->of_operator : n->was->approvals.exec_is_operators;

	n->now->approvals.exec_of_ceiling = true;
	n->now->approvals.exec = first || same_words(program, &n->was->approvals.exec)
					 ? *program
					 : (struct command_words){0};
	n->now->approvals.exec_is_operators = n->now->approvals.exec.count && operators;
	if (!n->now->approvals.exec.count)
		n->now->approvals.channels.value &= ~(uint64_t)APPROVAL_EXEC;
}

/* Fewer, and over a longer time: averages would let a burst of the one pass as the other. */
static void narrow_rate(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;
	uint64_t within = 0, least_within = 0;
	uint64_t max = approvals_rate(now, &within), most = approvals_rate(c, &least_within);

	if (!c->approvals.rate_max.set)
		return;
	if (!now->approvals.rate_max.set || most < max)
		now->approvals.rate_max = c->approvals.rate_max;
	if (!now->approvals.rate_within_ms.set || least_within > within)
		now->approvals.rate_within_ms = c->approvals.rate_within_ms;
	now->approvals.rate_max.value = most < max ? most : max;
	now->approvals.rate_within_ms.value = least_within > within ? least_within : within;
}

void narrow_approvals(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	if (has_a_say(c)) {
		narrow_channels(n);
		narrow_program(n);
	}
	narrow_rate(n);
	if (c->approvals.timeout_ms.set && approvals_timeout_ms(now) > approvals_timeout_ms(c))
		now->approvals.timeout_ms = c->approvals.timeout_ms;
	if (c->approvals.on.set && c->approvals.on.value) {
		now->approvals.on.value |= c->approvals.on.value;
		if (!now->approvals.on.set)
			now->approvals.on.at = c->approvals.on.at;
		now->approvals.on.set = true;
	}
	for (size_t i = 0; i < c->gates.count; i++) {
		struct judge_rule gate = c->gates.items[i];

		gate.operators = c->of_operator;
		narrow_add(n, &now->gates, gate);
	}
}
