/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What somebody who decides about a change set gets to see of it. */

#include "daemon/changes.h"

#include <sys/stat.h>

#define CHANGES_DIGEST_HEX 65

/* One name beneath a directory that comes as a whole, or that takes the place of one. */
struct changes_entry {
	const char *path;     /* beneath the workspace */
	const char *name;     /* in the two directories */
	int old_dir, now_dir; /* -1 where that side has none */
	struct stat old, now; /* where has_old, has_now */
	bool has_old, has_now;
	bool same; /* the same on both sides: nobody has to look at it */
};

/* Called for each change itself and for each name beneath it. A negative answer ends it. */
typedef int changes_each(void *context, const struct changes_entry *entry);
int changes_view(struct change_set *set, const Berm__Wire__Change *change, changes_each *each,
	void *context, struct error *err) must_check;

/* What a diff of a whole set may cost; zero-initialise. */
struct changes_spent {
	size_t bytes;
	uint64_t cells;
};

/* A unified diff of one name where both sides are text and small, else one line that says why there
 * is none. Every line that is left out is counted. Everything is escaped. */
int changes_diff(struct change_set *set, const struct changes_entry *entry,
	struct changes_spent *spent, struct text *out, struct error *err) must_check;

/* Where a link leads to, as bytes with a NUL; 0, or -errno. */
int changes_link(struct change_set *set, const struct changes_entry *entry, bool old, char *ret,
	size_t size) must_check;
/* The names of the tool's attributes (user.*) that a commit sets anew, to another value, or ("-"
 * before the name) drops, each escaped, with ", " between them; out is empty before. */
int changes_attributes(
	struct change_set *set, const struct changes_entry *entry, struct text *out) must_check;

/* Of the whole list, as hexadecimal digits: who allows a commit says by it what he saw. */
int changes_digest(const struct change_set *set, char ret[CHANGES_DIGEST_HEX]) must_check;
