/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/recorder-client.h"
#include "daemon/recording.h"
#include "daemon/redaction.h"
#include "daemon/session.h"

/* A command line is kept whole up to this many bytes. */
#define RECORDING_ARGV_BYTES (128U << 10)
#define RECORDING_REFUSED_ARGV_BYTES (4U << 10) /* whoever is refused can ask again and again */
#define RECORDING_WORDS_MAX 512

struct recording {
	struct recorder_client *client; /* owned; NULL: not open */
	struct recording_policy policy;
	struct redactor *redactor; /* owned: takes secrets out of all that is told */
	bool failed;
	bool ended;
	struct error failure;
	char words[ERROR_TEXT_MAX + 32];
	/* How much of the session's tables was told. */
	size_t trips;
	uint64_t denials_not_kept, trips_not_kept, events_lost, activity_lost;
	uint32_t posture, phase;
};

/* recording-words.c: records of the session's tables. */
void recording_tell_start(struct recording *recording, const struct session *session);
void recording_tell_denials(struct recording *recording, struct session *session);
void recording_tell_effects(
	struct recording *recording, const struct session *session, const char *by);
void recording_tell_end(struct recording *recording, const struct session *session,
	const struct run_result *result);
/* recording-approvals.c: who was asked before the run, and what they said. */
void recording_tell_approvals(struct recording *recording, const struct session *session);
/* recording-files.c: what the profile was read from, in start->profile_files; owned by start. */
void recording_fill_files(const struct redactor *redactor, const struct profile *profile,
	Berm__Wire__RunStart *start);
void recording_free_files(Berm__Wire__RunStart *start);
/* Who delegated the run, in start->delegated_by; ret_chain has to outlive it. */
struct recording_chain {
	Berm__Wire__DelegationHop hops[DELEGATION_HOPS_MAX];
	Berm__Wire__DelegationHop *pointers[DELEGATION_HOPS_MAX];
};
void recording_fill_chain(const struct delegation_chain *chain, struct recording_chain *ret_chain,
	Berm__Wire__RunStart *start);
/* What became of the declared outputs, in end->outputs; owned by end. */
void recording_fill_outputs(
	const struct redactor *redactor, const struct session *session, Berm__Wire__RunEnd *end);
void recording_free_outputs(Berm__Wire__RunEnd *end);
/* RECORD_ENFORCED_… of a plan. */
uint32_t recording_enforcement(const Berm__Wire__Plan *plan);
