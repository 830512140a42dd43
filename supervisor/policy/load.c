/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/load.h"

#include "base/path.h"
#include "policy/ceiling.h"
#include "policy/files.h"
#include "policy/lint.h"
#include "policy/loaded.h"
#include "policy/read.h"

#include <limits.h>
#include <string.h>

#define EXTENDS_DEPTH_MAX 5
#define FILES_MAX 32 /* of one profile with everything it extends */
#define PRIVATE_BYTES (256ULL << 20)

struct loader {
	struct loaded *loaded;
	const struct profile_request *request;
	const struct profile_files *files;
	unsigned trees; /* begun */
	struct diagnostics d;
	crypto_generichash_state digest;
	struct error *err;
	/* Files that would have been read instead, had they been there, and the directories that
	 * names are looked up in: nothing in a run may make one. */
	const char **elsewhere;
	size_t elsewhere_count;
	bool no_memory;
};

/* One profile or ceiling being read, with the files it is made of. */
struct tree {
	struct loader *loader;
	struct reader reader;
	const struct source_file *files[FILES_MAX]; /* read completely or being read */
	unsigned file_count;
	unsigned number; /* 0: the profile; ceilings from 1 */
	const struct source_file
		*chain[EXTENDS_DEPTH_MAX + 1]; /* being read, the file asked for first */
	unsigned depth;
	/* Whose files count, beside root's. What a ceiling of root's extends is root's as well, or
	 * the first directory of the search path, which is the caller's own, would replace it. */
	uid_t trusted_uid;
	bool ceiling;
};

static int load_file(struct tree *tree, const char *path, struct source at);

static bool is_path(const char *profile)
{
	size_t n = strlen(profile);

	return strchr(profile, '/') || (n > 5 && strcmp(profile + n - 5, ".yaml") == 0);
}

/* True for the directory that the profile asked for is in, where it was named by its path: its
 * neighbours may be named as well, and they may be the tool's own files. */
static bool is_beside(const struct loader *l, const char *dir)
{
	const char *profile = l->request->profile, *slash = strrchr(profile, '/');
	size_t n = slash ? (size_t)(slash - profile) : 0;

	if (!is_path(profile))
		return false;
	return slash ? strlen(dir) == n && strncmp(dir, profile, n) == 0 : strcmp(dir, ".") == 0;
}

/* The working directory is never searched by itself: a cloned repository must not choose its own
 * walls. */
static bool is_searched(const struct loader *l, const char *dir)
{
	return *dir && (strcmp(dir, ".") != 0 || is_beside(l, dir));
}

/* Remember dir/name, or dir itself where name is NULL, as a place that decides what is read. */
static void note_elsewhere(struct loader *l, const char *dir, const char *name)
{
	autofree char *real = l->files->real(l->files->context, dir), *path = NULL;
	const char **grown;

	/* A relative directory that is not there has no name that a rule could protect. */
	if (!real && !path_is_normal(dir))
		return;
	path = name ? path_join(real ? real : dir, name) : strdup(real ? real : dir);
	grown = path ? arena_grow(&l->loaded->arena, l->elsewhere, l->elsewhere_count,
			       sizeof(*l->elsewhere))
		     : NULL;
	l->no_memory |= !grown;
	if (!grown)
		return;
	l->elsewhere = grown;
	grown[l->elsewhere_count] = arena_string(&l->loaded->arena, path);
	l->no_memory |= !grown[l->elsewhere_count];
	l->elsewhere_count += grown[l->elsewhere_count] != NULL;
}

/* The directories that profiles are looked up in, and berm's own state: nobody writes there. */
static int protect_places(struct loader *l)
{
	const char *state = l->request->variables.state;
	struct profile *p = &l->loaded->profile;
	size_t names = l->elsewhere_count;

	for (const char *const *dir = l->request->search_path; dir && *dir; dir++) {
		if (is_searched(l, *dir) && !is_beside(l, *dir))
			note_elsewhere(l, *dir, NULL);
	}
	if (state && *state)
		note_elsewhere(l, state, NULL);
	for (size_t i = names; i < l->elsewhere_count; i++)
		lint_place(p, l->elsewhere[i], &l->d);
	if (l->d.errors)
		return 0;
	return l->no_memory
		       ? -ENOMEM
		       : lint_finish(p, l->elsewhere, l->elsewhere_count, &l->loaded->arena, &l->d);
}

