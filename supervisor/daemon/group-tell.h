/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/agents.h"
#include "daemon/effects.h"
#include "govern/pace.h"

#include <stdbool.h>

/* What a run's own meter found, for the group of its agent: a cap that was crossed and a breaker
 * that tripped are suspicions, a run that its profile put into emergency is evidence of rogue
 * behaviour. What follows from that is the group's table (govern/pace-table.h). It is kept on the
 * disk first (daemon/group-untold.h), and what could not be told is tried again. A run that goes on
 * after its agent was let go on is heard anew. */

struct group_told {
	uint64_t told[PACE_TRIGGER_COUNT]; /* so much of each the group knows */
	unsigned kept;                     /* set of triggers that are on the disk */
	uint64_t next_ms;                  /* CLOCK_BOOTTIME: not before */
	bool failed;                       /* and it was said */
};

/* Of which run, and what there is to tell. Borrowed. */
struct group_teller {
	const char *state, *run;
	const Berm__Wire__Agent *agent; /* NULL: none */
	const struct effects *effects;
	bool time_box_over;
	bool is_isolated; /* the group holds the agent now, as far as the run knows */
};

/* What the group has to know and does not: a set of 1 << enum pace_trigger. What a run did while
 * its agent is isolated is what that is isolated for, once the group knows of it. */
unsigned group_told_wanted(struct group_told *told, const struct group_teller *by);
/* Tell the agent's group what it does not know yet; an agent without a group: nothing. is_last:
 * wait for the lock as long as anybody does, and say what was not told. */
void group_told_look(struct group_told *told, const struct group_teller *by, bool is_last);
