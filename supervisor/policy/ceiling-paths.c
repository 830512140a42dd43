/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "base/path.h"

#include <string.h>

/* Lists of the ceiling whose paths together make a region. */
struct region {
	const struct path_rules *rules[4];
	size_t count;
	const struct path_rules *asks; /* the one whose asks for reading do not count, or NULL */
};

static bool counts(const struct region *region, size_t list, const struct path_rule *rule)
{
	return !region->asks || region->rules[list] != region->asks || rule->access == PATH_WRITE;
}

static bool holds_path(const struct path_rules *rules, size_t from, const struct path_rule *like)
{
	for (size_t i = from; i < rules->count; i++) {
		if (rules->items[i].access == like->access &&
			path_is_beneath(like->path, rules->items[i].path))
			return true;
	}
	return false;
}

enum narrowed { NARROWED_NONE, NARROWED_PART, NARROWED_WHOLE };

/* What became of a rule: the items of out from `from` on. */
struct piece {
	const struct path_rule *rule;
	const struct path_rules *out;
	size_t from;
	enum narrowed how;
	const struct path_rule *by; /* a line of the region that did it, or NULL */
};

/* Append to `out` what is both in the rule and in the region: the rule itself, or what the region
 * has beneath it. */
static struct piece cut(struct narrowing *n, const struct path_rule *rule,
	const struct region *region, struct path_rules *out)
{
	struct piece p = {.rule = rule, .out = out, .from = out->count};

	for (size_t i = 0; i < region->count; i++) {
		for (size_t j = 0; j < region->rules[i]->count; j++) {
			const struct path_rule *r = &region->rules[i]->items[j];

			if (!counts(region, i, r) || !path_is_beneath(rule->path, r->path))
				continue;
			p.how = NARROWED_WHOLE;
			narrow_add(n, out, *rule);
			return p;
		}
	}
	for (size_t i = 0; i < region->count; i++) {
		for (size_t j = 0; j < region->rules[i]->count; j++) {
			const struct path_rule *r = &region->rules[i]->items[j];
			struct path_rule part = *rule;

			part.path = r->path;
			part.written = r->written;
			part.optional = true;
			if (!counts(region, i, r) || !path_is_beneath(r->path, rule->path) ||
				holds_path(out, p.from, &part))
				continue;
			narrow_add(n, out, part);
			p.how = NARROWED_PART;
			p.by = r;
		}
	}
	return p;
}

/* what: before the paths that are left, "" or "reading ". */
static void note_cut(struct narrowing *n, const char *key, const struct piece *p, const char *what)
{
	autotext struct text parts = {0};

	if (p->how == NARROWED_WHOLE)
		return;
	for (size_t i = p->from; i < p->out->count; i++)
		text_printf(&parts, "%s%s", i == p->from ? what : ", ", p->out->items[i].path);
	narrow_note(n, key, p->rule->path, p->rule->at,
		p->how == NARROWED_PART ? text_string(&parts) : NULL, p->by ? &p->by->at : NULL);
}

/* Write grants, and what is left of them for reading where writing goes. */
static void narrow_write(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	const struct region writable = {.rules = {&c->fs.write}, .count = 1};
	const struct region readable = {.rules = {&c->fs.read, &c->fs.write}, .count = 2};

	for (size_t i = 0; i < n->was->fs.write.count; i++) {
		const struct path_rule *rule = &n->was->fs.write.items[i];
		struct piece write = cut(n, rule, &writable, &n->now->fs.write), read;

		if (write.how == NARROWED_WHOLE)
			continue;
		read = cut(n, rule, &readable, &n->now->fs.read);
		if (write.how == NARROWED_PART || read.how == NARROWED_NONE) {
			note_cut(n, "fs.write", &write, "");
			continue;
		}
		/* Even all of it is only a part of what was asked for. */
		read.how = NARROWED_PART;
		note_cut(n, "fs.write", &read, "reading ");
	}
}

static void narrow_read(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	const struct region region = {.rules = {&c->fs.read, &c->fs.write}, .count = 2};

	for (size_t i = 0; i < n->was->fs.read.count; i++) {
		struct piece p = cut(n, &n->was->fs.read.items[i], &region, &n->now->fs.read);

		note_cut(n, "fs.read", &p, "");
	}
}

/* The private /tmp of a run is there without a grant. The other things that berm puts into every
 * run
 * (/dev/null, /proc …) stay whatever a ceiling asks. */
