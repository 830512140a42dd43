/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "daemon/run-id.h"
#include "wire/control.pb-c.h"

/* What the verbs about runs that last share. Everything that a run says is bounded and escaped
 * here: it can be anybody's. */

/* Ask the run whose id begins with words for its status. Released with
 * berm__wire__run_status__free_unpacked(). */
int ask_status(const char *words, Berm__Wire__RunStatus **ret_status, struct error *err) must_check;

struct held_runs; /* cli/held.h */

/* One run of many. */
struct ask_answer {
	char run_id[RUN_ID_LENGTH + 1];
	Berm__Wire__RunStatus *status; /* owned; NULL: error says why */
	struct error error;
};
/* Ask all runs of this user, some at a time, so that those that do not answer cost their time once
 * and not each. Runs that ended meanwhile are left out. Released with ask_all_finish(). */
int ask_all(struct ask_answer **ret_answers, size_t *ret_count, struct error *err) must_check;
void ask_all_finish(struct ask_answer *answers, size_t count);

/* Tell it to change its posture. */
int ask_posture(const char *words, unsigned posture, Berm__Wire__RunStatus **ret_status,
	struct error *err) must_check;

/* Bytes that came from elsewhere, escaped, at most max_bytes of them. */
void ask_put(struct text *out, ProtobufCBinaryData bytes, size_t max_bytes);
/* The words of the run's command, one space between. */
void ask_put_command(struct text *out, const Berm__Wire__RunStatus *status, size_t max_bytes);
/* "42s", "3m12s", "2h5m". */
void ask_put_time(struct text *out, uint64_t ms);
/* At what it is held, how long, and by which question; nothing where it is not. before: goes in
 * front. */
void ask_put_held(struct text *out, const Berm__Wire__RunStatus *status, const char *before);
/* The name of a counter; "?" for a number that is none. */
const char *ask_counter_name(uint32_t counter);

/* "cap", "warning" …; "?" for a kind that is none. */
const char *ask_trip_word(const Berm__Wire__RunTrip *trip);

/* The heading and the line of one run in a list: what it is, and the two caps that are nearest. */
void ask_put_heading(struct text *out);
void ask_put_row(struct text *out, const struct ask_answer *answer);
/* All of them as one object with what "berm inspect" tells of each, and those that are held. */
void ask_put_json(struct text *out, const struct ask_answer *answers, size_t count,
	const struct held_runs *held);
/* How much of the cap that is nearest has been used, in thousandths. */
uint64_t ask_nearest_share(const Berm__Wire__RunStatus *status);
/* The object of one run for --json. */
void ask_json(struct json *j, const char *key, const Berm__Wire__RunStatus *status);
