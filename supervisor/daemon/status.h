/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/apply.h"
#include "base/json.h"
#include "base/text.h"
#include "daemon/denials.h"
#include "daemon/effects.h"
#include "daemon/outputs.h"
#include "plan/plan.h"

/* Everything that one run says about itself when it is over. All borrowed. */
struct status {
	const char *run_id;
	enum run_outcome outcome;
	int code;                      /* what berm run exits with */
	int signal;                    /* 0 = none */
	const char *error;             /* why it did not start, or NULL */
	const struct profile *profile; /* or NULL: hints are left out */
	const Berm__Wire__Plan *plan;  /* NULL where it came to none */
	const uint8_t *plan_digest;    /* PLAN_DIGEST_BYTES, or NULL */
	const struct denials *denials;
	const struct effects *effects; /* or NULL */
	uint64_t duration_ms;
	const char *recorder;                 /* recording_words(), or NULL */
	const Berm__Wire__Agent *agent;       /* whose run it is, or NULL */
	const struct delegation_chain *chain; /* who delegated it */
	const struct output *outputs;
	size_t output_count;
};

/* The status record of docs/status-record.md: one line of JSON with its line feed. Text
 * that came from the tool is bounded; every byte of it that is no UTF-8 is written as U+FFFD. */
void status_record(const struct status *status, struct text *out);
/* The short footer for people, nothing where nothing was refused: what the meter did and why; what,
 * by which rule and line, how often, and the line that would allow it or why it should stay denied.
 * Each line begins with "berm: "; text from the tool is escaped. */
void status_footer(const struct status *status, struct text *out);

/* The member "enforcement" of an object: {"fs.read": "mount+landlock" …}, by key of the profile
 * with every way in which rules of that key are enforced. plan may be NULL: an empty object. */
void status_enforcement(const Berm__Wire__Plan *plan, struct json *j);

/* Append every way in which rules of the key of one rule are enforced; false where the rule is not
 * the first of its key that is enforced at all. */
bool status_enforced_by(const Berm__Wire__Plan *plan, size_t index, struct text *out);

/* The word for an outcome in the record ("exited", "setup_failed" …). Static. */
const char *status_outcome_word(enum run_outcome outcome);