static struct path_rule own_tmp = {.path = "/tmp", .written = "/tmp", .access = PATH_WRITE};
static const struct path_rules own_rules = {.items = &own_tmp, .count = 1};

/* What one side asks for stays, as far as the other side allows at least asking. */
static void narrow_asks(
	struct narrowing *n, const struct profile *asking, const struct profile *other)
{
	struct region reading = {
		.rules = {&other->fs.write, &other->fs.ask, &other->fs.read}, .count = 3};
	struct region writing = {
		.rules = {&other->fs.write, &other->fs.ask}, .count = 2, .asks = &other->fs.ask};

	if (other->fs.tmp.private) {
		reading.rules[reading.count++] = &own_rules;
		writing.rules[writing.count++] = &own_rules;
	}
	for (size_t i = 0; i < asking->fs.ask.count; i++) {
		const struct path_rule *rule = &asking->fs.ask.items[i];
		struct piece p = cut(
			n, rule, rule->access == PATH_WRITE ? &writing : &reading, &n->now->fs.ask);

		if (asking == n->was)
			note_cut(n, "fs.ask", &p, "");
	}
}

/* Beneath these grants programs do not run, also where the list has its entries from others. */
static void keep_unexecutable(
	struct narrowing *n, const struct path_rules *grants, bool all, struct path_rules *list)
{
	size_t count = list->count;

	for (size_t i = 0; i < grants->count; i++) {
		const struct path_rule *grant = &grants->items[i];
		struct path_rule part = *grant;
		bool around = false;

		if (!all && !grant->no_exec)
			continue;
		for (size_t j = 0; j < count; j++) {
			if (path_is_beneath(list->items[j].path, grant->path))
				list->items[j].no_exec = true;
			else
				around |= path_is_beneath(grant->path, list->items[j].path);
		}
		part.access = PATH_READ;
		part.optional = true;
		part.no_exec = true;
		if (around && !holds_path(&n->now->fs.write, 0, &part))
			narrow_add(n, list, part);
	}
}

void narrow_fs(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	now->fs.read = now->fs.write = now->fs.ask = (struct path_rules){0};
	narrow_write(n);
	narrow_read(n);
	narrow_asks(n, n->was, c);
	narrow_asks(n, c, n->was);
	/* Programs do not run from where a run can write. Where the ceiling takes a write grant
	 * away and leaves reading, or asking, programs must not begin to run by that. */
	keep_unexecutable(n, &n->was->fs.write, true, &now->fs.read);
	keep_unexecutable(n, &n->was->fs.write, true, &now->fs.ask);
	narrow_add_all(n, &now->fs.deny, &c->fs.deny);
	narrow_add_all(n, &now->fs.protect, &c->fs.protect);
	narrow_add_all(n, &now->fs.canaries, &c->fs.canaries);
}

void narrow_unexecutable(struct narrowing *n)
{
	const struct profile *c = n->ceiling;

	keep_unexecutable(n, &c->fs.write, true, &n->now->fs.read);
	keep_unexecutable(n, &c->fs.read, false, &n->now->fs.read);
}

/* An ask of either side stands in the way of a socket too. Where that ask is gone from the result,
 * since nothing else is granted there, the socket goes as well. */
static bool ask_is_lost(const struct narrowing *n, const char *path, const struct path_rules *asks)
{
	for (size_t i = 0; i < asks->count; i++) {
		const struct path_rule *ask = &asks->items[i];

		if ((path_is_beneath(path, ask->path) || path_is_beneath(ask->path, path)) &&
			!holds_path(&n->now->fs.ask, 0, ask))
			return true;
	}
	return false;
}

void narrow_unix(struct narrowing *n)
{
	const struct region region = {.rules = {&n->ceiling->network.unix_sockets}, .count = 1};
	struct path_rules *out = &n->now->network.unix_sockets;

	*out = (struct path_rules){0};
	for (size_t i = 0; i < n->was->network.unix_sockets.count; i++) {
		struct piece p = cut(n, &n->was->network.unix_sockets.items[i], &region, out);
		size_t kept = p.from;

		for (size_t j = p.from; j < out->count; j++) {
			const char *path = out->items[j].path;

			if (!ask_is_lost(n, path, &n->was->fs.ask) &&
				!ask_is_lost(n, path, &n->ceiling->fs.ask))
				out->items[kept++] = out->items[j];
		}
		if (kept < out->count)
			p.how = kept > p.from ? NARROWED_PART : NARROWED_NONE;
		out->count = kept;
		note_cut(n, "network.unix", &p, "");
	}
}
