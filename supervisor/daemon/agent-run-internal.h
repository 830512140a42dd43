/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agent-run.h"
#include "govern/agent.h"
#include "policy/profile.h"

/* Between the files of an agent's run only. */

/* What is asked for the session's run. `call` is borrowed by *ret_request. */
int agent_run_request(const struct session *session, uint8_t call[AGENT_CALL_BYTES],
	struct admission_request *ret_request, struct error *err) must_check;
/* Let the profile say what the run's admission does. */
int agent_run_tell_profile(
	struct agent_run *run, struct profile *profile, struct error *err) must_check;
/* The run was made of what the agent was when it was found. Whoever keeps a start waiting between
 * the two must not get yesterday's profile with today's leave: -EAGAIN (REFUSED). */
int agent_run_check_unchanged(
	const struct agent_run *run, const Berm__Wire__Agent *now, struct error *err) must_check;
