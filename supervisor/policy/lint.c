/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include "base/path.h"
#include "policy/calls.h"
#include "policy/decide-internal.h"
#include "policy/keys.h"

#include <string.h>

/* What must not be granted for writing: the path itself (exact), or it and all beneath. */
static const struct root {
	const char *path;
	bool beneath;
	const char *why;
} roots[] = {
	{"/", false, "everything would be writable"},
	{"/etc", true, "it configures programs outside the walls"},
	{"/usr", false, "programs outside the walls run from it"},
	{"/bin", true, "programs outside the walls run from it"},
	{"/sbin", true, "programs outside the walls run from it"},
	{"/lib", true, "programs outside the walls load it"},
	{"/lib64", true, "programs outside the walls load it"},
	{"/usr/bin", true, "programs outside the walls run from it"},
	{"/usr/sbin", true, "programs outside the walls run from it"},
	{"/usr/lib", true, "programs outside the walls load it"},
	{"/boot", true, "the machine starts from it"},
	{"/proc", true, "it is the kernel's"},
	{"/sys", true, "it is the kernel's"},
	{"/dev", true, "it is the kernel's; the run has a /dev of its own"},
	{"/home", false, "it holds every home directory"},
	{"/root", false, "it is a home directory"},
	{"/var", false, "it holds the state of every service"},
	{"/run", false, "it holds the sockets of every service"},
};

const char *lint_protected_root(const char *path, const char *home)
{
	for (size_t i = 0; i < array_size(roots); i++) {
		if (roots[i].beneath ? path_is_beneath(path, roots[i].path)
				     : strcmp(path, roots[i].path) == 0)
			return roots[i].why;
	}
	if (home && path_is_beneath(home, path))
		return "it is or holds the home directory; grant the directories that are needed";
	return NULL;
}

static void check_write(const struct path_rule *rule, const char *home, struct diagnostics *d)
{
	const char *why = lint_protected_root(rule->path, home);

	if (why)
		diagnostics_report(d, CODE_PROTECTED_ROOT, rule->at, "%s must not be writable: %s",
			rule->path, why);
}

/* The deny that covers all of a path; NULL where some of it is left. */
static const struct path_rule *covering_deny(const struct profile *p, const char *path)
{
	for (size_t i = 0; i < p->fs.deny.count; i++) {
		const struct path_rule *deny = &p->fs.deny.items[i];

		if (deny->is_glob ? path_covered_by_glob(deny->path, path)
				  : path_is_beneath(path, deny->path))
			return deny;
	}
	return NULL;
}

static void check_covered(const struct profile *p, const struct path_rules *grants, const char *key,
	struct diagnostics *d)
{
	for (size_t i = 0; i < grants->count; i++) {
		const struct path_rule *deny = covering_deny(p, grants->items[i].path);

		if (deny)
			diagnostics_report(d, CODE_WARNING_COVERED, grants->items[i].at,
				"%s %s has no effect: fs.deny %s (%s:%u) covers it", key,
				grants->items[i].written, deny->written, deny->at.file,
				deny->at.line);
	}
}

static void check_exec(const struct profile *p, struct diagnostics *d)
{
	for (size_t i = 0; i < p->exec.allow.count; i++) {
		const struct exec_rule *rule = &p->exec.allow.items[i];

		/* Whoever gives a reason means it. */
		for (size_t j = 0; rule->path && !rule->reason && j < p->fs.write.count; j++) {
			const struct path_rule *grant = &p->fs.write.items[j];

			if (!path_is_beneath(rule->path, grant->path))
				continue;
			diagnostics_report(d, CODE_WARNING_EXEC_WRITABLE, rule->at,
				"exec.allow %s lies inside fs.write %s (%s:%u): the tool "
				"can write what it starts",
				rule->written, grant->written, grant->at.file, grant->at.line);
			break;
		}
	}
}

