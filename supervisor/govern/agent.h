/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/agent-usage.h"

/* Agents as they are kept: what is a good one, and what MASO's tiers mean for it. */

#define AGENT_VERSION 1
#define AGENT_ID_BYTES 26
#define AGENT_NAME_MAX 64
#define AGENT_WORDS_MAX 200 /* role, accountable human, reason, task */
#define AGENT_CALL_BYTES 32
#define AGENT_STARTERS_MAX 256
#define AGENT_DELEGATES_MAX 64
#define AGENT_BUDGETS_MAX (COUNTER_COUNT * AGENT_WINDOW_COUNT)
#define AGENT_RUNNING_MAX 1024 /* runs of one agent at once, whatever it may */
#define AGENT_FAILURES_MAX 2048
#define AGENT_LOST_MAX 64 /* that can be settled still */

/* How the tiers differ. What is the same in all of them is no row here. */
struct agent_tier {
	const char *name;     /* "supervised" … */
	bool read_only;       /* writes and the network wait for a person; until there are
				 approvals, they are refused */
	bool wants_caps;      /* a cap on something, of the profile or of the agent */
	bool wants_breaker;   /* pace.alternate.when has something */
	bool never_degraded;  /* nothing that the host lacks may be done without */
	uint64_t cooldown_ms; /* for a call that just failed; 0: none */
	uint64_t time_box_ms; /* of a run; 0: none */
	unsigned delegations; /* runs that may follow one of its own, one by the other (DEL-03) */
	uint64_t starts_max;  /* processes that one run may start; 0: as its profile says */
};

/* tier: 1 to 3. */
const struct agent_tier *agent_tier(unsigned tier);

#define AGENT_RUNS_PER_HOUR 100
#define AGENT_RETRIES 3
#define AGENT_RUNNING 10
#define AGENT_PROCESSES 512        /* of one run at once */
#define AGENT_TASK_FAILURES_MAX 20 /* of all commands of one task, within a day */

/* True for what an agent, a group, a task, a key, a person or a source may be called: 1 to
 * AGENT_NAME_MAX of a-z 0-9 _ -, beginning with a letter or digit. */
bool agent_name_is_good(const char *name);
/* True for what may be an agent's id: AGENT_ID_BYTES of 0-9 and A-Z without I, L, O and U. */
bool agent_id_is_good(const char *id);
/* True where the words are one line of UTF-8 that a terminal shows as it is, 1 to AGENT_WORDS_MAX
 * bytes, not only blanks. */
bool agent_words_are_good(const char *words);

/* 0, or -EINVAL with the first thing that is wrong with it, whoever made it. */
int agent_check(const Berm__Wire__Agent *agent, struct error *err) must_check;

/* How long a command that failed waits: as the agent says, and never less than its tier does. */
uint64_t agent_cooldown_ms(const Berm__Wire__Agent *agent);

/* How many processes one run may have at once, and how many it may start (0: as its profile says).
 */
uint64_t agent_processes(const Berm__Wire__Agent *agent);
uint64_t agent_starts(const Berm__Wire__Agent *agent);
/* How long one run may last: the lesser of what the agent and its tier say; 0: neither says it. */
uint64_t agent_time_box_ms(const Berm__Wire__Agent *agent);

/* True for what a berm wrote of one run. */
bool agent_receipt_is_good(const Berm__Wire__AgentReceipt *receipt);

/* Set the limit of a counter in a window, or take it away (AGENT_UNLIMITED). -ENOMEM. */
int agent_set_budget(Berm__Wire__Agent *agent, unsigned counter, enum agent_window window,
	uint64_t limit) must_check;
