/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/agent.h"
#include "govern/pace.h"

/* Whether a run of an agent may begin, and what it may use up. Nothing is asked of a clock or a
 * file here. Whoever changes an agent so holds the lock of the state directory. */

/* What the phase of the agent's group means for a new run of it; all false where it has none. */
struct admission_group {
	bool no_start;
	bool read_only;
	bool stage_writes; /* a person has to say yes to each of them: they are staged */
	bool approval;     /* a person has to say yes to the run first */
	bool halved;       /* its thresholds: half of each cap, breakers at half of the count */
	const char *why;   /* half a sentence, for those above */
};

/* That, from what a phase means for the agent. Writes that a person has to approve before they are
 * kept are staged; a run that may not do even that is read-only. */
void admission_of_phase(const struct pace_effects *effects, struct admission_group *ret_group);

struct admission_request {
	const char *run;     /* its id */
	uint64_t mark;       /* AgentRun.mark */
	uint32_t uid, gid;   /* who wants it */
	bool is_operator;    /* the owner of the state directory */
	bool counted;        /* it was admitted before, and is one of the runs of this hour */
	const char *task;    /* "": none is named */
	const uint8_t *call; /* AGENT_CALL_BYTES: digest of the command line */
	/* What the profile lets one run do, by counter, or AGENT_UNLIMITED. */
	uint64_t caps[COUNTER_COUNT];
};

enum admission_rule {
	ADMISSION_YES,
	ADMISSION_NOT_YOURS,
	ADMISSION_RETIRED,
	ADMISSION_GROUP,
	ADMISSION_RUNNING,
	ADMISSION_RATE,
	ADMISSION_TASK,
	ADMISSION_RETRIES,
	ADMISSION_COOLDOWN,
	ADMISSION_BUDGET,
	ADMISSION_RULE_COUNT
};

struct admission {
	enum admission_rule rule; /* ADMISSION_YES: it may */
	uint64_t wait_ms;         /* until it is worth to ask again, or AGENT_UNLIMITED */
	unsigned counter;         /* BUDGET */
	bool read_only;           /* it is to be started so that it changes nothing */
	bool stage_writes;    /* its writes are to be staged; where they cannot be, as read_only */
	bool halved;          /* as of the group */
	const char *approval; /* YES: why a person has to say yes before it starts, or NULL; of the
				 group */
	/* YES: what it may do, by counter, of those that have a budget; else AGENT_UNLIMITED. */
	uint64_t caps[COUNTER_COUNT];
	char words[320]; /* why not, for people */
};

/* "may_start", "retired", "group" …: what a refusal is due to. */
const char *admission_rule_name(enum admission_rule rule);

/* True where may_start of the agent names that user or group. */
bool admission_is_starter(const Berm__Wire__Agent *agent, uint32_t uid, uint32_t gid);

void admit(const Berm__Wire__Agent *agent, const struct admission_group *group,
	const struct admission_request *request, const struct agent_now *now,
	struct admission *ret_admission);
/* It was admitted: count the run and reserve what it may do. -ENOMEM, as of agent_charge(). */
int admission_begin(Berm__Wire__Agent *agent, const struct admission *admission,
	const struct admission_request *request, const struct agent_now *now) must_check;

enum admission_end {
	ADMISSION_WORKED,
	ADMISSION_FAILED,
	ADMISSION_NEVER_RAN, /* nothing of it: neither a failure nor a success */
	ADMISSION_LOST,      /* nobody knows: all that was reserved counts as done, and as failed */
	ADMISSION_END_COUNT
};

/* The run is over. done: by counter; NULL for LOST and where it did nothing. Does nothing for a run
 * that is none of the agent's. -ENOMEM, as of agent_charge(). */
int admission_end(Berm__Wire__Agent *agent, const char *run, enum admission_end end,
	const uint64_t done[COUNTER_COUNT], const struct agent_now *now) must_check;

/* When a run was over at the latest that began then and lasts limit_ms at most (0: no limit): it is
 * charged at that moment, not when somebody finds it. A reboot ends every run. */
struct agent_now admission_over(
	const Berm__Wire__AgentMoment *begun, uint64_t limit_ms, const struct agent_now *now);

/* Somebody knows what a lost run did: what is not AGENT_UNLIMITED of done counts instead. -ENOENT
 * where no such run counts as lost, -ERANGE where it could not have done so much. */
int admission_settle(
	Berm__Wire__Agent *agent, const char *run, const uint64_t done[COUNTER_COUNT]) must_check;
