/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/ask.h"
#include "daemon/requests.h"

/* The runs that wait for an answer, for the verbs about runs that last: those that are not begun
 * have no berm to ask, and are read from the questions of the state directory. */

/* Zero-initialise; release with held_finish(). */
struct held_runs {
	struct requests_list list; /* owned */
	struct agent_now now;
	struct error error; /* code 0, or why there may be more */
};

/* state_dir: as the option has it, or NULL. */
void held_read(const char *state_dir, struct held_runs *ret_held);
void held_finish(struct held_runs *held);
#define autoheld __attribute__((cleanup(held_finish)))

/* Of a run that lasts and is held: its question, into status->held_approval. */
void held_name(const struct held_runs *held, Berm__Wire__RunStatus *status);

/* A line, as of ask_put_row(), for each run that is not begun, and one where there may be more. */
void held_put_rows(const struct held_runs *held, struct text *out);
/* The array "held" of the same. */
void held_json(const struct held_runs *held, struct json *j);
/* The one whose id begins so, in lines or as one object; false where there is none, or more than
 * one. */
bool held_put_one(const struct held_runs *held, const char *words, bool as_json, struct text *out);
