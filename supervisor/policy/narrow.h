/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/ceiling.h"

/* Between the files of the ceiling only. Every part reads `was` and `ceiling` and writes `now`. */

#define NARROW_ENTRIES_MAX 8192 /* of one list: twice what a file may have; more is an error */

struct narrowing {
	const struct profile *was;     /* the profile before */
	const struct profile *ceiling; /* what it is narrowed to */
	struct profile *now;           /* the result */
	struct arena *arena;
	struct diagnostics *d;
	bool no_memory, too_many;
};

/* Append a copy of *item to a list {items, count} of now. */
#define narrow_add(n, list, item)                                                                  \
	({                                                                                         \
		bool room_ = (list)->count < NARROW_ENTRIES_MAX;                                   \
		__typeof__((list)->items) grown_ =                                                 \
			room_ ? arena_grow((n)->arena, (list)->items, (list)->count,               \
					sizeof(*(list)->items))                                    \
			      : NULL;                                                              \
		(n)->too_many |= !room_;                                                           \
		(n)->no_memory |= room_ && !grown_;                                                \
		if (grown_) {                                                                      \
			(list)->items = grown_;                                                    \
			grown_[(list)->count++] = (item);                                          \
		}                                                                                  \
	})
#define narrow_add_all(n, list, from)                                                              \
	({                                                                                         \
		for (size_t i_ = 0; i_ < (from)->count; i_++)                                      \
			narrow_add(n, list, (from)->items[i_]);                                    \
	})

/* The note that an entry is not in force, or only `part` of it. by: the ceiling's line that says
 * so, or NULL where it says nothing about it. */
void narrow_note(struct narrowing *n, const char *key, const char *entry, struct source at,
	const char *part, const struct source *by);

/* What is no list: limits, caps, demands of the host, what the tool is told. */
void narrow_numbers(struct narrowing *n);
void narrow_fs(struct narrowing *n);
/* For ceiling_of_run(), after narrow_fs(): no program runs from where the ceiling can write, or
 * could before it was narrowed itself. */
void narrow_unexecutable(struct narrowing *n);
void narrow_exec(struct narrowing *n);
void narrow_network(struct narrowing *n);
void narrow_syscalls(struct narrowing *n);
void narrow_env(struct narrowing *n);
/* pace, and what follows where a cap refuses. */
void narrow_pace(struct narrowing *n);
/* workspace. */
void narrow_workspace(struct narrowing *n);
/* recorder; after pace, whose triggers count for what happens when it fails. */
void narrow_recorder(struct narrowing *n);
/* approvals and gates: what either side wants asked is asked. */
void narrow_approvals(struct narrowing *n);

/* The entries of rules that are covered by the ceiling's, for rules where only a path counts. */
void narrow_unix(struct narrowing *n);
