/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/profile.h"

/* What changed between two profiles, by meaning: whether the second one allows more. */

enum diff_direction {
	DIFF_SAME, /* written differently, means the same */
	DIFF_NARROWER,
	DIFF_WIDER, /* allows more, or cannot be compared */
	DIFF_COUNT
};

/* One change. Strings are owned by the diff or by the profiles. */
struct diff_line {
	enum diff_direction direction;
	const char *key; /* "fs.write", "limits.memory" */
	/* The value before and after; NULL where it is not there: an entry of a list that came has
	 * no was. */
	const char *was, *now;
	struct source was_at, now_at; /* line 0 where berm's own default was in force */
	/* What the change does, "write /srv/x: deny -> allow", or why it counts as wider; or NULL.
	 */
	const char *example;
};

struct diff {
	struct diff_line *lines; /* wider first, then narrower, then same; by key, as in the file */
	size_t count;
	enum diff_direction direction; /* the widest of all lines */
	const char **same; /* top keys of the language ("fs", "limits") of which no line is wider or
			      narrower */
	size_t same_count;
};

/* Compare two profiles that were loaded with the same variables. Asks decide() about everything
 * that the two can tell apart, so that it agrees with what is enforced; what cannot be settled that
 * way (two globs, values of sections that this build only checks) is WIDER unless it is certainly
 * not. Where decide() allows more for any operation, some line is WIDER. A program's or a file's
 * `reason`, the profile's name, description and tests mean nothing here, nor do the rules that
 * protect the files of the profile itself.
 * The profiles must outlive the result (release with diff_destroy()). Returns 0 or -ENOMEM. */
int profile_diff(const struct profile *was, const struct profile *now, struct diff **ret_diff,
	struct error *err) must_check;
void diff_destroy(struct diff *diff); /* NULL is fine */
static inline void diff_cleanup(struct diff **p)
{
	diff_destroy(*p);
	*p = NULL;
}
#define autodiff __attribute__((cleanup(diff_cleanup)))

/* "WIDER", "NARROWER", "SAME". Static. */
const char *diff_direction_name(enum diff_direction direction);
