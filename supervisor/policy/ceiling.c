/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "base/number.h"
#include "policy/decide.h"
#include "policy/keys.h"
#include "policy/risky-env.h"

#include <inttypes.h>
#include <string.h>

void narrow_note(struct narrowing *n, const char *key, const char *entry, struct source at,
	const char *part, const struct source *by)
{
	char place[300] = "";

	if (by && by->file && by->line)
		snprintf(place, sizeof(place), "%s:%u", by->file, by->line);
	else if (n->ceiling->file)
		snprintf(place, sizeof(place), "%s", n->ceiling->file);
	if (part)
		diagnostics_report(n->d, CODE_NOTE_NARROWED, at, "%s %s is narrowed to %s by %s",
			key, entry, part, place);
	else
		diagnostics_report(n->d, CODE_NOTE_DROPPED, at,
			"%s %s is not in force: %s does not "
			"allow it",
			key, entry, place);
}

static const char *number_text(enum value_type type, uint64_t value, char buffer[32])
{
	if (type == VALUE_SIZE)
		return number_format_size(value, buffer, 32);
	if (type == VALUE_DURATION)
		return number_format_duration(value, buffer, 32);
	snprintf(buffer, 32,
		type == VALUE_CPU || type == VALUE_PERCENT ? "%" PRIu64 "%%" : "%" PRIu64, value);
	return buffer;
}

/* What holds where a limit is not written; false where nothing does. */
static bool limit_default(const struct key *key, uint64_t *ret_value)
{
	return key->default_text &&
	       (key->type == VALUE_SIZE ? number_parse_size(key->default_text, ret_value)
					: number_parse_u64(key->default_text, ret_value));
}

/* The lower of two limits; one that is not set and has no default is higher than any that is. */
static void narrow_limit(struct narrowing *n, enum section_id section, const struct key *key)
{
	struct limit *now = (struct limit *)((char *)n->now + key->offset);
	const struct limit *most = (const struct limit *)((const char *)n->ceiling + key->offset);
	char name[64], was[32], part[32];
	uint64_t value = now->value;

	if (!most->set || ((now->set || limit_default(key, &value)) && value <= most->value))
		return;
	snprintf(name, sizeof(name), "%s.%s:", sections[section].path, key->name);
	if (now->set)
		narrow_note(n, name, number_text(key->type, now->value, was), now->at,
			number_text(key->type, most->value, part), &most->at);
	*now = *most;
}

static void narrow_limits(struct narrowing *n)
{
	for (const struct key *key = sections[SECTION_LIMITS].keys; key->name; key++) {
		if (key->stored)
			narrow_limit(n, SECTION_LIMITS, key);
	}
	for (const struct key *key = sections[SECTION_BLAST_RADIUS].keys; key->name; key++) {
		if (key->stored && key->type != VALUE_WORD)
			narrow_limit(n, SECTION_BLAST_RADIUS, key);
	}
	narrow_limit(n, SECTION_TMP, key_find(SECTION_TMP, "size"));
	narrow_limit(n, SECTION_HOME, key_find(SECTION_HOME, "size"));
}

/* What is demanded of the host: here the higher one is the stricter one. */
static void raise_demand(struct limit *now, const struct limit *ceiling)
{
	if (ceiling->set && (!now->set || ceiling->value > now->value))
		*now = *ceiling;
}

static void narrow_scalars(struct narrowing *n)
{
	/* From telling the tool most to telling it nothing. */
	static const unsigned openness[FEEDBACK_COUNT] = {
		[FEEDBACK_HINT] = 2, [FEEDBACK_CODE] = 1, [FEEDBACK_NONE] = 0};
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	raise_demand(&now->requires.landlock, &c->requires.landlock);
	raise_demand(&now->requires.notify, &c->requires.notify);
	raise_demand(&now->requires.bpf, &c->requires.bpf);
	raise_demand(&now->requires.cgroup, &c->requires.cgroup);
	if (now->degrade && !c->degrade) {
		narrow_note(n, "on_unsupported:", "degrade", now->degrade_at, NULL, &c->degrade_at);
		now->degrade = false;
	}
	if (openness[c->feedback] < openness[now->feedback]) {
		now->feedback = c->feedback;
		now->feedback_at = c->feedback_at;
	}
	now->fs.tmp.private &= c->fs.tmp.private;
	now->fs.home.private &= c->fs.home.private;
}

void narrow_numbers(struct narrowing *n)
{
	narrow_scalars(n);
	narrow_limits(n);
}

static bool rules_hold(const struct string_rules *rules, const char *text)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (strcmp(rules->items[i].text, text) == 0)
			return true;
	}
	return false;
}

static bool call_is_allowed(const struct profile *p, const char *name)
{
	struct verdict v;

	decide(p, OPERATION_SYSCALL, name, &v);
	return v.decision == DECISION_ALLOW;
}

static void narrow_families(struct narrowing *n)
{
	const struct string_rules *was = &n->was->syscalls.families;
	struct string_rules *now = &n->now->syscalls.families;

	*now = (struct string_rules){0};
	for (size_t i = 0; i < was->count; i++) {
		if (rules_hold(&n->ceiling->syscalls.families, was->items[i].text))
			narrow_add(n, now, was->items[i]);
		else if (was->items[i].at.line)
			narrow_note(n, "syscalls.families", was->items[i].text, was->items[i].at,
				NULL, NULL);
	}
}

