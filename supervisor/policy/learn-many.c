/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn-internal.h"

#include "base/path.h"

#include <string.h>

/* The one rule that makes a line wider than what was seen: many names of one directory. */

#define RULE "many-names"
#define REASON "at least 8 names of one directory, of the same owner"

bool candidates_add(struct arena *arena, struct candidates *list, const struct candidate *candidate)
{
	struct candidate *grown = arena_grow(arena, list->items, list->count, sizeof(*list->items));
	const char *slash = strrchr(candidate->path, '/');
	size_t n = (size_t)(slash - candidate->path);

	if (!grown)
		return false;
	list->items = grown;
	grown[list->count] = *candidate;
	grown[list->count].parent = NULL;
	if (candidate->path[1]) {
		grown[list->count].parent = arena_copy(arena, candidate->path, n > 0 ? n : 1);
		if (!grown[list->count].parent)
			return false;
	}
	list->count++;
	return true;
}

/* By component: all that is beneath a path follows right behind it. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int by_path(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	int order = compare_paths(left->path, right->path);

	return order ? order : (int)right->tree - (int)left->tree;
}

static int by_parent(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	int order =
		compare_paths(left->parent ? left->parent : "", right->parent ? right->parent : "");

	return order ? order : by_path(a, b);
}

/* Drop what another one stands for. */
static void fold(struct candidates *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_path);
	for (size_t i = 0; i < list->count; i++) {
		struct candidate *last = kept ? &list->items[kept - 1] : NULL;
		const struct candidate *c = &list->items[i];
		/* What was a file may be a directory when the line is used. */
		bool stands = last && path_is_beneath(c->path, last->path);

		if (!stands) {
			list->items[kept++] = *c;
			continue;
		}
		last->runs |= c->runs;
		last->names += c->names;
	}
	list->count = kept;
}

/* The first of a group of one directory and how many there are: make one of them, if that may be.
 */
static bool join(struct candidate *group, size_t count, const struct learn_world *world)
{
	struct candidate one = group[0];
	bool same = true;

	if (count < LEARN_NAMES_LEAST || !one.parent)
		return false;
	for (size_t i = 1; i < count; i++) {
		same &= group[i].of_root == one.of_root;
		one.runs |= group[i].runs;
		one.names += group[i].names;
	}
	if (!same || (!one.of_root && !path_is_beneath(one.parent, world->workdir)) ||
		!learn_may_grant_tree(world, one.parent))
		return false;
	one.path = one.parent;
	one.tree = true;
	one.rule = RULE;
	one.reason = REASON;
	group[0] = one;
	return true;
}

bool candidates_settle(
	struct arena *arena, struct candidates *list, const struct learn_world *world)
{
	bool joined = true;

	fold(list);
	while (joined && list->count) {
		struct candidates next = {0};

		joined = false;
		qsort(list->items, list->count, sizeof(*list->items), by_parent);
		for (size_t i = 0, n; i < list->count; i += n) {
			struct candidate *group = &list->items[i];
			bool made;

			for (n = 1; i + n < list->count && group->parent && group[n].parent &&
				    strcmp(group->parent, group[n].parent) == 0;
				n++)
				;
			made = join(group, n, world);
			joined |= made;
			for (size_t j = 0; j < (made ? 1 : n); j++) {
				if (!candidates_add(arena, &next, &group[j]))
					return false;
			}
		}
		*list = next;
		fold(list);
	}
	return true;
}

const struct candidate *candidates_cover(const struct candidates *list, const char *path)
{
	for (size_t i = 0; i < list->count; i++) {
		if (path_is_beneath(path, list->items[i].path))
			return &list->items[i];
	}
	return NULL;
}
