/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "wire/placeholder.h"

#include <limits.h>

/* What is less than the tree around it. Inside a grant an existing object is covered (HIDE) or made
 * read-only (SEAL); a name that does not exist yet is taken by a placeholder (RESERVE); and every
 * directory between the root of a write grant and such a place is bound on itself (PIN), since
 * renaming it away would carry the protection off and leave the name free (rename(2) answers EBUSY
 * for a mount point). A symbolic link cannot be held by a mount, and neither can a name that only a
 * pattern describes: both are reported as the feature "bpf". */

/* What a line wants of one path. */
struct wish {
	const char *asked; /* the path as the profile, or a match of its pattern, names it */
	const Berm__Wire__PathFact *fact;
	enum protection_kind kind;
	uint32_t rule;
	bool optional; /* what is there when the run starts is meant, not the name */
	bool decoy;    /* of fs.canaries, and the meter sees who touches it */
};

static bool in_write_grant(const struct area *a)
{
	return a->kind == AREA_GRANT && a->write;
}

static bool in_host_tree(const struct area *a)
{
	return a->kind == AREA_GRANT || a->kind == AREA_PROC;
}

static void protect(struct compiler *c, const struct protection *p)
{
	struct protection *added = array_add(
		c, &c->protections, &c->protection_count, &c->protection_capacity, sizeof(*added));

	if (added)
		*added = *p;
}

/* A name in a write grant that is, or goes through, a symbolic link: the tool can replace it. */
static int link_gap(struct compiler *c, const struct wish *w)
{
	char what[PATH_MAX + 128];

	if (w->optional)
		return 0;
	snprintf(what, sizeof(what),
		"%s is or leads through a symbolic link that the tool can replace", w->asked);
	return feature_missing(c, "bpf", w->rule, what);
}

/* The name as it is reached inside: the written prefix of a grant becomes its real path. */
static const char *name_inside(struct compiler *c, const char *path)
{
	const struct grant *best = NULL;
	autotext struct text t = {0};

	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];

		if (!g->dropped && path_is_beneath(path, g->written) &&
			(!best || strlen(g->written) > strlen(best->written)))
			best = g;
	}
	if (!best || strcmp(best->written, best->path) == 0)
		return path;
	text_printf(&t, "%s%s", best->path, path + strlen(best->written));
	path = keep(c, text_take(&t));
	return path ? path : "/";
}

/* True where the name, or a link on the way to it, stands where the tool can replace it. */
static bool goes_through_own_link(struct compiler *c, const struct wish *w)
{
	const Berm__Wire__PathFact *fact = w->fact;
	const char *name;

	for (size_t i = 0; i < fact->n_links_passed; i++) {
		if (in_write_grant(area_around(c, fact->links_passed[i])))
			return true;
	}
	if (fact->n_links_passed || !*fact->resolved)
		return false;
	name = name_inside(c, w->asked);
	return strcmp(name, fact->resolved) && in_write_grant(area_around(c, name));
}

static void note_names(struct compiler *c, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	if (fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_REGULAR || fact->links < 2)
		return;
	note(c, "%s: the file has %u names; the others are not covered by this line",
		rule_text(c, rule), fact->links);
	rule_enforced(c, rule, "weaker: the file has other names");
}

/* A directory that another run holds the name with, or that one left when the machine lost power
 * (apply/reserve.c): to the plan the name does not exist. It may be gone a moment later, and a name
 * that were made inside it would keep it from going. */
static bool is_placeholder(Berm__Wire__FileKind kind, uint32_t mode)
{
	return kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY && mode == PLACEHOLDER_MODE;
}

static int protect_existing(struct compiler *c, const struct wish *w)
{
	const Berm__Wire__PathFact *fact = w->fact;
	const struct area *area = area_of(c, fact->resolved);
	struct protection p = {.path = fact->resolved,
		.kind = w->kind,
		.decoy = w->decoy,
		.file_kind = fact->resolved_kind,
		.rule = w->rule};

	if (goes_through_own_link(c, w)) {
		int r = link_gap(c, w);

		if (r < 0)
			return r;
	}
	/* An area that begins here is a grant: plan_grants() has dropped or narrowed it already. */
	if (!in_host_tree(area)) {
		rule_enforced(c, w->rule, "mount (not granted)");
		return 0;
	}
	if (w->kind == PROTECTION_SEAL && !area->write) {
		rule_enforced(c, w->rule, "mount (read-only grant)");
		return 0;
	}
	/* Another run's, in a tree that this one only reads: it may be gone a moment later. */
	p.may_go = is_placeholder(fact->kind, fact->mode);
	/* The run's own /proc has other inodes than the host's. */
	if (area->kind == AREA_GRANT && !p.may_go) {
		p.dev = fact->dev;
		p.ino = fact->ino;
	}
	rule_enforced(
		c, w->rule, w->kind == PROTECTION_HIDE ? "mount (hidden)" : "mount (read-only)");
	note_names(c, fact, w->rule);
	protect(c, &p);
	return 0;
}

