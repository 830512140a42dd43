/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/apply.h"
#include "daemon/activity.h"
#include "daemon/effects.h"

#include <stdbool.h>
#include <stddef.h>

/* What one run tells the recorder: its start, each kind of refusal, what the meter did, its
 * receipt. */

enum recording_level {
	RECORDING_DECISIONS, /* starts, ends, refusals, trips, postures */
	RECORDING_ACTIVITY,  /* and what was let through, as far as the run's meter sees it */
	RECORDING_FULL,      /* and what only reads */
	RECORDING_LEVEL_COUNT
};

enum recording_failure {
	RECORDING_STOP,     /* nothing runs that is not recorded */
	RECORDING_PHASE,    /* the run enters a phase of pace, with its posture */
	RECORDING_CONTINUE, /* a warning */
	RECORDING_FAILURE_COUNT
};

struct recording_policy {
	enum recording_level level;
	enum recording_failure on_failure;
	uint32_t phase, posture; /* RECORDING_PHASE: PHASE_… and POSTURE_… */
};

struct session;
struct recording;

/* What the plan asks for. NULL: what holds where nobody asks for anything. */
struct recording_policy recording_policy_of(const Berm__Wire__Plan *plan);

/* Begin to record the session's run, in session->recording; nothing waits, and what is wrong with
 * the recorder shows in recording_ready(). -ENOMEM. */
int recording_begin(struct session *session, struct error *err) must_check;
/* The recorder has taken the run's start: the tool may begin. An error where it has not, unless the
 * policy is RECORDING_CONTINUE. */
int recording_ready(struct session *session, struct error *err) must_check;
/* Tell the refusals that are new. */
void recording_denials(struct session *session);
/* Tell what is new: refusals, trips, postures. by: who changed the posture from outside, or NULL.
 */
void recording_look(struct session *session, const char *by);
struct session_hold;
/* Who was asked while the run lasted, and what they said. */
void recording_write_approval(struct session *session, const struct session_hold *held);
/* The profile asks for what was let through, too. */
bool recording_wants_activity(const struct session *session);
/* What was let through; sent by recording_handle(). */
void recording_activity(struct session *session, const struct activity *activity);
/* The same of a call that the gate decided (error: errno). */
void recording_call(struct session *session, const struct gate_call *call, int error);
/* Readable when recording_handle() has something to do; -1: nothing is recorded. */
int recording_fd(const struct session *session);
/* An error: the run must not go on, see recording_failure(). */
int recording_handle(struct session *session, struct error *err) must_check;
/* Write the receipt and wait until it is on the disk. An error as of recording_ready(). */
int recording_end(
	struct session *session, const struct run_result *result, struct error *err) must_check;
/* The run never came to be: record that it was asked for and why not. Says nothing where that does
 * not work. */
void recording_refused(struct session *session, const struct run_result *result);
void recording_close(struct session *session);

/* "recorded", or why the run or a part of it is not; NULL where nobody asked for it. For the status
 * record. */
const char *recording_words(const struct session *session);
/* What is to happen when an error comes; RECORDING_CONTINUE where nothing is recorded. */
struct recording_policy recording_policy(const struct session *session);
