/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "govern/admission.h"

#define GROUPS_DIR "groups"

/* What the phase of the agent's group means for a new run of it, as the group is at this time. A
 * group that nobody declared is in its primary phase; one that cannot be read lets nothing start.
 */
int agent_group(const struct agents *agents, const Berm__Wire__Agent *agent,
	const struct agent_now *now, struct admission_group *ret_group,
	struct error *err) must_check;