/* Take the first missing name, so that nothing beneath it can come to be. */
static void reserve(struct compiler *c, const char *base, const char *missing, uint32_t rule)
{
	autotext struct text t = {0};
	struct protection p = {.kind = PROTECTION_RESERVE,
		.file_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY,
		.rule = rule};

	text_printf(&t, "%s/%.*s", base[1] ? base : "", (int)strcspn(missing, "/"), missing);
	p.path = keep(c, text_take(&t));
	if (!p.path)
		return;
	if (strchr(missing, '/'))
		note(c, "%s: it does not exist, so that %s cannot be made during the run",
			rule_text(c, rule), p.path);
	rule_enforced(c, rule, "mount (reserved)");
	protect(c, &p);
}

/* Take the name of such a directory as if it were missing. */
static void reserve_again(struct compiler *c, const char *path, uint32_t rule)
{
	const char *parent = keep(c, path_parent(path));

	if (parent)
		reserve(c, parent, path_last(path), rule);
}

static int protect_absent(struct compiler *c, const struct wish *w)
{
	const Berm__Wire__PathFact *fact = w->fact;
	const char *base = *fact->deepest_existing ? fact->deepest_existing : "/";
	const char *missing = fact->missing;
	const struct area *area = area_of(c, base);

	if (goes_through_own_link(c, w) ||
		(fact->deepest_kind == BERM__WIRE__FILE_KIND__FILE_SYMLINK &&
			in_write_grant(area_around(c, base))))
		return link_gap(c, w);
	if (!in_write_grant(area)) {
		rule_enforced(c, w->rule,
			area->kind == AREA_GRANT ? "mount (read-only grant)"
						 : "mount (not granted)");
		return 0;
	}
	/* Hidden from berm itself, or something that is no directory stands in the way: that object
	 * must stay what it is. A .git file, for one, could be made to point elsewhere. */
	if (fact->error || fact->deepest_kind == BERM__WIRE__FILE_KIND__FILE_REGULAR || !*missing) {
		if (strcmp(base, area->path) == 0)
			return feature_missing(c, "bpf", w->rule, "the path cannot be looked at");
		rule_enforced(c, w->rule, "mount (read-only)");
		protect(c, &(struct protection){.path = base,
				   .kind = fact->error ? w->kind : PROTECTION_SEAL,
				   .file_kind = fact->deepest_kind,
				   .dev = fact->deepest_dev,
				   .ino = fact->deepest_ino,
				   .rule = w->rule});
		return 0;
	}
	if (is_placeholder(fact->deepest_kind, fact->deepest_mode) &&
		in_write_grant(area_around(c, base)))
		reserve_again(c, base, w->rule);
	else
		reserve(c, base, missing, w->rule);
	return 0;
}

static int protect_path(struct compiler *c, const struct wish *w)
{
	const Berm__Wire__PathFact *fact = w->fact;

	if (!fact)
		return error_set(
			c->err, -EINVAL, ERROR_INTERNAL, "no fact about %s was gathered", w->asked);
	if (*fact->resolved && is_placeholder(fact->kind, fact->mode) &&
		in_write_grant(area_around(c, fact->resolved))) {
		reserve_again(c, fact->resolved, w->rule);
		return 0;
	}
	return *fact->resolved ? protect_existing(c, w) : protect_absent(c, w);
}

static const Berm__Wire__GlobFact *find_glob(const struct compiler *c, const char *pattern)
{
	for (size_t i = 0; i < c->facts->n_globs; i++) {
		if (strcmp(c->facts->globs[i]->pattern, pattern) == 0)
			return c->facts->globs[i];
	}
	return NULL;
}

/* True where the pattern can match beneath a grant: for future names only a write grant counts. */
static bool glob_reaches_grant(const struct compiler *c, const char *pattern, bool only_write)
{
	char head[PATH_MAX];
	size_t length = strcspn(pattern, "*?[");

	while (length > 1 && pattern[length - 1] != '/')
		length--;
	length = length > 1 ? length - 1 : 1;
	if (length >= sizeof(head))
		return true;
	memcpy(head, pattern, length);
	head[length] = '\0';
	for (size_t i = 0; i < c->area_count; i++) {
		const struct area *a = &c->areas[i];

		if (a->kind == AREA_GRANT && (a->write || !only_write) &&
			(path_is_beneath(a->path, head) || path_is_beneath(head, a->path)))
			return true;
	}
	return false;
}

