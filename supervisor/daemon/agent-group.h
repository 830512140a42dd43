/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "govern/admission.h"

/* An agent and its group. An agent without a group is free of all of it. */

/* What the phase of the agent's group means for a new run of it, as the group is now. One that
 * cannot be read, and one that is not there, let nothing start. */
int agent_group(const struct agents *agents, const Berm__Wire__Agent *agent,
	struct admission_group *ret_group, struct error *err) must_check;

/* Have what time has brought to the agent's group written down and recorded, where that can be done
 * soon: a return that is due holds only then. Without the lock of the agents. */
void agent_group_settle(const struct agents *agents, const Berm__Wire__Agent *agent);

/* Whether the agent may get another name, group, profile, directory or budget, or be retired:
 * always where its group is in primary and the agent is not held, else by whoever has the authority
 * of a recovery (the caller's uid, in authority.yaml). -EPERM, kind REFUSED. */
int agent_group_leave(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err) must_check;
/* Whether the agent may be put into another group, beside that: not while runs of it last, which
 * stay under the phase they began with, nor before its group heard what they did, nor while the
 * group is halted. With the lock of the agents; group_untold_tell() goes before it. Kind REFUSED.
 */
int agent_group_move(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err) must_check;
/* Whether the agent's group is one. Kind INPUT where nobody has made it. */
int agent_group_join(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err) must_check;