/* The file of a name in the first directory that has it; NULL where none has. owner: files of
 * others than root and him are passed over; or NULL. */
static char *search(struct loader *l, const char *name, const uid_t *owner)
{
	for (const char *const *dir = l->request->search_path; dir && *dir; dir++) {
		char path[PATH_MAX];
		int n;

		if (!is_searched(l, *dir))
			continue;
		n = snprintf(path, sizeof(path), "%s/%s.yaml", *dir, name);
		if (n < 0 || (size_t)n >= sizeof(path))
			continue;
		if (l->files->has(l->files->context, path, owner))
			return arena_string(&l->loaded->arena, path);
		note_elsewhere(l, *dir, path + strlen(*dir) + 1);
	}
	return NULL;
}

/* The directories that a name is looked up in, for people. */
static void say_searched(const struct loader *l, struct text *out)
{
	size_t before = out->length;

	for (const char *const *dir = l->request->search_path; dir && *dir; dir++) {
		if (is_searched(l, *dir))
			text_printf(out, "%s%s", out->length == before ? "" : ", ", *dir);
	}
	if (out->length == before)
		text_printf(out, "an empty search path");
}

/* The path of an entry of extends: beside the file that names it, or on the search path. */
static const char *resolve(
	struct tree *tree, const struct source_file *from, bool linked, const char *entry)
{
	const char *base = linked ? from->real : from->name, *slash = strrchr(base, '/');
	char path[PATH_MAX];
	int n;

	if (!strchr(entry, '/'))
		return search(tree->loader, entry, tree->ceiling ? &tree->trusted_uid : NULL);
	if (entry[0] == '/')
		return entry;
	entry += strncmp(entry, "./", 2) == 0 ? 2 : 0;
	n = snprintf(
		path, sizeof(path), "%.*s%s", slash ? (int)(slash - base + 1) : 0, base, entry);
	if (n < 0 || (size_t)n >= sizeof(path))
		return NULL;
	return arena_string(&tree->loader->loaded->arena, path);
}

static void report_cycle(struct tree *tree, const struct source_file *file, struct source at)
{
	autotext struct text chain = {0};
	unsigned i = 0;

	while (strcmp(tree->chain[i]->real, file->real) != 0)
		i++;
	for (; i < tree->depth; i++)
		text_printf(&chain, "%s extends ", tree->chain[i]->name);
	diagnostics_report(&tree->loader->d, CODE_EXTENDS_CYCLE, at, "profiles in a circle: %s%s",
		text_string(&chain), file->name);
}

