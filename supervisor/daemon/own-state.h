/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/session.h"

/* What berm keeps of its runs (the log, its keys, the recorder's socket) is out of every run's
 * reach, whatever its profile grants. */

/* Make the state directory where it is absent: a name that does not exist yet could be taken by a
 * placeholder of the run. What goes wrong shows when the recorder is asked. */
void own_state_prepare(const struct session *session);
/* True where the plan gives the run something of the state directory, or around it. */
bool own_state_is_reached(const struct session *session);
/* Deny it, as a line of fs.deny without a place would. The profile is to be compiled again. */
int own_state_deny(struct session *session, struct error *err) must_check;
