/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/agent-usage.h"
#include "wire/approval.pb-c.h"

/* Questions to a person, as they are kept. Nothing here asks a clock or a file; whoever changes one
 * holds the lock of the state directory. An answer is for the runs that waited when it was given,
 * and for nothing else: it is never a right that somebody has later. */

#define APPROVAL_VERSION 1
#define APPROVAL_DIGEST_BYTES 32
#define APPROVAL_WAITERS_MAX 64
#define APPROVAL_WORDS_MAX 200 /* by, reason */
#define APPROVAL_ID_MAX 64
#define APPROVAL_GRACE_MS 5000   /* a run looks at its answer so long after its time at most */
#define APPROVAL_START_MS 600000 /* and begins so long after a yes at most */

enum approval_state {
	APPROVAL_PENDING,
	APPROVAL_APPROVED,
	APPROVAL_DENIED,
	APPROVAL_EXPIRED,   /* nobody answered in time, or the host was started anew */
	APPROVAL_WITHDRAWN, /* nobody waits for it any more */
	APPROVAL_ANEW,      /* of a run alone: the yes was for those before it, and it asks anew */
	APPROVAL_STATE_COUNT
};

/* "pending", "approved" … */
const char *approval_state_name(enum approval_state state);
/* 0, or -EINVAL with what is wrong with it, whoever made it. */
int approval_check(const Berm__Wire__ApprovalRequest *request, struct error *err) must_check;

enum approval_state approval_state(
	const Berm__Wire__ApprovalRequest *request, const struct agent_now *now);
/* What it is for that run: the answer counts where it came in the run's own time, is looked at
 * then, and where the run was there when it was shown. WITHDRAWN for a run that never waited, or
 * left. */
enum approval_state approval_of(
	const Berm__Wire__ApprovalRequest *request, const char *run, const struct agent_now *now);
/* The longest that a run still waits, ms; 0 where none does. */
uint64_t approval_left_ms(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now);
/* Runs that wait now. */
unsigned approval_waiting(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now);

/* It begins, with that run as the first that waits. The rest of it is as the caller set it.
 * -ENOMEM. */
int approval_begin(Berm__Wire__ApprovalRequest *request, const char *run, uint64_t timeout_ms,
	const struct agent_now *now) must_check;
/* True where the two ask the same of the same people and this one is open. */
bool approval_is_equal(const Berm__Wire__ApprovalRequest *request,
	const Berm__Wire__ApprovalRequest *other, const struct agent_now *now);
/* One more run waits for the same answer. -EALREADY where it is not open; -EEXIST where the run
 * waits already; -ENOSPC where APPROVAL_WAITERS_MAX do; -ENOMEM. */
int approval_join(Berm__Wire__ApprovalRequest *request, const char *run, uint64_t timeout_ms,
	const struct agent_now *now) must_check;
/* The runs that were there when `waiting` of them waited: so many of waiters are in front of the
 * next one that waits. 0 where nobody waits. */
unsigned approval_covers(
	const Berm__Wire__ApprovalRequest *request, unsigned waiting, const struct agent_now *now);
struct approval_answer {
	bool yes;
	/* A yes is for the first so many of waiters, which were there when it was shown; a no is
	 * for all. */
	unsigned covers;
	const char *who, *channel, *reason; /* copied; "" where there is none */
};
/* -EALREADY where it is not open; -EINVAL where it covers nobody, or more than there are; -ENOMEM.
 */
int approval_answer(Berm__Wire__ApprovalRequest *request, const struct approval_answer *answer,
	const struct agent_now *now) must_check;
/* The run waits no more. Nothing where it did not. */
void approval_leave(Berm__Wire__ApprovalRequest *request, const char *run);

/* Take from the run what it waits for, and a yes by which it may not have begun yet. words: by whom
 * and why, cut to APPROVAL_WORDS_MAX. 0: there was neither; 1: a yes; 2: it waited; -ENOMEM. */
int approval_withdraw(Berm__Wire__ApprovalRequest *request, const char *run, const char *words,
	const struct agent_now *now) must_check;
/* By whom and why, or "". */
const char *approval_withdrawn_by(const Berm__Wire__ApprovalRequest *request, const char *run);
/* What a yes that the run has seen is when it begins: APPROVED, WITHDRAWN or EXPIRED. */
enum approval_state approval_at_start(
	const Berm__Wire__ApprovalRequest *request, const char *run, const struct agent_now *now);

/* Whose and when, for the limit. */
uint64_t approval_age_ms(const Berm__Wire__ApprovalRequest *request, const struct agent_now *now);
/* True where one more run of the asker that waits for a person would be more than max within the
 * time, counting those that are in the list, answered or not: who joins a question counts as well.
 */
bool approval_is_flood(const Berm__Wire__ApprovalRequest *const *all, size_t count,
	const char *asker, uint64_t max, uint64_t within_ms, const struct agent_now *now);
