/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/session.h"

/* What is berm's own is out of every run's reach, whatever its profile grants: what it keeps of its
 * runs (the log, its keys, agents and their budgets, the recorder's socket), also where that is
 * unless somebody names another place, and the directories by which runs are found and killed.
 * Where root works for somebody else (sudo), the same of that user too: the tool has that user's
 * rights on files. */

/* Find where that is, in session.own_paths; nothing is made. */
int own_state_find(struct session *session, struct error *err) must_check;
/* Make what is absent and what the run would come to: a name that does not exist yet could be taken
 * by the run, or by a placeholder of it. What goes wrong shows when the recorder is asked. */
void own_state_prepare(const struct session *session);
/* True where the plan gives the run something of these directories, or around them. */
bool own_state_is_reached(const struct session *session);
/* Deny them, as lines of fs.deny without a place would. The profile is to be compiled again. */
int own_state_deny(struct session *session, struct error *err) must_check;
void own_state_finish(struct session *session);
