/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/path.h"
#include "policy/calls.h"
#include "policy/decide-internal.h"

#include <limits.h>
#include <string.h>

/* What to ask about paths, command lines, system calls and variables.
 *
 * Rules about literal paths cut the tree into cells: a path that is written somewhere, and all that
 * lies beneath it and not beneath a longer one. decide() says the same about everything in a cell,
 * but for the last name, which may be the name of a program. So one question for each cell, and one
 * for each such name, tells all. Globs do not cut cells: they are judged in diff-globs.c, and here
 * only where one covers a whole cell. */

#define PROBES_MAX 2000000 /* beyond, nothing is asked and what changed counts as wider */

struct words {
	const char **items;
	size_t count;
};

static void add_word(struct differ *d, struct words *words, const char *word)
{
	const char **grown =
		word ? arena_grow(d->arena, words->items, words->count, sizeof(*grown)) : NULL;

	d->no_memory |= word && !grown;
	if (!grown)
		return;
	words->items = grown;
	grown[words->count++] = word;
}

static int compare_words(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

static void make_unique(struct words *words)
{
	size_t kept = 0;

	if (words->count)
		qsort(words->items, words->count, sizeof(*words->items), compare_words);
	for (size_t i = 0; i < words->count; i++) {
		if (kept == 0 || strcmp(words->items[kept - 1], words->items[i]) != 0)
			words->items[kept++] = words->items[i];
	}
	words->count = kept;
}

/* The literal paths of the entries of a list. */
static void add_paths(
	struct differ *d, const struct profile *p, enum list_id list, struct words *paths)
{
	for (size_t i = 0; i < diff_list_count(p, list); i++) {
		const void *entry = diff_list_entry(p, list, i);
		const struct path_rule *path = entry;
		const struct exec_rule *exec = entry;

		if (diff_lists[list].kind == ENTRY_PATH && !path->is_glob)
			add_word(d, paths, path->path);
		if (diff_lists[list].kind == ENTRY_EXEC)
			add_word(d, paths, exec->path);
	}
}

/* Names of programs that rules of one word speak about. */
static void add_names(
	struct differ *d, const struct profile *p, enum list_id list, struct words *names)
{
	if (diff_lists[list].kind != ENTRY_EXEC)
		return;
	for (size_t i = 0; i < diff_list_count(p, list); i++) {
		const struct exec_rule *rule = diff_list_entry(p, list, i);

		if (rule->command_count == 1 && *path_last(rule->command[0]))
			add_word(d, names, path_last(rule->command[0]));
	}
}

static bool holds_component(const char *path, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = path; *at; at += strcspn(at, "/")) {
		at += strspn(at, "/");
		if (strcspn(at, "/") == n && strncmp(at, name, n) == 0)
			return true;
	}
	return false;
}

/* A name that nothing in the two profiles speaks about. */
static const char *fresh_name(
	struct differ *d, const struct words *paths, const struct words *names)
{
	for (unsigned i = 0;; i++) {
		const char *name = i ? diff_words(d, "x%u", i) : "x";
		bool taken = false;

		for (size_t j = 0; j < paths->count && !taken; j++)
			taken = holds_component(paths->items[j], name);
		for (size_t j = 0; j < names->count && !taken; j++)
			taken = strcmp(names->items[j], name) == 0;
		if (!taken)
			return name;
	}
}

/* Whether globs cover a path, and so everything beneath it. */
static bool globs_cover(const struct path_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].is_glob && strlen(path) < PATH_MAX &&
			path_covered_by_glob(rules->items[i].path, path))
			return true;
	}
	return false;
}

/* A cell, and what globs say about all of it on either side. */
struct cell {
	const char *path;
	struct barred {
		bool all, writing;
	} was, now;
};

static struct barred bars_of(const struct profile *p, const char *path)
{
	bool all = globs_cover(&p->fs.deny, path) || globs_cover(&p->fs.canaries, path);

	return (struct barred){all, all || globs_cover(&p->fs.protect, path)};
}

static enum decision ask_side(const struct side *side, const struct barred *barred,
	enum operation operation, const char *object)
{
	struct verdict v;

	if (barred->all || (barred->writing && operation == OPERATION_WRITE))
		return DECISION_DENY;
	decide(&side->literal, operation, object, &v);
	return v.decision;
}

static void ask_path(
	struct differ *d, enum operation operation, const char *object, const struct cell *cell)
{
	const struct probe probe = {operation, object,
		ask_side(&d->was, &cell->was, operation, object),
		ask_side(&d->now, &cell->now, operation, object)};

	diff_book(d, &probe);
}

/* object: a path of the cell. */
static void ask_all(struct differ *d, const char *object, const struct cell *cell)
{
	char socket[PATH_MAX + 8];

	snprintf(socket, sizeof(socket), "unix:%s", object);
	ask_path(d, OPERATION_READ, object, cell);
	ask_path(d, OPERATION_WRITE, object, cell);
	ask_path(d, OPERATION_EXEC, object, cell);
	ask_path(d, OPERATION_CONNECT, socket, cell);
}

static const char *beneath(const char *cell, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", strcmp(cell, "/") == 0 ? "" : cell, name);

	return n > 0 && n < PATH_MAX ? path : NULL;
}

static void ask_cell(
	struct differ *d, const char *path, const char *fresh, const struct words *names)
{
	const struct cell cell = {
		path, bars_of(d->was.profile, path), bars_of(d->now.profile, path)};
	char inside[PATH_MAX], program[PATH_MAX];