/* The stricter base, and of the calls that either adds those that both allow. */
static void narrow_call_names(struct narrowing *n)
{
	const struct string_rules *both[] = {&n->was->syscalls.allow, &n->ceiling->syscalls.allow};
	struct string_rules *now = &n->now->syscalls.allow;

	*now = (struct string_rules){0};
	for (size_t i = 0; i < array_size(both); i++) {
		for (size_t j = 0; j < both[i]->count; j++) {
			const struct string_rule *rule = &both[i]->items[j];

			if (call_is_allowed(n->was, rule->text) &&
				call_is_allowed(n->ceiling, rule->text))
				narrow_add(n, now, *rule);
			else if (i == 0)
				narrow_note(n, "syscalls.allow", rule->text, rule->at, NULL, NULL);
		}
	}
}

void narrow_syscalls(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	narrow_call_names(n);
	narrow_families(n);
	if (c->syscalls.base == SYSCALL_BASE_STRICT && now->syscalls.base != SYSCALL_BASE_STRICT) {
		if (now->syscalls.base_at.line)
			narrow_note(n, "syscalls.base:", "default", now->syscalls.base_at, "strict",
				&c->syscalls.base_at);
		now->syscalls.base = SYSCALL_BASE_STRICT;
		now->syscalls.base_at = c->syscalls.base_at;
	}
	if (c->syscalls.on_deny == DENY_KILL && now->syscalls.on_deny != DENY_KILL) {
		now->syscalls.on_deny = DENY_KILL;
		now->syscalls.on_deny_at = c->syscalls.on_deny_at;
	}
	narrow_add_all(n, &now->syscalls.deny, &c->syscalls.deny);
	narrow_add_all(n, &now->syscalls.deny_groups, &c->syscalls.deny_groups);
}

/* True where every name that the pattern narrow passes is one that wide passes. Exact for names and
 * for patterns that are a beginning and one *; other patterns only cover themselves. */
static bool env_covers(const char *wide, const char *narrow)
{
	size_t fixed = strcspn(wide, "*?");

	if (strcmp(wide, narrow) == 0)
		return true;
	if (!strpbrk(narrow, "*?"))
		return env_passes(wide, narrow);
	return strcmp(wide + fixed, "*") == 0 && strncmp(wide, narrow, fixed) == 0 &&
	       strcspn(narrow, "*?") >= fixed;
}

static void narrow_pass(struct narrowing *n, const struct string_rule *rule)
{
	const struct string_rules *most = &n->ceiling->env.pass;
	struct string_rules *now = &n->now->env.pass;
	autotext struct text kept = {0};

	for (size_t i = 0; i < most->count; i++) {
		if (env_covers(most->items[i].text, rule->text)) {
			narrow_add(n, now, *rule);
			return;
		}
	}
	for (size_t i = 0; i < most->count; i++) {
		struct string_rule part = {.text = most->items[i].text, .at = rule->at};

		if (!env_covers(rule->text, part.text))
			continue;
		narrow_add(n, now, part);
		text_printf(&kept, "%s%s", kept.length ? ", " : "", part.text);
	}
	narrow_note(
		n, "env.pass", rule->text, rule->at, kept.length ? text_string(&kept) : NULL, NULL);
}

static bool set_is_allowed(const struct profile *c, const struct env_set *set)
{
	for (size_t i = 0; i < c->env.set_count; i++) {
		if (strcmp(c->env.set[i].name, set->name) == 0)
			return strcmp(c->env.set[i].value, set->value) == 0;
	}
	for (size_t i = 0; i < c->env.pass.count; i++) {
		if (env_passes(c->env.pass.items[i].text, set->name))
			return true;
	}
	return false;
}

void narrow_env(struct narrowing *n)
{
	const struct profile *was = n->was;
	struct profile *now = n->now;

	now->env.pass = (struct string_rules){0};
	for (size_t i = 0; i < was->env.pass.count; i++)
		narrow_pass(n, &was->env.pass.items[i]);
	now->env.set_count = 0;
	now->env.set = arena_alloc(n->arena, (was->env.set_count + 1) * sizeof(*now->env.set));
	n->no_memory |= !now->env.set;
	for (size_t i = 0; now->env.set && i < was->env.set_count; i++) {
		if (set_is_allowed(n->ceiling, &was->env.set[i]))
			now->env.set[now->env.set_count++] = was->env.set[i];
		else
			narrow_note(
				n, "env.set", was->env.set[i].name, was->env.set[i].at, NULL, NULL);
	}
	narrow_add_all(n, &now->env.hide, &n->ceiling->env.hide);
}

static int apply(struct narrowing *n, bool of_run)
{
	narrow_numbers(n);
	narrow_fs(n);
	n->now->of_run |= of_run;
	if (of_run)
		narrow_unexecutable(n);
	narrow_exec(n);
	narrow_network(n);
	narrow_syscalls(n);
	narrow_env(n);
	narrow_pace(n);
	narrow_recorder(n);
	narrow_workspace(n);
	narrow_approvals(n);
	narrow_add_all(n, &n->now->pending, &n->ceiling->pending);
	/* In some of the lists an entry that is left out would allow something. */
	if (n->too_many)
		diagnostics_report(n->d, CODE_TOO_BIG,
			(struct source){n->was->file ? n->was->file : n->was->name, 1, 1},
			"a list of it has more than %d entries together with the ceiling's",
			NARROW_ENTRIES_MAX);
	return n->no_memory ? -ENOMEM : 0;
}

int ceiling_apply(struct profile *profile, const struct profile *ceiling, struct arena *arena,
	struct diagnostics *d)
{
	struct profile was = *profile;

	return apply(
		&(struct narrowing){
			.was = &was, .ceiling = ceiling, .now = profile, .arena = arena, .d = d},
		false);
}

int ceiling_of_run(struct profile *profile, const struct profile *ceiling, struct arena *arena,
	struct diagnostics *d)
{
	struct profile was = *profile;

	return apply(
		&(struct narrowing){
			.was = &was, .ceiling = ceiling, .now = profile, .arena = arena, .d = d},
		true);
}
