/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/number.h"
#include "policy/approvals.h"
#include "policy/keys.h"

#include <string.h>

/* approvals and gates: whoever is asked less often, or can be answered by more people, is wider. */

static const char *set_words(struct differ *d, const struct key *key, uint64_t set)
{
	autotext struct text words = {0};

	for (unsigned i = 0; key->words[i]; i++)
		if (set & 1ULL << i)
			text_printf(&words, "%s%s", words.length ? ", " : "", key->words[i]);
	return diff_words(d, "[%s]", text_string(&words));
}

struct set_change {
	const char *name;
	uint64_t from, to;
	struct source was_at, now_at;
	bool more_is_wider; /* of members. A set that loses some and gains others is wider */
};

static void diff_set(struct differ *d, const struct set_change *c)
{
	const struct key *key = key_find(SECTION_APPROVALS, c->name);
	uint64_t wider = c->more_is_wider ? c->to & ~c->from : c->from & ~c->to;

	if (c->from == c->to)
		return;
	diff_add_line(d, &(struct diff_line){.direction = wider ? DIFF_WIDER : DIFF_NARROWER,
				 .key = diff_words(d, "approvals.%s", c->name),
				 .was = set_words(d, key, c->from),
				 .now = set_words(d, key, c->to),
				 .was_at = c->was_at,
				 .now_at = c->now_at});
}

static void diff_time(struct differ *d, const char *key, uint64_t from, uint64_t to,
	struct source was_at, struct source now_at)
{
	char from_words[32], to_words[32];

	if (from == to)
		return;
	number_format_duration(from, from_words, sizeof(from_words));
	number_format_duration(to, to_words, sizeof(to_words));
	diff_add_line(d, &(struct diff_line){.direction = to > from ? DIFF_WIDER : DIFF_NARROWER,
				 .key = key,
				 .was = diff_words(d, "%s", from_words),
				 .now = diff_words(d, "%s", to_words),
				 .was_at = was_at,
				 .now_at = now_at});
}

static void diff_rate(struct differ *d, const struct profile *was, const struct profile *now)
{
	uint64_t was_ms = 0, now_ms = 0;
	uint64_t from = approvals_rate(was, &was_ms), to = approvals_rate(now, &now_ms);
	char was_words[32], now_words[32];

	if (from == to && was_ms == now_ms)
		return;
	number_format_duration(was_ms, was_words, sizeof(was_words));
	number_format_duration(now_ms, now_words, sizeof(now_words));
	diff_add_line(d,
		&(struct diff_line){
			.direction = to * was_ms >= from * now_ms ? DIFF_WIDER : DIFF_NARROWER,
			.key = "approvals.rate",
			.was = diff_words(d, "%llu within %s", (unsigned long long)from, was_words),
			.now = diff_words(d, "%llu within %s", (unsigned long long)to, now_words),
			.was_at = was->approvals.rate_max.at,
			.now_at = now->approvals.rate_max.at});
}

static const char *command_words(struct differ *d, const struct command_words *command)
{
	autotext struct text words = {0};

	for (size_t i = 0; i < command->count; i++)
		text_printf(&words, "%s%s", i ? " " : "", command->items[i]);
	return diff_words(d, "%s", text_string(&words));
}

static bool same_command(const struct command_words *a, const struct command_words *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static const struct judge_rule *find_gate(const struct profile *p, const struct judge_rule *gate)
{
	for (size_t i = 0; i < p->gates.count; i++) {
		const struct judge_rule *other = &p->gates.items[i];

		if (strcmp(other->name, gate->name) == 0 && other->on.value == gate->on.value &&
			other->on_error == gate->on_error &&
			gate_timeout_ms(other) == gate_timeout_ms(gate) &&
			same_command(&other->exec, &gate->exec))
			return other;
	}
	return NULL;
}

/* A gate that is not as it was is one less and one more. */
static void diff_gates(
	struct differ *d, const struct profile *has, const struct profile *lacks, bool added)
{
	for (size_t i = 0; i < has->gates.count; i++) {
		const struct judge_rule *gate = &has->gates.items[i];
		struct diff_line line = {
			.direction = added ? DIFF_NARROWER : DIFF_WIDER, .key = "gates"};

		if (find_gate(lacks, gate))
			continue;
		*(added ? &line.now : &line.was) =
			diff_words(d, "%s (%s)", gate->name, command_words(d, &gate->exec));
		*(added ? &line.now_at : &line.was_at) = gate->at;
		diff_add_line(d, &line);
	}
}

void diff_approvals(struct differ *d)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;

	diff_set(d, &(const struct set_change){.name = "on",
			    .from = was->approvals.on.value,
			    .to = now->approvals.on.value,
			    .was_at = was->approvals.on.at,
			    .now_at = now->approvals.on.at});
	diff_set(d, &(const struct set_change){.name = "channels",
			    .from = approvals_channels(was),
			    .to = approvals_channels(now),
			    .was_at = was->approvals.channels.at,
			    .now_at = now->approvals.channels.at,
			    .more_is_wider = true});
	if (!same_command(&was->approvals.exec, &now->approvals.exec))
		diff_add_line(d, &(struct diff_line){.direction = DIFF_WIDER,
					 .key = "approvals.exec",
					 .was = command_words(d, &was->approvals.exec),
					 .now = command_words(d, &now->approvals.exec),
					 .was_at = was->approvals.exec.at,
					 .now_at = now->approvals.exec.at,
					 .example = "another program answers"});
	diff_time(d, "approvals.timeout", approvals_timeout_ms(was), approvals_timeout_ms(now),
		was->approvals.timeout_ms.at, now->approvals.timeout_ms.at);
	diff_rate(d, was, now);
	diff_gates(d, was, now, false);
	diff_gates(d, now, was, true);
}
