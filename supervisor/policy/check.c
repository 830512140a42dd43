/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "policy/diagnostics.h"
#include "policy/lint.h"
#include "policy/load.h"

#include <string.h>

struct checker {
	const struct profile *profile;
	const Berm__Wire__HostFacts *facts;
	struct diagnostics d;
	const char *unknown; /* a path that the facts say nothing about: a bug of the caller */
};

static const Berm__Wire__PathFact *fact_of(struct checker *c, const char *path)
{
	for (size_t i = 0; i < c->facts->n_paths; i++) {
		if (strcmp(c->facts->paths[i]->path, path) == 0)
			return c->facts->paths[i];
	}
	c->unknown = path;
	return NULL;
}

static bool is_absent(const Berm__Wire__PathFact *fact)
{
	return fact->kind == BERM__WIRE__FILE_KIND__FILE_ABSENT ||
	       fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_ABSENT || !*fact->resolved;
}

static void report_absent(struct checker *c, const char *key, const char *path,
	const Berm__Wire__PathFact *fact, struct source at)
{
	if (fact->error)
		diagnostics_report(&c->d, CODE_PATH_ABSENT, at, "%s %s cannot be looked at: %s",
			key, path, strerror((int)fact->error));
	else if (fact->kind == BERM__WIRE__FILE_KIND__FILE_SYMLINK)
		diagnostics_report(&c->d, CODE_PATH_ABSENT, at,
			"%s %s is a link to %s, which does not exist", key, path,
			fact->link_target);
	else
		diagnostics_report(&c->d, CODE_PATH_ABSENT, at,
			"%s %s does not exist (the path is there up to %s); where that is "
			"fine, write {path: …, optional: true}",
			key, path, *fact->deepest_existing ? fact->deepest_existing : "/");
}

/* The fact of a path that is granted; NULL where it is absent, which is reported unless optional.
 */
static const Berm__Wire__PathFact *check_grant(
	struct checker *c, const char *key, const char *path, bool optional, struct source at)
{
	const Berm__Wire__PathFact *fact = fact_of(c, path);

	if (!fact)
		return NULL;
	if (is_absent(fact) || fact->error) {
		if (!optional)
			report_absent(c, key, path, fact, at);
		return NULL;
	}
	/* A link of root's, such as /bin, is part of the system and worth no words. */
	if (fact->kind == BERM__WIRE__FILE_KIND__FILE_SYMLINK && fact->owner_uid != 0)
		diagnostics_report(&c->d, CODE_NOTE_SYMLINK, at, "%s %s is a link; it grants %s",
			key, path, fact->resolved);
	return fact;
}

static void check_grants(struct checker *c, const char *key, const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		(void)check_grant(
			c, key, rules->items[i].path, rules->items[i].optional, rules->items[i].at);
}

static bool is_protected(const struct profile *p, const char *file)
{
	for (size_t i = 0; i < p->fs.protect.count; i++) {
		if (strcmp(p->fs.protect.items[i].path, file) == 0)
			return true;
	}
	return false;
}

/* What a write grant leads to must be as harmless as what it says. */
static void check_write(struct checker *c, const struct path_rule *rule)
{
	const Berm__Wire__PathFact *fact =
		check_grant(c, "fs.write", rule->path, rule->optional, rule->at);
	const char *why;

	if (!fact)
		return;
	why = strcmp(fact->resolved, rule->path) == 0
		      ? NULL
		      : lint_protected_root(fact->resolved, c->facts->caller_home);
	if (why)
		diagnostics_report(&c->d, CODE_PROTECTED_ROOT, rule->at,
			"fs.write %s leads to %s, which must not be writable: %s", rule->path,
			fact->resolved, why);
	for (size_t i = 0; i < c->profile->file_count; i++) {
		const char *file = c->profile->files[i];

		if (path_is_beneath(file, fact->resolved) && !is_protected(c->profile, file))
			diagnostics_report(&c->d, CODE_PROFILE_WRITABLE, rule->at,
				"fs.write %s leads to %s, where the profile %s is; name the "
				"grant by that path",
				rule->path, fact->resolved, file);
	}
}

static void check_exec(struct checker *c, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].path)
			(void)check_grant(c, "exec.allow", rules->items[i].path,
				rules->items[i].optional, rules->items[i].at);
	}
}

static void warn_links(
	struct checker *c, const char *key, const Berm__Wire__PathFact *fact, struct source at)
{
	if (fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_REGULAR && fact->links > 1)
		diagnostics_report(&c->d, CODE_WARNING_LINKS, at,
			"%s %s has %u hard links; its other names stay reachable where "
			"they are granted",
			key, fact->path, fact->links);
}

static void check_denied(struct checker *c, const char *key, const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct path_rule *rule = &rules->items[i];

		if (!rule->is_glob) {
			const Berm__Wire__PathFact *fact = fact_of(c, rule->path);

			if (fact)
				warn_links(c, key, fact, rule->at);
			continue;
		}
		for (size_t j = 0; j < c->facts->n_globs; j++) {
			const Berm__Wire__GlobFact *glob = c->facts->globs[j];

			if (strcmp(glob->pattern, rule->path) != 0)
				continue;
			for (size_t k = 0; k < glob->n_matches; k++)
				warn_links(c, key, glob->matches[k], rule->at);
		}
	}
}

int profile_check_paths(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	struct text *diagnostics, struct error *err)
{
	struct checker c = {
		.profile = profile,
		.facts = facts,
		.d = {.out = diagnostics, .files = profile->sources},
	};

	check_grants(&c, "fs.read", &profile->fs.read);
	for (size_t i = 0; i < profile->fs.write.count; i++)
		check_write(&c, &profile->fs.write.items[i]);
	check_grants(&c, "fs.ask", &profile->fs.ask);
	check_grants(&c, "network.unix", &profile->network.unix_sockets);
	check_exec(&c, &profile->exec.allow);
	check_denied(&c, "fs.deny", &profile->fs.deny);
	check_denied(&c, "fs.canaries", &profile->fs.canaries);
	check_denied(&c, "fs.protect", &profile->fs.protect);
	if (c.unknown)
		return error_set(
			err, -EINVAL, ERROR_INTERNAL, "no facts were gathered about %s", c.unknown);
	if (c.d.errors)
		return error_set(err, -EINVAL, ERROR_INPUT, "%s: %u error%s", profile->file,
			c.d.errors, c.d.errors == 1 ? "" : "s");
	return 0;
}