/* What a pattern names and no mount holds: the meter does, where it can. */
static int hold_names(struct compiler *c, const struct path_rule *r, enum protection_kind kind,
	uint32_t rule, const char *gap)
{
	char what[192];

	if (!meter_sees_all(c) || !meter_holds_pattern(r->path)) {
		snprintf(what, sizeof(what), "%s%s", gap,
			meter_sees_all(c) ? " (no [ ] and no name that is only * can be held)"
					  : "");
		return meter_missing(c, rule, what);
	}
	meter_name(c, name_inside(c, r->path), kind, false, rule);
	rule_enforced(c, rule, meter_words(c));
	return 0;
}

static int protect_glob(
	struct compiler *c, const struct path_rule *r, enum protection_kind kind, uint32_t rule)
{
	const Berm__Wire__GlobFact *fact = find_glob(c, r->path);

	if (!fact)
		return error_set(
			c->err, -EINVAL, ERROR_INTERNAL, "no fact about %s was gathered", r->path);
	for (size_t i = 0; i < fact->n_matches; i++) {
		const struct wish w = {
			fact->matches[i]->path, fact->matches[i], kind, rule, r->optional, false};
		int result = protect_path(c, &w);

		if (result < 0)
			return result;
	}
	if (!fact->complete && glob_reaches_grant(c, r->path, kind == PROTECTION_SEAL))
		return hold_names(c, r, kind, rule,
			"there is too much to look through for what it matches: too many files or "
			"matches, or directories that are too deep or closed to berm");
	if (!r->optional && glob_reaches_grant(c, r->path, true))
		return hold_names(c, r, kind, rule,
			"names that it matches and that do not exist yet can be made (an entry "
			"with optional: true says that they may)");
	if (!fact->n_matches)
		rule_enforced(c, rule, "mount (not granted)");
	return 0;
}

/* A decoy that a mount covers cannot be touched. Where the meter sees files it is left in sight,
 * cannot be changed, and whoever opens it is refused and seen. */
static int protect_decoy(struct compiler *c, const struct path_rule *r, uint32_t rule)
{
	const Berm__Wire__PathFact *fact = r->is_glob ? NULL : fact_find(c, r->path);
	const Berm__Wire__GlobFact *glob = r->is_glob ? find_glob(c, r->path) : NULL;
	struct wish w = {r->path, fact, PROTECTION_SEAL, rule, true, true};
	int result = 0;

	if (!fact && !glob)
		return error_set(
			c->err, -EINVAL, ERROR_INTERNAL, "no fact about %s was gathered", r->path);
	if (glob ? !glob_reaches_grant(c, r->path, false)
		 : !in_host_tree(area_of(c, name_inside(c, r->path)))) {
		rule_enforced(c, rule, "mount (not granted)");
		note(c, "%s: it lies in no grant, so that the run cannot come near it",
			rule_text(c, rule));
		return 0;
	}
	if (fact && *fact->resolved)
		result = protect_path(c, &w);
	for (size_t i = 0; glob && result == 0 && i < glob->n_matches; i++) {
		w.asked = glob->matches[i]->path;
		w.fact = glob->matches[i];
		result = protect_path(c, &w);
	}
	if (result < 0)
		return result;
	meter_name(c, name_inside(c, r->path), PROTECTION_HIDE, true, rule);
	if (fact && *fact->resolved && strcmp(fact->resolved, name_inside(c, r->path)) != 0)
		meter_name(c, fact->resolved, PROTECTION_HIDE, true, rule);
	rule_enforced(c, rule, meter_words(c));
	return 0;
}

/* What is only meant where it exists: no name is taken for it, and nothing is left on the host. */
static bool is_waived(const struct path_rule *r, const Berm__Wire__PathFact *fact)
{
	return r->optional && fact && fact->kind == BERM__WIRE__FILE_KIND__FILE_ABSENT &&
	       !fact->error && fact->deepest_kind != BERM__WIRE__FILE_KIND__FILE_SYMLINK;
}

static int protect_rules(struct compiler *c, enum rule_section section,
	const struct path_rules *rules, enum protection_kind kind)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct path_rule *r = &rules->items[i];
		uint32_t rule = rule_index(c, section, i);
		enum protection_kind wanted = kind;
		bool decoy = section == RULES_FS_CANARIES && meter_sees_all(c) &&
			     meter_holds_pattern(r->path);
		int result;

		if (section == RULES_FS_ASK) {
			wanted = r->access == PATH_WRITE ? PROTECTION_SEAL : PROTECTION_HIDE;
			note(c, "%s: nobody can be asked yet, so it is denied", rule_text(c, rule));
		}
		if (!r->is_glob && !decoy && is_waived(r, fact_find(c, r->path))) {
			rule_enforced(c, rule, "nothing (absent, and optional)");
			continue;
		}
		if (decoy)
			result = protect_decoy(c, r, rule);
		else if (r->is_glob)
			result = protect_glob(c, r, wanted, rule);
		else
			result = protect_path(c, &(struct wish){r->path, fact_find(c, r->path),
							 wanted, rule, r->optional, false});
		if (result < 0)
			return result;
	}
	return 0;
}