static void check_network(const struct profile *p, struct diagnostics *d)
{
	size_t grants = p->network.allow.count + p->network.ask.count + p->network.listen.count;

	if (p->network.mode == NETWORK_MODE_HOST && grants > 0)
		diagnostics_report(d, CODE_HOST_NETWORK, p->network.mode_at,
			"network.mode: host gives the whole network but for network.deny, so that "
			"allow, ask and listen say nothing");
}

static bool group_is_denied(const struct profile *p, const char *group, struct source *ret_at)
{
	for (size_t i = 0; i < p->syscalls.deny_groups.count; i++) {
		if (strcmp(p->syscalls.deny_groups.items[i].text, group) == 0) {
			*ret_at = p->syscalls.deny_groups.items[i].at;
			return true;
		}
	}
	return false;
}

static void check_calls(const struct profile *p, struct diagnostics *d)
{
	const struct calls_entry *table;
	struct source at;
	size_t count;

	for (size_t i = 0; i < p->syscalls.allow.count; i++) {
		const struct string_rule *rule = &p->syscalls.allow.items[i];
		const struct calls_entry *call = calls_find(rule->text);

		if (call && call->flags & CALLS_NEVER)
			diagnostics_report(d, CODE_CALL_NEVER, rule->at,
				"%s would undo the rules about other calls, so no profile "
				"can allow it",
				rule->text);
	}
	for (size_t i = 0; i < p->syscalls.deny.count; i++) {
		const struct string_rule *rule = &p->syscalls.deny.items[i];
		const struct calls_entry *call = calls_find(rule->text);

		if (call && call->flags & CALLS_ESSENTIAL)
			diagnostics_report(d, CODE_CALL_ESSENTIAL, rule->at,
				"no program starts without %s", rule->text);
	}
	table = calls_table(&count);
	for (size_t i = 0; p->syscalls.deny_groups.count && i < count; i++) {
		const char *group = calls_group((enum calls_group)table[i].group)->name;

		if (table[i].flags & CALLS_ESSENTIAL && group_is_denied(p, group, &at)) {
			diagnostics_report(d, CODE_CALL_ESSENTIAL, at,
				"no program starts without %s, which is in the group %s",
				table[i].name, group);
			return;
		}
	}
}

static void check_wide(const struct profile *p, struct diagnostics *d)
{
	for (size_t i = 0; i < p->fs.read.count; i++) {
		if (strcmp(p->fs.read.items[i].path, "/") == 0)
			diagnostics_report(d, CODE_WARNING_READ_ALL, p->fs.read.items[i].at,
				"fs.read: / makes every file of the host readable");
	}
	for (size_t i = 0; i < p->env.pass.count; i++) {
		if (strspn(p->env.pass.items[i].text, "*") == strlen(p->env.pass.items[i].text))
			diagnostics_report(d, CODE_WARNING_ENV_ALL, p->env.pass.items[i].at,
				"env.pass: \"*\" passes every variable of the caller on");
	}
}

void lint_profile(const struct profile *p, const char *home, struct diagnostics *d)
{
	for (size_t i = 0; i < p->fs.write.count; i++)
		check_write(&p->fs.write.items[i], home, d);
	check_covered(p, &p->fs.read, "fs.read", d);
	check_covered(p, &p->fs.write, "fs.write", d);
	check_covered(p, &p->fs.ask, "fs.ask", d);
	check_exec(p, d);
	check_network(p, d);
	check_calls(p, d);
	check_wide(p, d);
	lint_pace(p, d);
	lint_recorder(p, d);
}

static int add_pending(struct profile *p, struct arena *arena, const char *key, const char *needs,
	struct source at)
{
	void *grown =
		arena_grow(arena, p->pending.items, p->pending.count, sizeof(*p->pending.items));

	if (!grown)
		return -ENOMEM;
	p->pending.items = grown;
	p->pending.items[p->pending.count++] =
		(struct pending){.key = key, .needs = needs, .at = at};
	return 0;
}

