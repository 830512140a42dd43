/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/learn.h"

#include <limits.h>

/* Between the files of policy/learn only. */

/* A path on its way to become a line. */
struct candidate {
	const char *path;
	const char *parent; /* NULL for "/" */
	const char *rule, *reason;
	uint64_t runs;
	size_t names;
	bool of_root;
	bool tree; /* a directory, with all beneath */
};

struct candidates {
	struct candidate *items;
	size_t count;
};

/* True where a line may grant the directory with all beneath it: never /, a directory of /, a home
 * or what holds one or the work tree. */
bool learn_may_grant_tree(const struct learn_world *world, const char *path);
/* Add a candidate; false when memory ran out. path is borrowed. */
bool candidates_add(
	struct arena *arena, struct candidates *list, const struct candidate *candidate) must_check;
/* Drop what lies beneath another one and join what is many in one directory, until nothing
 * changes; sorted by path afterwards. False when memory ran out. */
bool candidates_settle(
	struct arena *arena, struct candidates *list, const struct learn_world *world) must_check;
/* The candidate that grants the path, or NULL. */
const struct candidate *candidates_cover(const struct candidates *list, const char *path);

enum learn_class learn_classify(
	const struct learn_world *world, const struct learn_observation *seen);
/* What a line about it would name: of a name that is made, replaced or removed its directory. The
 * object, a static string or the buffer. */
const char *learn_named(const struct learn_world *world, const struct learn_observation *seen,
	char buffer[PATH_MAX]);