	ask_all(d, path, &cell);
	if (!beneath(path, fresh, inside))
		return;
	ask_all(d, inside, &cell);
	for (size_t i = 0; i < names->count; i++) {
		if (beneath(inside, names->items[i], program))
			ask_path(d, OPERATION_EXEC, program, &cell);
	}
}

/* False where nothing that decisions about paths and programs go by is different. */
static bool files_changed(const struct differ *d)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;

	for (size_t i = 0; i < d->change_count; i++) {
		enum entry_kind kind = diff_lists[d->changes[i].list].kind;

		if (kind == ENTRY_PATH || kind == ENTRY_EXEC || d->changes[i].list == LIST_FAMILIES)
			return true;
	}
	return was->exec.default_decision != now->exec.default_decision ||
	       was->fs.tmp.private != now->fs.tmp.private;
}

static bool calls_changed(const struct differ *d)
{
	for (size_t i = 0; i < d->change_count; i++) {
		if (d->changes[i].list >= LIST_CALLS && d->changes[i].list <= LIST_CALLS_GROUPS)
			return true;
	}
	return d->was.profile->syscalls.base != d->now.profile->syscalls.base;
}

static const char too_many[] = "too many rules to compare";

/* Nothing about these lists was compared. */
static void give_up(struct differ *d, enum list_id first, enum list_id last)
{
	for (size_t i = 0; i < d->change_count; i++) {
		if (d->changes[i].list >= first && d->changes[i].list <= last)
			diff_mark(&d->changes[i], true, too_many);
	}
	if (first == LIST_READ)
		d->loose[OPERATION_READ] = too_many;
}

void diff_probe_paths(struct differ *d)
{
	struct words cells = {0}, names = {0};
	const char *fresh;

	if (!files_changed(d))
		return;
	for (enum list_id list = 0; list < LIST_COUNT; list++) {
		add_paths(d, d->was.profile, list, &cells);
		add_paths(d, d->now.profile, list, &cells);
		add_names(d, d->was.profile, list, &names);
		add_names(d, d->now.profile, list, &names);
	}
	for (size_t i = 0; decide_own_path(i); i++)
		add_word(d, &cells, decide_own_path(i));
	add_word(d, &cells, "/");
	add_word(d, &cells, "/tmp");
	make_unique(&cells);
	make_unique(&names);
	if (cells.count * (names.count + 8) > PROBES_MAX) {
		give_up(d, LIST_READ, LIST_EXEC_DENY);
		return;
	}
	fresh = fresh_name(d, &cells, &names);
	for (size_t i = 0; i < cells.count && !d->no_memory; i++)
		ask_cell(d, cells.items[i], fresh, &names);
}

static void ask(struct differ *d, enum operation operation, const char *object)
{
	struct verdict was, now;

	decide(d->was.profile, operation, object, &was);
	decide(d->now.profile, operation, object, &now);
	diff_book(d, &(struct probe){operation, object, was.decision, now.decision});
}

/* Rules about command lines are prefixes of words: each prefix, and each with a word more. */
static void add_lines(
	struct differ *d, const struct profile *p, enum list_id list, struct words *lines)
{
	for (size_t i = 0; i < diff_list_count(p, list); i++) {
		const struct exec_rule *rule = diff_list_entry(p, list, i);
		const char *line = NULL;

		if (rule->path)
			add_word(d, lines, path_last(rule->path));
		for (size_t j = 0; j < rule->command_count; j++) {
			line = line ? diff_words(d, "%s %s", line, rule->command[j])
				    : path_last(rule->command[j]);
			add_word(d, lines, line);
		}
	}
}

/* A word that no rule has. */
static const char *fresh_word(struct differ *d, const struct words *lines)
{
	for (unsigned i = 0;; i++) {
		const char *word = i ? diff_words(d, "x%u", i) : "x";
		bool taken = false;

		for (size_t j = 0; j < lines->count && !taken; j++)
			taken = strstr(lines->items[j], word) != NULL;
		if (!taken)
			return word;
	}
}

void diff_probe_commands(struct differ *d)
{
	struct words lines = {0};
	const char *fresh;

	if (!files_changed(d))
		return;
	for (enum list_id list = LIST_EXEC_ALLOW; list <= LIST_EXEC_DENY; list++) {
		add_lines(d, d->was.profile, list, &lines);
		add_lines(d, d->now.profile, list, &lines);
	}
	make_unique(&lines);
	fresh = fresh_word(d, &lines);
	add_word(d, &lines, fresh);
	for (size_t i = 0; i < lines.count && !d->no_memory; i++) {
		ask(d, OPERATION_EXEC, lines.items[i]);
		ask(d, OPERATION_EXEC, diff_words(d, "%s %s", lines.items[i], fresh));
	}
}

void diff_probe_names(struct differ *d)
{
	static const enum list_id lists[] = {LIST_PASS, LIST_SET, LIST_HIDE};
	size_t count;
	const struct calls_entry *calls = calls_table(&count);

	for (size_t i = 0; calls_changed(d) && i < count; i++)
		ask(d, OPERATION_SYSCALL, calls[i].name);
	for (size_t i = 0; i < d->change_count; i++) {
		const struct change *c = &d->changes[i];
		const struct string_rule *rule = c->entry;
		const struct env_set *set = c->entry;

		for (size_t j = 0; j < array_size(lists); j++) {
			if (c->list == lists[j])
				ask(d, OPERATION_ENV, c->list == LIST_SET ? set->name : rule->text);
		}
	}
}
