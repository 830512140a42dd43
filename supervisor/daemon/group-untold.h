/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"

/* What a run did is kept on the disk before its group is told, so that neither a kill of its berm
 * nor who holds a lock keeps it from the group: STATE/groups.untold/GROUP.RUN. Whoever starts a run
 * of the group, or of the agent, tells what is left there first. */

#define GROUP_UNTOLD_DIR "groups.untold"

/* Keep it; on the disk when this returns 0. triggers: set of 1 << enum pace_trigger. */
int group_untold_keep(const char *state, const char *run, const Berm__Wire__Agent *agent,
	unsigned triggers, struct error *err) must_check;
/* The group knows it. Quiet, and fine where there is none. */
void group_untold_drop(const char *state, const char *group, const char *run);
/* Tell the groups what is left of runs of the agent and of its group, waiting for the lock at most
 * lock_ms for each. An agent without a group: nothing. Whoever holds the lock of the state
 * directory must not ask. Kind INTERNAL where something could not be told: it is kept. */
int group_untold_tell(const char *state, const Berm__Wire__Agent *agent, unsigned lock_ms,
	struct error *err) must_check;
/* 0 where nothing is left of runs of the agent; waits for nobody, and tells nothing. Kind REFUSED,
 * -EAGAIN: something is. */
int group_untold_none(
	const char *state, const Berm__Wire__Agent *agent, struct error *err) must_check;
/* Tell the group one thing that an agent did: groups_suspect(). */
int group_tell_one(const char *state, const char *group, const char *agent, unsigned trigger,
	unsigned lock_ms, struct error *err) must_check;
