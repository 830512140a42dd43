/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"
#include "wire/agent.pb-c.h"
#include "wire/effects.h"

#include <stdbool.h>
#include <stdint.h>

/* What an agent has used up, in windows that slide. What was done is kept in slots of a sixtieth of
 * the window, and a slot counts as a whole until the window has passed since its last moment: a
 * burst around any boundary never gets more than the limit, and what is over counts for a sixtieth
 * longer than it had to. */

enum agent_window { AGENT_HOUR, AGENT_DAY, AGENT_LIFETIME, AGENT_WINDOW_COUNT };

#define AGENT_BOOT_ID_BYTES 16
#define AGENT_UNLIMITED UINT64_MAX

/* The host's time, as it came in. */
struct agent_now {
	uint8_t boot_id[AGENT_BOOT_ID_BYTES];
	uint64_t boot_ms; /* CLOCK_BOOTTIME */
	uint64_t wall_ms; /* since 1970 */
};

/* "hour", "day", "lifetime"; "" for a number that is none. */
const char *agent_window_name(unsigned window);

/* How long ago, by the clock that says less: within a boot the one of the boot or the wall clock,
 * after a reboot the wall clock alone. 0 where it lies ahead. Whoever sets a clock makes nothing
 * older than it is by the other one. */
uint64_t agent_age_ms(const Berm__Wire__AgentMoment *then, const struct agent_now *now);
/* A new moment (free_unpacked releases it), or NULL. */
Berm__Wire__AgentMoment *agent_moment(const struct agent_now *now) must_check;

/* What was used of a counter, with what runs that last have reserved. */
uint64_t agent_used(const Berm__Wire__Agent *agent, enum agent_window window, unsigned counter,
	const struct agent_now *now);
/* What was done of a counter since the agent was added, without what is reserved. */
uint64_t agent_lifetime(const Berm__Wire__Agent *agent, unsigned counter);
/* Runs that were admitted within the last hour. */
uint64_t agent_runs(const Berm__Wire__Agent *agent, const struct agent_now *now);
/* In how many ms the window holds less than it does now of a counter, or of runs (counter:
 * COUNTER_COUNT); AGENT_UNLIMITED where time alone does not help. */
uint64_t agent_wait_ms(const Berm__Wire__Agent *agent, enum agent_window window, unsigned counter,
	const struct agent_now *now);

/* What is left of a counter by all budgets, and by which one (NULL: AGENT_UNLIMITED is left). */
uint64_t agent_remaining(const Berm__Wire__Agent *agent, unsigned counter,
	const struct agent_now *now, const Berm__Wire__AgentBudget **ret_budget);

/* Count amounts (may be NULL) and runs as done now, and forget what is out of every window. -ENOMEM
 * with the agent as it was or with a part of it counted; it is then not to be kept. */
int agent_charge(Berm__Wire__Agent *agent, const struct agent_now *now,
	const uint64_t amounts[COUNTER_COUNT], uint64_t runs) must_check;
