/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "base/path.h"

#include <string.h>

/* Where a run can write without a grant, so that exec.default says nothing about programs there. */
static const char *const own_places[] = {
	"/tmp", "/dev", "/proc", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname"};

static bool overlap(const char *a, const char *b)
{
	return path_is_beneath(a, b) || path_is_beneath(b, a);
}

/* True where a profile's exec.default, and not a rule, speaks about all that the rule covers. Not
 * for a ceiling: what it lets be written is a bound, and what the result cannot write may run. */
static bool default_speaks(const struct profile *p, const struct exec_rule *rule)
{
	if (!rule->path)
		return true;
	for (size_t i = 0; i < array_size(own_places); i++) {
		if (overlap(rule->path, own_places[i]))
			return false;
	}
	for (size_t i = 0; i < p->fs.write.count; i++) {
		if (overlap(rule->path, p->fs.write.items[i].path))
			return false;
	}
	for (size_t i = 0; i < p->fs.read.count; i++) {
		if (p->fs.read.items[i].no_exec && overlap(rule->path, p->fs.read.items[i].path))
			return false;
	}
	return true;
}

/* True where every program that narrow covers is covered by wide. */
static bool covers(const struct exec_rule *wide, const struct exec_rule *narrow)
{
	if (wide->path || narrow->path)
		return wide->path && narrow->path && path_is_beneath(narrow->path, wide->path);
	for (size_t i = 0; i < wide->command_count; i++) {
		if (i >= narrow->command_count || strcmp(wide->command[i], narrow->command[i]) != 0)
			return false;
	}
	return true;
}

static const char *words(const struct exec_rule *rule, char *buffer, size_t capacity)
{
	size_t used = 0;

	if (rule->path)
		return rule->path;
	for (size_t i = 0; i < rule->command_count && used < capacity; i++)
		used += (size_t)snprintf(
			buffer + used, capacity - used, "%s%s", i ? " " : "", rule->command[i]);
	return buffer;
}

/* What a side says about programs: its rules that give a decision or a better one. */
struct side {
	const struct exec_rules *rules[2];
	size_t count;
	const struct profile *bounded; /* its default does not speak where it can write; or NULL */
	bool by_default;               /* its default gives the decision */
};

static struct side side_of(const struct profile *p, enum decision least, bool bounded)
{
	return (struct side){
		.rules = {&p->exec.allow, &p->exec.ask},
		.count = least == DECISION_ALLOW ? 1 : 2,
		.bounded = bounded ? p : NULL,
		.by_default = p->exec.default_decision >= least,
	};
}

/* Append to out what both the rule and the other side cover. True where that is the whole rule. */
static bool cut(struct narrowing *n, const struct exec_rule *rule, const struct side *other,
	struct exec_rules *out, const char *key)
{
	const struct exec_rule *by = NULL;
	char was[200], part[200];

	if (other->by_default && (!other->bounded || default_speaks(other->bounded, rule))) {
		narrow_add(n, out, *rule);
		return true;
	}
	for (size_t i = 0; i < other->count; i++) {
		for (size_t j = 0; j < other->rules[i]->count; j++) {
			if (!covers(&other->rules[i]->items[j], rule))
				continue;
			narrow_add(n, out, *rule);
			return true;
		}
	}
	for (size_t i = 0; i < other->count; i++) {
		for (size_t j = 0; j < other->rules[i]->count; j++) {
			struct exec_rule piece = other->rules[i]->items[j];

			if (!covers(rule, &piece))
				continue;
			by = &other->rules[i]->items[j];
			piece.reason = rule->reason;
			piece.at = rule->at;
			piece.optional = true;
			narrow_add(n, out, piece);
		}
	}
	if (key)
		narrow_note(n, key, words(rule, was, sizeof(was)), rule->at,
			by ? words(by, part, sizeof(part)) : NULL, by ? &by->at : NULL);
	return false;
}

/* The rules of the ceiling where the profile says allow or ask by its default alone. */
static void cut_default(struct narrowing *n, const struct exec_rules *rules, enum decision least,
	struct exec_rules *out)
{
	if (n->was->exec.default_decision < least)
		return;
	for (size_t i = 0; i < rules->count; i++) {
		struct exec_rule rule = rules->items[i];

		rule.optional = true;
		if (default_speaks(n->was, &rule))
			narrow_add(n, out, rule);
	}
}

/* The ceiling asks about a place of which the profile's default covers only a part: neither asking
 * nor allowing there would be the stricter of the two, so the two cannot be combined. */
static void check_partial_asks(struct narrowing *n)
{
	const struct exec_rules *asks = &n->ceiling->exec.ask;
	const struct path_rules *writes = &n->was->fs.write;

	if (n->was->exec.default_decision == DECISION_DENY)
		return;
	for (size_t i = 0; i < asks->count; i++) {
		const char *path = asks->items[i].path;
		bool partial = false;

		for (size_t j = 0; path && j < writes->count; j++)
			partial |= path_is_beneath(writes->items[j].path, path) &&
				   strcmp(writes->items[j].path, path) != 0;
		for (size_t j = 0; path && j < array_size(own_places); j++)
			partial |= path_is_beneath(own_places[j], path) &&
				   strcmp(own_places[j], path) != 0;
		if (partial)
			diagnostics_report(n->d, CODE_CEILING, asks->items[i].at,
				"exec.ask %s holds a place that the profile %s can write, "
				"so the two cannot be combined; write exec.default: ask here",
				path, n->was->name);
	}
}

/* The stricter of an ask about a bare name and of rules about paths is no rule: any program of that
 * name is meant, wherever it is. */
static void check_name(
	struct narrowing *n, const struct exec_rule *rule, const struct profile *other)
{
	for (size_t i = 0; i < other->exec.allow.count; i++) {
		if (!other->exec.allow.items[i].path)
			continue;
		diagnostics_report(n->d, CODE_CEILING, rule->at,
			"exec.ask %s and the paths of exec.allow in %s cannot be combined; "
			"name the program by its path",
			rule->command[0], other->file);
		return;
	}
}

/* What one side asks about stays, as far as the other side allows at least asking. An ask about a
 * path stands in the way of the bare name as well, where that is allowed: see decide.h. */
static void narrow_asks(struct narrowing *n, const struct profile *asking, const struct side *side,
	const struct profile *other)
{
	const struct side allowed = side_of(n->now, DECISION_ALLOW, false);
	struct exec_rules *out = &n->now->exec.ask;
	const char *key = asking == n->was ? "exec.ask" : NULL;

	for (size_t i = 0; i < asking->exec.ask.count; i++) {
		const struct exec_rule *rule = &asking->exec.ask.items[i];
		struct exec_rule name = {
			.reason = rule->reason, .at = rule->at, .command_count = 1};
		bool whole = cut(n, rule, side, out, key);

		if (!whole && rule->command_count == 1)
			check_name(n, rule, other);
		if (whole || !rule->path)
			continue;
		name.command = arena_alloc(n->arena, sizeof(*name.command));
		n->no_memory |= !name.command;
		if (!name.command)
			return;
		name.command[0] = path_last(rule->path);
		(void)cut(n, &name, &allowed, out, NULL);
	}
}

/* Programs are pinned by nothing else being run: a default that allows is part of what a ceiling
 * takes away that pins, also where it allows everything itself. */
static void narrow_hash(struct narrowing *n)
{
	const struct profile *was = n->was, *c = n->ceiling;
	struct profile *now = n->now;

	if (c->exec.hash != EXEC_HASH_PIN)
		return;
	if (now->exec.default_decision == DECISION_ALLOW) {
		now->exec.default_decision = DECISION_DENY;
		narrow_note(n, "exec.default:", "allow", was->exec.default_at, "deny",
			&c->exec.hash_at);
		now->exec.default_at = c->exec.hash_at;
	}
	if (was->exec.hash == EXEC_HASH_PIN)
		return;
	if (was->exec.hash_at.line)
		narrow_note(n, "exec.hash:", "off", was->exec.hash_at, "pin", &c->exec.hash_at);
	now->exec.hash = EXEC_HASH_PIN;
	now->exec.hash_at = c->exec.hash_at;
}

void narrow_exec(struct narrowing *n)
{
	const struct profile *was = n->was, *c = n->ceiling;
	const struct side allowing = side_of(c, DECISION_ALLOW, false);
	const struct side asking = side_of(c, DECISION_ASK, false);
	const struct side asked = side_of(was, DECISION_ASK, true);
	struct profile *now = n->now;

	now->exec.allow = now->exec.ask = (struct exec_rules){0};
	for (size_t i = 0; i < was->exec.allow.count; i++)
		cut(n, &was->exec.allow.items[i], &allowing, &now->exec.allow, "exec.allow");
	cut_default(n, &c->exec.allow, DECISION_ALLOW, &now->exec.allow);
	if (c->exec.default_decision < was->exec.default_decision) {
		now->exec.default_decision = c->exec.default_decision;
		narrow_note(n, "exec.default:",
			was->exec.default_decision == DECISION_ASK ? "ask" : "allow",
			was->exec.default_at,
			c->exec.default_decision == DECISION_ASK ? "ask" : "deny",
			&c->exec.default_at);
		now->exec.default_at = c->exec.default_at;
	}
	narrow_hash(n);
	narrow_asks(n, was, &asking, c);
	narrow_asks(n, c, &asked, was);
	narrow_add_all(n, &now->exec.deny, &c->exec.deny);
	check_partial_asks(n);
}