static int add_pending_commands(struct profile *p, struct arena *arena)
{
	const struct {
		const struct exec_rules *rules;
		const char *key;
	} lists[] = {{&p->exec.allow, "exec.allow[].command"}, {&p->exec.ask, "exec.ask[].command"},
		{&p->exec.deny, "exec.deny[].command"}};

	for (size_t i = 0; i < array_size(lists); i++) {
		for (size_t j = 0; j < lists[i].rules->count; j++) {
			const struct exec_rule *rule = &lists[i].rules->items[j];

			if (rule->command &&
				add_pending(p, arena, lists[i].key, NEEDS_EXEC_METER, rule->at) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* Names of hosts are known to nobody who sees addresses only, and programs to nobody who sees the
 * run only. */
static int add_pending_rules(struct profile *p, struct arena *arena,
	const struct network_rules *rules, const char *key, bool grant)
{
	bool host = false, by = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < rules->count; i++) {
		const struct network_rule *rule = &rules->items[i];

		if (rule->host && !host)
			r = add_pending(p, arena, key, NEEDS_DNS_PROXY, rule->at);
		else if (!rule->host && rule->by_count && grant && !by)
			r = add_pending(p, arena, key, NEEDS_EXEC_METER, rule->at);
		host |= rule->host != NULL;
		by |= !rule->host && rule->by_count;
	}
	return r;
}

static int add_pending_network(struct profile *p, struct arena *arena)
{
	/* A run that reaches nothing reaches no host of any name. */
	bool closed = p->network.mode == NETWORK_MODE_SCOPED && !p->network.allow.count;
	int r = add_pending_rules(p, arena, &p->network.allow, "network.allow", true);

	if (r == 0)
		r = add_pending_rules(p, arena, &p->network.ask, "network.ask", false);
	if (r == 0 && !closed)
		r = add_pending_rules(p, arena, &p->network.deny, "network.deny", false);
	return r;
}

void lint_place(const struct profile *p, const char *dir, struct diagnostics *d)
{
	for (size_t i = 0; i < p->fs.write.count; i++) {
		if (path_is_beneath(p->fs.write.items[i].path, dir))
			diagnostics_report(d, CODE_PROTECTED_ROOT, p->fs.write.items[i].at,
				"%s must not be writable: berm keeps profiles or its own state in "
				"%s",
				p->fs.write.items[i].path, dir);
	}
}

/* Who can write a profile, or put one where it is looked for, chooses the walls of the next run. */
static int protect_path(
	struct profile *p, const char *path, struct arena *arena, struct diagnostics *d)
{
	struct path_rules *protect = &p->fs.protect;
	const struct path_rule *grant = NULL;
	void *grown;

	for (size_t i = 0; i < p->fs.write.count && !grant; i++) {
		if (path_is_beneath(path, p->fs.write.items[i].path))
			grant = &p->fs.write.items[i];
	}
	if (!grant)
		return 0;
	grown = arena_grow(arena, protect->items, protect->count, sizeof(*protect->items));
	if (!grown)
		return -ENOMEM;
	protect->items = grown;
	protect->items[protect->count++] = (struct path_rule){
		.path = path,
		.written = path,
		.reason = "who writes a profile chooses the walls of the next run",
	};
	diagnostics_report(d, CODE_NOTE_SELF, grant->at,
		"fs.write %s holds %s, where profiles are read from: it is kept from being changed",
		grant->written, path);
	return 0;
}

int lint_finish(struct profile *p, const char *const *elsewhere, size_t count, struct arena *arena,
	struct diagnostics *d)
{
	int r = add_pending_network(p, arena);

	lint_approvals(p, d);
	if (r == 0)
		r = add_pending_commands(p, arena);
	for (size_t i = 0; r == 0 && i < p->file_count; i++)
		r = protect_path(p, p->files[i], arena, d);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = protect_path(p, elsewhere[i], arena, d);
	return r;
}
