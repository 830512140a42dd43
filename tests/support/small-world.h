/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small host and random profiles over it, for tests that compare what decide() says with what a
 * plan, or the kernel, makes of the profile. Included after test.h. Numbers come from random.h. */

#include "profile-build.h"
#include "wire/facts.pb-c.h"

#include <stdint.h>

#define WORLD_EXISTING 13
#define WORLD_ABSENT 6
#define WORLD_PATHS (WORLD_EXISTING + WORLD_ABSENT)
#define WORLD_GLOBS 7

struct world_path {
	const char *path;
	Berm__Wire__FileKind kind; /* FILE_DIRECTORY, FILE_REGULAR or FILE_ABSENT */
};

/* What a run can do with a path: for a directory read is listing and write is creating in it; for a
 * name that is absent write is creating it. exec is about files. */
struct reach {
	bool read, write, exec;
};

/* Put the world beneath a directory ("" for the root). Paths stay good until the next call. */
void world_init(const char *prefix);
/* All paths: those that exist first, parents before children. */
const struct world_path *world_paths(void);
/* All patterns. */
const char *const *world_globs(void);
Berm__Wire__FileKind world_kind(const char *path);

/* Lines of a profile; the first ones only allow. */
enum change {
	CHANGE_READ,
	CHANGE_WRITE,
	CHANGE_EXEC,
	CHANGES_THAT_ALLOW,
	CHANGE_DENY = CHANGES_THAT_ALLOW,
	CHANGE_PROTECT,
	CHANGE_ASK,
	CHANGE_EXEC_DENY,
	CHANGES
};

/* Add one random line of a kind. */
void world_change(struct built *b, enum change what);
/* Begin a profile and add one to seven random lines. */
void world_profile(struct built *b);
/* Write to why where decide() says something else about the path than what was found, in a way that
 * is no known and documented strictness; true where they agree. */
bool world_agrees(
	const struct built *b, const struct world_path *path, struct reach found, char why[256]);
