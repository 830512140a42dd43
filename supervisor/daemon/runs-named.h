/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/runs-place.h"

#include <stdbool.h>
#include <stddef.h>

/* What one word of a person means: a run, an agent with all its runs, or a group with those of all
 * its agents. "run:ID", "agent:NAME" and "group:NAME" say which; a word alone is looked for as all
 * of them, and refused where it is more than one. */

#define RUNS_NAMED_WORDS_MAX 128

enum runs_named_scope {
	NAMED_EVERYTHING,
	NAMED_AGENT,
	NAMED_GROUP,
	NAMED_RUN,
};

/* Zero-initialise; release with runs_named_finish(). */
struct runs_named {
	enum runs_named_scope scope;
	char of[RUNS_NAMED_WORDS_MAX]; /* agent: its id; group: its name; run: the beginning of
					  its id in capitals; else "" */
	char words[RUNS_NAMED_WORDS_MAX + 8]; /* for people: "agent researcher" */
	/* Of an agent or a group: the runs that were admitted and did not tell their end. Some may
	 * have been killed since. Owned. */
	char (*ids)[RUN_ID_LENGTH + 1];
	size_t count;
	struct run_state state; /* of everything: only that of this directory; inode 0: of any.
				   Of an agent or a group: where these are; inode 0: not known */
	struct error unsure;    /* code 0, or why there may be more of them */
};

/* Find what the word names. state: the state directory, or NULL where none is known: then only runs
 * can be named. Errors: kind INPUT for what can name nothing; NOT_FOUND; REFUSED where the word is
 * the name of more than one thing. A run is not looked for here. */
int runs_named_find(const char *state, const char *word, struct runs_named *ret_named,
	struct error *err) must_check;
/* The group of that name; its runs are read by runs_named_refresh(), and where that fails those are
 * known still that began in it. */
void runs_named_group(const char *name, struct runs_named *ret_named);
/* Read the runs of the same agent or group anew: there may be more by now. */
int runs_named_refresh(const char *state, struct runs_named *named, struct error *err) must_check;
/* Of an agent or a group: how many of the runs that it is known to have last, as the kernel says
 * (daemon/agent-lost.h), and cannot be found by a place, or began only now. Those that `is_known`
 * says are passed over. */
unsigned runs_named_unfound(const char *state, const struct runs_named *named,
	bool (*is_known)(const void *context, const char *run_id), const void *context);
void runs_named_finish(struct runs_named *named);
#define autonamed __attribute__((cleanup(runs_named_finish)))

/* Whether this run is one of them. */
bool runs_named_has(const struct runs_named *named, const struct run_found *run);
