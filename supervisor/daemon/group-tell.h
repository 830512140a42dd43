/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "daemon/effects.h"

#include <stdbool.h>

/* What a run's own meter found, for the group of its agent: a cap that was crossed and a breaker
 * that tripped are suspicions, a run that its profile put into emergency is evidence of rogue
 * behaviour. What follows from that is the group's table (govern/pace-table.h). Each is told once a
 * run. What could not be told is tried again: nothing else tells it. */

struct group_told {
	unsigned told;    /* set of 1 << enum pace_trigger that the group knows */
	uint64_t next_ms; /* CLOCK_BOOTTIME: not before */
	bool failed;      /* and it was said */
};

/* What the effects say that a group has to know: a set of 1 << enum pace_trigger. */
unsigned group_told_wanted(const struct effects *effects);
/* Tell the agent's group what it does not know yet; an agent without a group: nothing. is_last:
 * wait for the lock as long as anybody does, and say what was not told. */
void group_told_look(struct group_told *told, const char *state, const Berm__Wire__Agent *agent,
	const struct effects *effects, bool is_last);