static int load_extends(
	struct tree *tree, const struct node *list, const struct source_file *from, bool linked)
{
	for (const struct node *entry = list->first; entry; entry = entry->next) {
		const char *path;
		int r;

		/* Whether the entry is a good name is reported when the file itself is read. */
		if (entry->kind != NODE_SCALAR || !*entry->text)
			continue;
		path = resolve(tree, from, linked, entry->text);
		if (!path) {
			autotext struct text where = {0};

			say_searched(tree->loader, &where);
			diagnostics_report(&tree->loader->d, CODE_EXTENDS_MISSING, entry->at,
				"no profile `%s` in %s", entry->text, text_string(&where));
			continue;
		}
		r = load_file(tree, path, entry->at);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool already_read(const struct tree *tree, const struct source_file *file)
{
	for (unsigned i = 0; i < tree->file_count; i++) {
		if (strcmp(tree->files[i]->real, file->real) == 0)
			return true;
	}
	return false;
}

static bool being_read(const struct tree *tree, const struct source_file *file)
{
	for (unsigned i = 0; i < tree->depth; i++) {
		if (strcmp(tree->chain[i]->real, file->real) == 0)
			return true;
	}
	return false;
}

/* Parse a file and read it onto the profile, after what it extends. */
static int read_tree(struct tree *tree, const struct source_file *file, bool linked)
{
	static const struct node nothing = {.kind = NODE_MAPPING};
	struct reader *r = &tree->reader;
	struct node *root = NULL, empty = nothing;
	const struct node *extends, *remove;
	int result = document_parse(&tree->loader->loaded->arena, r->d, file, &root);

	if (result == -EINVAL)
		return 0;
	if (result < 0)
		return result;
	if (!root || node_is_null(root)) {
		empty.at = (struct source){file->name, 1, 1};
		root = &empty;
	}
	if (root->kind != NODE_MAPPING) {
		diagnostics_report(r->d, CODE_WRONG_TYPE, root->at,
			"a profile is a mapping of keys: `version: 1`, `name: …`");
		return 0;
	}
	extends = node_get(root, "extends");
	if (extends && extends->kind == NODE_LIST) {
		result = load_extends(tree, extends, file, linked);
		if (result < 0)
			return result;
	}
	remove = node_get(root, "remove");
	if (remove)
		read_remove(r, remove);
	read_file(r, root);
	return r->no_memory ? -ENOMEM : 0;
}

/* Report why a file cannot be read, at the entry that names it. */
static void report_file(
	struct loader *l, int code, const char *path, struct source at, const struct error *why)
{
	enum code_id id = code == -EPERM    ? CODE_UNTRUSTED
			  : code == -EFBIG  ? CODE_TOO_BIG
			  : code == -ENOENT ? CODE_EXTENDS_MISSING
					    : CODE_UNREADABLE;

	if (!at.file)
		at.file = path;
	diagnostics_report(&l->d, id, at, "%s", why->text);
}

static int load_file(struct tree *tree, const char *path, struct source at)
{
	struct loader *l = tree->loader;
	struct source_file *file;
	struct error why = {0};
	bool linked;
	const struct profile_wanted wanted = {path, tree->number, tree->trusted_uid};
	int r = l->files->read(l->files->context, &wanted, &l->loaded->arena, &file, &linked, &why);

	if (r < 0) {
		if (r == -ENOMEM)
			return r;
		report_file(l, r, path, at, &why);
		return 0;
	}
	if (being_read(tree, file)) {
		report_cycle(tree, file, at);
		return 0;
	}
	if (already_read(tree, file))
		return 0;
	if (tree->depth > EXTENDS_DEPTH_MAX || tree->file_count == FILES_MAX) {
		diagnostics_report(&l->d, CODE_EXTENDS_DEPTH, at,
			"`extends` goes at most %d levels deep and over %d files",
			EXTENDS_DEPTH_MAX, FILES_MAX);
		return 0;
	}
	if (tree->ceiling && tree->file_count == 0 && file->of_root)
		tree->trusted_uid = 0;
	file->next = l->d.files;
	l->d.files = file;
	profile_digest_file(&l->digest, file);
	tree->files[tree->file_count++] = file;
	tree->chain[tree->depth++] = file;
	r = read_tree(tree, file, linked);
	tree->depth--;
	return r;
}

static const char *const families_default[] = {"inet", "inet6"};

static int finish_families(struct reader *r)
{
	struct string_rules *families = &r->profile->syscalls.families;

	for (size_t i = 0; !r->families_written && i < array_size(families_default); i++) {
		struct string_rule *rule = reader_next(r, families, (struct source){0});

		if (!rule)
			return -ENOMEM;
		rule->text = families_default[i];
		families->count++;
	}
	return 0;
}

/* Read one profile or ceiling onto `profile`, whatever is wrong being reported. */
static int load_tree(struct loader *l, const char *path, struct profile *profile, bool ceiling)
{
	struct tree tree = {
		.loader = l,
		.trusted_uid = l->request->trusted_uid,
		.ceiling = ceiling,
		.number = l->trees++,
		.reader = {.arena = &l->loaded->arena,
			.d = &l->d,
			.request = l->request,
			.profile = profile},
	};
	int r;

	profile->fs.tmp.private = profile->fs.home.private = true;
	profile->fs.tmp.size_bytes.value = profile->fs.home.size_bytes.value = PRIVATE_BYTES;
	profile->exec.default_decision = DECISION_ALLOW;
	r = load_file(&tree, path, (struct source){0});
	if (r == 0)
		r = finish_families(&tree.reader);
	if (r == 0 && tree.file_count > 0)
		profile->file = tree.files[0]->name;
	/* Nobody wrote a line of it who has less to say here than this process. */
	profile->of_operator = tree.file_count > 0;
	for (unsigned i = 0; i < tree.file_count; i++)
		profile->of_operator &= tree.files[i]->of_root ||
					l->request->trusted_uid == l->request->operator_uid;
	return r;
}

/* The names of the files in reading order: the list of sources is newest first. */
static int keep_files(struct loader *l)
{
	struct profile *p = &l->loaded->profile;
	size_t count = 0;

	p->sources = l->d.files;
	for (const struct source_file *f = l->d.files; f; f = f->next)
		count++;
	p->files = arena_alloc(&l->loaded->arena, (count + 1) * sizeof(*p->files));
	if (!p->files)
		return -ENOMEM;
	p->file_count = count;
	for (const struct source_file *f = l->d.files; f; f = f->next)
		p->files[--count] = f->real;
	return 0;
}

static int load_ceilings(struct loader *l)
{
	for (const char *const *path = l->request->ceilings; path && *path; path++) {
		struct profile *ceiling = arena_alloc(&l->loaded->arena, sizeof(*ceiling));
		unsigned errors = l->d.errors;
		int r;

		if (!ceiling)
			return -ENOMEM;
		r = load_tree(l, *path, ceiling, true);
		if (r == 0 && l->d.errors == errors)
			r = ceiling_apply(&l->loaded->profile, ceiling, &l->loaded->arena, &l->d);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_all(struct loader *l, const char *path)
{
	struct profile *p = &l->loaded->profile;
	bool as_ceiling = l->request->as_ceiling;
	int r = load_tree(l, path, p, as_ceiling);

	if (r == 0 && !as_ceiling)
		lint_profile(p, l->request->variables.home, &l->d);
	if (r == 0)
		r = load_ceilings(l);
	if (r == 0)
		r = keep_files(l);
	if (r == 0 && l->d.errors == 0 && !as_ceiling)
		r = protect_places(l);
	profile_digest_end(&l->digest, p->digest);
	return r;
}

/* The path of the profile asked for; NULL (err set) where a name is nowhere to be found. */
static const char *find_profile(struct loader *l)
{
	const char *profile = l->request->profile, *path;
	autotext struct text where = {0};

	if (is_path(profile)) {
		if (!l->files->is_absent(l->files->context, profile))
			return profile;
		error_set(l->err, -ENOENT, ERROR_INPUT, "no such profile: %s", profile);
		return NULL;
	}
	path = search(l, profile, NULL);
	if (path)
		return path;
	say_searched(l, &where);
	error_set(l->err, -ENOENT, ERROR_INPUT,
		"no profile named %s in %s (a file is named by its path: ./%s.yaml)", profile,
		text_string(&where), profile);
	return NULL;
}

int profile_load(const struct profile_request *request, struct profile **ret_profile,
	struct text *diagnostics, struct error *err)
{
	struct loader l = {.request = request,
		.files = request->files ? request->files : &profile_files_here,
		.d.out = diagnostics,
		.err = err};
	autoprofile struct profile *owner = NULL;
	const char *path;
	int r;

	l.loaded = calloc(1, sizeof(*l.loaded));
	if (!l.loaded)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	owner = &l.loaded->profile;
	profile_digest_begin(&l.digest);
	path = request->as_ceiling ? request->profile : find_profile(&l);
	if (!path)
		return -ENOENT;
	r = load_all(&l, path);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "out of memory");
	if (l.d.errors)
		return error_set(err, -EINVAL, ERROR_INPUT, "%s: %u error%s", path, l.d.errors,
			l.d.errors == 1 ? "" : "s");
	*ret_profile = take_ptr(&owner);
	return 0;
}

int profile_narrow_to_run(struct profile *profile, const struct profile *run,
	struct text *diagnostics, struct error *err)
{
	struct loaded *loaded = (struct loaded *)profile;
	struct diagnostics d = {.out = diagnostics, .files = profile->sources};

	if (ceiling_of_run(profile, run, &loaded->arena, &d) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (d.errors)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"what the run that delegates may do and this profile cannot be combined: "
			"%u error%s",
			d.errors, d.errors == 1 ? "" : "s");
	return 0;
}

void profile_destroy(struct profile *profile)
{
	struct loaded *loaded = (struct loaded *)profile;

	if (!loaded)
		return;
	arena_finish(&loaded->arena);
	free(loaded);
}
