/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <limits.h>

/* Which lines speak about a path. Asked for every grant, area and step, so the paths of the lines,
 * and the real ones behind them, are gathered once. */

static int compare_facts(const void *a, const void *b)
{
	const Berm__Wire__PathFact *const *fa = a, *const *fb = b;

	return strcmp((*fa)->path, (*fb)->path);
}

static int compare_fact_name(const void *key, const void *element)
{
	const Berm__Wire__PathFact *const *fact = element;

	return strcmp(key, (*fact)->path);
}

const Berm__Wire__PathFact *fact_find(const struct compiler *c, const char *path)
{
	const Berm__Wire__PathFact **found;

	if (!c->facts->n_paths)
		return NULL;
	found = bsearch(path, c->paths, c->facts->n_paths, sizeof(*c->paths), compare_fact_name);
	return found ? *found : NULL;
}

static int sort_facts(struct compiler *c)
{
	size_t n = c->facts->n_paths;

	c->paths = malloc((n + 1) * sizeof(*c->paths));
	if (!c->paths)
		return -ENOMEM;
	if (n) {
		memcpy(c->paths, c->facts->paths, n * sizeof(*c->paths));
		qsort(c->paths, n, sizeof(*c->paths), compare_facts);
	}
	return 0;
}

static void add(struct compiler *c, enum cover_set set, const char *path, bool is_glob)
{
	struct covers *covers = &c->covers[set];
	struct cover *added =
		array_add(c, &covers->items, &covers->count, &covers->capacity, sizeof(*added));

	if (added)
		*added = (struct cover){path, strlen(path), is_glob};
}

static void add_path(struct compiler *c, enum cover_set set, const char *path)
{
	const Berm__Wire__PathFact *fact = fact_find(c, path);

	add(c, set, path, false);
	if (fact && *fact->resolved && strcmp(fact->resolved, path))
		add(c, set, fact->resolved, false);
}

static void add_rules(struct compiler *c, enum cover_set set, const struct path_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].is_glob)
			add(c, set, rules->items[i].path, true);
		else
			add_path(c, set, rules->items[i].path);
	}
}

static void add_programs(struct compiler *c, enum cover_set set, const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (rules->items[i].path)
			add_path(c, set, rules->items[i].path);
	}
}

int plan_covers(struct compiler *c)
{
	const struct profile *p = c->profile;
	int r = sort_facts(c);

	if (r < 0)
		return r;
	add_rules(c, COVERS_DENY, &p->fs.deny);
	add_rules(c, COVERS_DENY, &p->fs.canaries);
	add_rules(c, COVERS_PROTECT, &p->fs.protect);
	add_rules(c, COVERS_WRITE, &p->fs.write);
	for (size_t i = 0; i < p->fs.read.count; i++) {
		if (p->fs.read.items[i].no_exec)
			add_path(c, COVERS_WRITE, p->fs.read.items[i].path);
	}
	/* What is asked for reading is denied until somebody can be asked, for writing protected.
	 */
	for (size_t i = 0; i < p->fs.ask.count; i++)
		add_path(c, p->fs.ask.items[i].access == PATH_READ ? COVERS_DENY : COVERS_PROTECT,
			p->fs.ask.items[i].path);
	add_programs(c, COVERS_EXEC_ALLOW, &p->exec.allow);
	add_programs(c, COVERS_EXEC_DENY, &p->exec.deny);
	add_programs(c, COVERS_EXEC_DENY, &p->exec.ask);
	return c->out_of_memory ? -ENOMEM : 0;
}

/* A pattern that names a directory covers what lies beneath it. */
static bool glob_covers(const char *pattern, const char *path)
{
	char head[PATH_MAX];
	size_t length = strlen(path);

	if (length >= sizeof(head))
		return true;
	memcpy(head, path, length + 1);
	while (length > 1) {
		if (path_glob_match(pattern, head))
			return true;
		while (length > 1 && head[--length] != '/')
			;
		head[length] = '\0';
	}
	return false;
}

bool path_is_covered(const struct compiler *c, enum cover_set set, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < c->covers[set].count; i++) {
		const struct cover *cover = &c->covers[set].items[i];

		if (cover->is_glob) {
			if (glob_covers(cover->path, path))
				return true;
		} else if (cover->length <= length &&
			   memcmp(path, cover->path, cover->length) == 0 &&
			   (cover->length == 1 || cover->length == length ||
				   path[cover->length] == '/')) {
			return true;
		}
	}
	return false;
}

bool path_is_denied(const struct compiler *c, const char *path)
{
	return path_is_covered(c, COVERS_DENY, path);
}

bool path_may_not_exec(const struct compiler *c, const char *path)
{
	return path_is_covered(c, COVERS_EXEC_DENY, path);
}

bool path_may_exec(const struct compiler *c, const char *path)
{
	return path_is_covered(c, COVERS_EXEC_ALLOW, path) && !path_may_not_exec(c, path);
}
