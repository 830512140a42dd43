/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/runs-named.h"
#include "wire/halt.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

/* What has to start no more: a mark in STATE/halts for everything, for an agent or for a group.
 * A run is asked about after its place was written (daemon/runs-place.h), and who halts writes the
 * mark before looking for runs: so none slips through between the two. */

#define HALTS_DIR "halts"
#define HALT_REASON_BYTES_MAX 200

/* Refuse (kind REFUSED, -ECANCELED) where a run of this state directory, of this agent (its id, or
 * NULL) and this group (or NULL or "") must not start; and where a mark that is there cannot be
 * read. state: NULL where there is no state directory: nothing can be halted there. */
int halts_check(
	const char *state, const char *agent_id, const char *group, struct error *err) must_check;

/* Who halts. Borrowed. */
struct halts_by {
	uid_t uid;
	const char *name;   /* or "" */
	const char *reason; /* or NULL */
};

/* Put the mark there; one that is there already stays as it is (ret_was_there). Not for a run. */
int halts_set(const char *state, const struct runs_named *named, const struct halts_by *by,
	bool *ret_was_there, struct error *err) must_check;
/* 0 where there is a mark, one that cannot be read too. -ENOENT (kind NOT_FOUND): none. */
int halts_find(const char *state, const struct runs_named *named, struct error *err) must_check;
/* Take the mark away. -ENOENT (kind NOT_FOUND) where there is none. It takes one away that cannot
 * be read, too. */
int halts_lift(const char *state, const struct runs_named *named, struct error *err) must_check;
/* All marks in a new array (release with halts_free()). An error where one cannot be read. */
int halts_list(const char *state, Berm__Wire__Halt ***ret_list, size_t *ret_count,
	struct error *err) must_check;
void halts_free(Berm__Wire__Halt **list, size_t count);
/* Have it in the log: operation "halt" or "lift". */
int halts_record(const char *state, const char *operation, const struct runs_named *named,
	const struct halts_by *by, struct error *err) must_check;
