/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/hold.h"
#include "govern/delegation.h"

/* The hold of a run, between its plan and its tool. */

struct session;

struct session_hold {
	Berm__Wire__ApprovalRequest shown; /* parts are owned: session_hold_finish() */
	struct text details;               /* of shown */
	Berm__Wire__ApprovalHop hops[DELEGATION_HOPS_MAX],
		*chain[DELEGATION_HOPS_MAX]; /* likewise */
	struct hold_answers answers;
};

/* True where somebody is to be asked before the compiled run. */
bool session_is_held(const struct session *session);
/* The line that wants it so, where it is one of the plan: "FILE:LINE: KEY". */
void session_held_by(const struct session *session, struct text *out);
/* Ask those whom the plan and the agent's group want asked, and wait. 0 where nobody is to be asked
 * or all said yes, and nothing that was shown is another one now. Kind REFUSED otherwise. */
int session_hold(struct session *session, struct error *err) must_check;
/* The yes that the run has counts still, and nobody has taken it back: asked when its place is
 * written. 0 also where no person was asked. Kind REFUSED. */
int session_hold_counts(const struct session *session, struct error *err) must_check;
/* True where somebody is to be asked before the run's first write. */
bool session_writes_are_held(const struct session *session);
/* The question about that: fills *ret_hold (zero-initialised; session_hold_finish() where it was
 * allocated). call: the words of what the tool is about to do. -ENOMEM. */
int session_hold_of_write(
	const struct session *session, const char *call, struct session_hold *ret_hold) must_check;
/* Ask it, and wait: for a process of its own. As session_hold(). */
int session_hold_write(
	const struct session *session, struct session_hold *hold, struct error *err) must_check;
void session_hold_finish(struct session_hold *hold); /* NULL is fine */
