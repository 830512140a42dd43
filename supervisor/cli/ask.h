/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "wire/control.pb-c.h"

/* What the verbs about runs that last share. Everything that a run says is bounded and escaped
 * here: it can be anybody's. */

/* Ask the run whose id begins with words for its status. Released with
 * berm__wire__run_status__free_unpacked(). */
int ask_status(const char *words, Berm__Wire__RunStatus **ret_status, struct error *err) must_check;
/* Tell it to change its posture. */
int ask_posture(const char *words, unsigned posture, Berm__Wire__RunStatus **ret_status,
	struct error *err) must_check;

/* Bytes that came from elsewhere, escaped, at most max_bytes of them. */
void ask_put(struct text *out, ProtobufCBinaryData bytes, size_t max_bytes);
/* The words of the run's command, one space between. */
void ask_put_command(struct text *out, const Berm__Wire__RunStatus *status, size_t max_bytes);
/* "42s", "3m12s", "2h5m". */
void ask_put_time(struct text *out, uint64_t ms);
/* The name of a counter; "?" for a number that is none. */
const char *ask_counter_name(uint32_t counter);

/* "cap", "warning" …; "?" for a kind that is none. */
const char *ask_trip_word(const Berm__Wire__RunTrip *trip);

/* The object of one run for --json. */
void ask_json(struct json *j, const char *key, const Berm__Wire__RunStatus *status);
