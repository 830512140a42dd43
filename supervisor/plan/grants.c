/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <errno.h>

static bool fact_exists(const Berm__Wire__PathFact *fact)
{
	return *fact->resolved != '\0';
}

/* What nobody may grant. Returns 1 to leave the entry out with a note, 0 to go on. */
static int check_place(struct compiler *c, const struct grant *g)
{
	static const struct {
		const char *tree;
		bool beneath; /* the tree and all of it; else the very path only */
		bool write;   /* only writing is refused */
		const char *why;
	} refused[] = {
		{"/", false, true, "writing everywhere is no boundary; name the directories"},
		{"/proc", true, true, "the run has its own /proc, which is not to be written"},
		{"/sys", true, true, "what /sys writes changes the host's kernel"},
		{"/dev", false, true, "name the device nodes, one by one"},
	};
	static const struct {
		const char *tree;
		bool beneath;
	} own[] = {{"/proc", true}, {"/dev", false}, {"/dev/pts", true}, {"/dev/shm", false}};

	for (size_t i = 0; i < array_size(refused); i++) {
		bool hit = refused[i].beneath ? path_is_beneath(g->path, refused[i].tree)
					      : strcmp(g->path, refused[i].tree) == 0;

		if (hit && g->write >= refused[i].write)
			return error_set(c->err, -EINVAL, ERROR_INPUT, "%s cannot be granted: %s",
				rule_text(c, g->rule), refused[i].why);
	}
	if (path_is_own_device(g->path)) {
		rule_enforced(c, g->rule, "mount (the run's own)");
		return 1;
	}
	for (size_t i = 0; i < array_size(own); i++) {
		if (own[i].beneath ? path_is_beneath(g->path, own[i].tree)
				   : strcmp(g->path, own[i].tree) == 0) {
			note(c, "%s: every run has its own %s, the host's is not shown",
				rule_text(c, g->rule), own[i].tree);
			rule_enforced(c, g->rule, "mount (the run's own)");
			return 1;
		}
	}
	if (path_is_beneath(g->path, "/dev") &&
		g->fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY &&
		!path_is_beneath(g->path, "/dev/shm"))
		return error_set(c->err, -EINVAL, ERROR_INPUT,
			"%s cannot be granted: name the device nodes in it, one by one",
			rule_text(c, g->rule));
	return 0;
}

static int add_grant(
	struct compiler *c, enum rule_section section, const struct path_rule *r, uint32_t rule)
{
	const Berm__Wire__PathFact *fact = fact_find(c, r->path);
	struct grant *g, new = {.written = r->path, .section = section, .rule = rule};
	int held;

	if (!fact)
		return error_set(
			c->err, -EINVAL, ERROR_INTERNAL, "no fact about %s was gathered", r->path);
	if (!fact_exists(fact)) {
		if (r->optional) {
			rule_enforced(c, rule, "absent");
			return 0;
		}
		if (fact->error)
			return error_set(c->err, -(int)fact->error, ERROR_INPUT,
				"%s cannot be looked at: %s", rule_text(c, rule),
				strerror((int)fact->error));
		return error_set(c->err, -ENOENT, ERROR_INPUT,
			"%s does not exist; write {path: …, optional: true} if it may be absent",
			rule_text(c, rule));
	}
	new.fact = fact;
	new.path = fact->resolved;
	new.write = section == RULES_FS_WRITE;
	new.socket = section == RULES_NETWORK_UNIX;
	if (new.socket && fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_SOCKET)
		return error_set(
			c->err, -EINVAL, ERROR_INPUT, "%s is no socket", rule_text(c, rule));
	held = check_place(c, &new);
	if (held)
		return held < 0 ? held : 0;
	g = array_add(c, &c->grants, &c->grant_count, &c->grant_capacity, sizeof(*g));
	if (g)
		*g = new;
	return 0;
}

static int add_section(
	struct compiler *c, enum rule_section section, const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		int r = add_grant(c, section, &rules->items[i], rule_index(c, section, i));

		if (r < 0)
			return r;
	}
	return 0;
}

/* A part of a grant where programs may be run while the rest may not, or the other way round, is a
 * mount of its own: exec.allow beneath a write grant, which is noexec, and a directory of
 * exec.deny. */
