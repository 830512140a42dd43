/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The refused operations of one run, grouped, with a bound on what a run can make us keep. */

#define DENIALS_MAX 256
#define DENIAL_TARGET_MAX 512

/* Where a refusal comes from. Strings are borrowed from the plan or the profile, which live longer.
 */
struct denial_rule {
	const char *key;   /* "fs.deny" … */
	const char *value; /* the rule's own words, or NULL */
	const char *file;  /* "" for berm's own defaults */
	uint32_t line;
	const char *reason; /* or NULL */
};

struct denial {
	const char *operation; /* "syscall", "socket", "read", "write", "exec" …; static */
	char *target; /* what the tool tried: its own bytes, cut at DENIAL_TARGET_MAX; owned */
	struct denial_rule rule;
	uint64_t hash;
	uint64_t count;
	uint64_t told; /* of them, to the recorder */
};

/* Zero-initialise; release with denials_finish(). */
struct denials {
	struct denial items[DENIALS_MAX]; /* in the order they were first seen */
	size_t count;
	uint64_t not_kept; /* refusals that found the table full: counted, not told apart */
	uint64_t total;    /* every refusal */
	uint64_t told;     /* total when the recorder was last told */
};

/* Count one refusal: into the row of the same operation, target and rule, or a new row. Never
 * fails; where memory or the table is full the refusal is counted as not kept. operation must be a
 * static string. */
void denials_add(struct denials *denials, const char *operation, const char *target,
	const struct denial_rule *rule);
/* An operation that is reported, as a static word: an event's own string lives for the call only.
 */
const char *denial_operation(const char *word);
/* "RUN.3": how the status record, the log and `berm explain` name the row with that index. */
#define DENIAL_ID_BYTES 64
void denial_id(const char *run_id, size_t index, char ret_id[DENIAL_ID_BYTES]);
void denials_finish(struct denials *denials);