/* A directory of exec.deny is a noexec mount (see plan_grants()). A file is hidden: what can be
 * read can be copied to where programs may be run. */
static int protect_programs(
	struct compiler *c, enum rule_section section, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		const char *path = rules->items[i].path;
		const Berm__Wire__PathFact *fact = path ? fact_find(c, path) : NULL;
		uint32_t rule = rule_index(c, section, i);
		int r;

		if (!path)
			continue;
		if (section == RULES_EXEC_ASK)
			note(c, "%s: nobody can be asked yet, so it is denied", rule_text(c, rule));
		if (fact && fact->resolved_kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY) {
			rule_enforced(c, rule, "mount (noexec)");
			continue;
		}
		/* What comes to be in a place where nothing can be run needs no guard. */
		if (fact && !*fact->resolved && !area_of(c, path)->exec) {
			rule_enforced(c, rule, "mount (noexec)");
			continue;
		}
		r = protect_path(
			c, &(struct wish){path, fact, PROTECTION_HIDE, rule, false, false});
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_protections(const void *a, const void *b)
{
	const struct protection *pa = a, *pb = b;
	int order = path_order(pa->path, pb->path);

	if (order)
		return order;
	if (pa->kind != pb->kind)
		return pa->kind > pb->kind ? -1 : 1;
	return pa->rule < pb->rule ? -1 : pa->rule > pb->rule;
}

/* In path order: what stands inside something hidden, or is no stronger than what is around it,
 * needs no step of its own. */
static void merge(struct compiler *c)
{
	const struct protection *hide = NULL, *seal = NULL, *last = NULL;

	if (c->protection_count)
		qsort(c->protections, c->protection_count, sizeof(*c->protections),
			compare_protections);
	for (size_t i = 0; i < c->protection_count; i++) {
		struct protection *p = &c->protections[i];

		if ((hide && path_is_beneath(p->path, hide->path)) ||
			(last && strcmp(p->path, last->path) == 0) ||
			(seal && p->kind != PROTECTION_HIDE &&
				path_is_beneath(p->path, seal->path))) {
			p->merged = true;
			continue;
		}
		last = p;
		if (p->kind == PROTECTION_HIDE)
			hide = p;
		/* Nothing can come to be beneath a reserved name either. */
		if (p->kind == PROTECTION_SEAL || p->kind == PROTECTION_RESERVE)
			seal = p;
	}
}

static void pin_parents(struct compiler *c, const struct protection *p)
{
	const struct area *area = area_around(c, p->path);
	char *parent;

	if (!in_write_grant(area))
		return;
	for (parent = keep(c, path_parent(p->path)); parent && strlen(parent) > area->length;
		parent = keep(c, path_parent(parent)))
		protect(c, &(struct protection){.path = parent,
				   .kind = PROTECTION_PIN,
				   .file_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY,
				   .rule = p->rule});
}

int plan_protections(struct compiler *c)
{
	const struct profile *p = c->profile;
	size_t count;
	int r;

	r = protect_rules(c, RULES_FS_DENY, &p->fs.deny, PROTECTION_HIDE);
	if (r == 0)
		r = protect_rules(c, RULES_FS_CANARIES, &p->fs.canaries, PROTECTION_HIDE);
	if (r == 0)
		r = protect_rules(c, RULES_FS_ASK, &p->fs.ask, PROTECTION_HIDE);
	if (r == 0)
		r = protect_rules(c, RULES_FS_PROTECT, &p->fs.protect, PROTECTION_SEAL);
	if (r == 0)
		r = protect_programs(c, RULES_EXEC_DENY, &p->exec.deny);
	if (r == 0)
		r = protect_programs(c, RULES_EXEC_ASK, &p->exec.ask);
	if (r < 0)
		return r;
	merge(c);
	count = c->protection_count;
	for (size_t i = 0; i < count; i++) {
		struct protection one = c->protections[i];

		if (!one.merged)
			pin_parents(c, &one);
	}
	for (size_t i = 0; i < c->protection_count; i++)
		c->protections[i].merged = false;
	merge(c);
	return c->out_of_memory ? -ENOMEM : 0;
}