static void add_exec_part(
	struct compiler *c, enum rule_section section, const struct exec_rules *rules, size_t count)
{
	for (size_t i = 0; i < rules->count; i++) {
		const char *named = rules->items[i].path;
		const Berm__Wire__PathFact *fact = named ? fact_find(c, named) : NULL;
		const struct grant *around = NULL;
		struct grant *g;

		if (!fact || !fact_exists(fact))
			continue;
		if (section != RULES_EXEC_ALLOW &&
			fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
			continue;
		/* Its copy is what is run: the file itself stays where nothing is. */
		if (section == RULES_EXEC_ALLOW && program_is_pinned(c, fact->resolved))
			continue;
		for (size_t k = 0; k < count; k++) {
			if (strcmp(c->grants[k].path, fact->resolved) &&
				path_is_beneath(fact->resolved, c->grants[k].path) &&
				(!around || c->grants[k].write))
				around = &c->grants[k];
		}
		if (!around || (section == RULES_EXEC_ALLOW &&
				       !path_is_covered(c, COVERS_WRITE, fact->resolved)))
			continue;
		g = array_add(c, &c->grants, &c->grant_count, &c->grant_capacity, sizeof(*g));
		if (g)
			*g = (struct grant){.written = named,
				.path = fact->resolved,
				.fact = fact,
				.section = section,
				.rule = rule_index(c, section, i),
				.write = around->write};
	}
}

/* exec.allow says what may be run of what is granted; it grants nothing itself. */
static void note_allowed(struct compiler *c)
{
	for (size_t i = 0; i < c->profile->exec.allow.count; i++) {
		const char *path = c->profile->exec.allow.items[i].path;
		uint32_t rule = rule_index(c, RULES_EXEC_ALLOW, i);
		bool granted = !path;

		for (size_t k = 0; k < c->grant_count && !granted; k++) {
			const struct grant *g = &c->grants[k];

			granted = path_is_beneath(g->path, path) ||
				  path_is_beneath(path, g->path) ||
				  path_is_beneath(path, g->written);
		}
		if (granted || path_is_beneath(path, "/tmp") || path_is_beneath(c->home, path))
			continue;
		note(c, "%s: nothing there is granted; fs.read or fs.write does that",
			rule_text(c, rule));
		rule_enforced(c, rule, "nothing (not granted)");
	}
}

static int compare_grants(const void *a, const void *b)
{
	const struct grant *ga = a, *gb = b;
	int order = path_order(ga->path, gb->path);

	if (order)
		return order;
	if (ga->write != gb->write)
		return ga->write ? -1 : 1;
	return ga->rule < gb->rule ? -1 : ga->rule > gb->rule;
}

/* deny > allow, and of two entries for one object the one that gives more counts. */
static void settle(struct compiler *c)
{
	const struct grant *kept = NULL;

	for (size_t i = 0; i < c->grant_count; i++) {
		struct grant *g = &c->grants[i];

		if (path_is_denied(c, g->path) || path_is_denied(c, g->written)) {
			g->dropped = true;
			note(c, "%s: a deny covers it, so it is not granted",
				rule_text(c, g->rule));
			rule_enforced(c, g->rule, "nothing (denied by another line)");
			continue;
		}
		if (g->write && (path_is_covered(c, COVERS_PROTECT, g->path) ||
					path_is_covered(c, COVERS_PROTECT, g->written))) {
			g->write = false;
			note(c, "%s: fs.protect or fs.ask covers it, so it can only be read",
				rule_text(c, g->rule));
		}
		/* Where fs.write reaches, protected or not, only what exec.allow names may be run;
		 * of a pinned program that is the copy. */
		g->exec = path_is_covered(c, COVERS_WRITE, g->path)
				  ? path_may_exec(c, g->path) && !program_is_pinned(c, g->path)
				  : !path_may_not_exec(c, g->path);
	}
	qsort(c->grants, c->grant_count, sizeof(*c->grants), compare_grants);
	for (size_t i = 0; i < c->grant_count; i++) {
		struct grant *g = &c->grants[i];

		if (g->dropped)
			continue;
		if (kept && strcmp(kept->path, g->path) == 0)
			g->dropped = true;
		else
			kept = g;
	}
}

int plan_grants(struct compiler *c)
{
	int r = add_section(c, RULES_FS_READ, &c->profile->fs.read);
	size_t count;

	if (r == 0)
		r = add_section(c, RULES_FS_WRITE, &c->profile->fs.write);
	if (r == 0)
		r = add_section(c, RULES_NETWORK_UNIX, &c->profile->network.unix_sockets);
	if (r < 0)
		return r;
	count = c->grant_count;
	note_allowed(c);
	add_exec_part(c, RULES_EXEC_ALLOW, &c->profile->exec.allow, count);
	add_exec_part(c, RULES_EXEC_DENY, &c->profile->exec.deny, count);
	add_exec_part(c, RULES_EXEC_ASK, &c->profile->exec.ask, count);
	if (c->out_of_memory)
		return -ENOMEM;
	r = plan_links(c);
	if (r == 0 && c->grant_count)
		settle(c);
	return r;
}
