/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/agent.h"

/* A run that another run's tool asked for: who may ask for whom, how deep, how often, and what is
 * left for it. Nothing is asked of a clock or a file here. */

#define DELEGATION_DEPTH_MAX 3                         /* of any tier */
#define DELEGATION_HOPS_MAX (DELEGATION_DEPTH_MAX + 1) /* with the last one that is refused */
#define DELEGATIONS_AT_ONCE 4         /* of one run; requests that are read count */
#define DELEGATIONS_TOTAL 64          /* of one run; those that were refused count */
#define DELEGATION_NOTHING UINT64_MAX /* no bound */

/* One run of a chain. */
struct delegation_hop {
	char run[AGENT_ID_BYTES + 1];
	char agent_id[AGENT_ID_BYTES + 1];
	char agent[AGENT_NAME_MAX + 1]; /* its name when the run began */
	char group[AGENT_NAME_MAX + 1]; /* "": none */
};

/* Those that a run was begun for: from the one that a person or service began to the one whose tool
 * asked. Empty for a run that nobody delegated. */
struct delegation_chain {
	struct delegation_hop hops[DELEGATION_HOPS_MAX];
	size_t count;
	unsigned left; /* how many runs may follow the last hop, one by the other */
};

enum delegation_rule {
	DELEGATION_YES,
	DELEGATION_TO,      /* the agent that asks may not delegate to that one */
	DELEGATION_CYCLE,   /* that agent is in the chain already */
	DELEGATION_DEPTH,   /* the chain is as long as it may be */
	DELEGATION_AT_ONCE, /* the run that asks has enough of them that last */
	DELEGATION_TOTAL,   /* or had enough of them */
	DELEGATION_PHASE,   /* the group of a run of the chain is not in primary */
	DELEGATION_RULE_COUNT
};

/* "delegation.to", "delegation.cycle" …: the key under which a refusal is recorded. Static. */
const char *delegation_rule_name(enum delegation_rule rule);
/* Why not, for people; half a sentence. Static. */
const char *delegation_rule_words(enum delegation_rule rule);

/* The chain of what `run`, a run of that agent with that chain of its own, starts. */
void delegation_extend(const struct delegation_chain *own, const char *run,
	const Berm__Wire__Agent *agent, struct delegation_chain *ret_chain);

/* True where the list of the agent names that id. */
bool delegation_names(const Berm__Wire__Agent *agent, const char *id);

/* May the last of the chain delegate to the target? from: its agent as it is now. Where it may not
 * delegate to the target at all, nothing else is said. */
enum delegation_rule delegation_judge(const struct delegation_chain *chain,
	const Berm__Wire__Agent *from, const Berm__Wire__Agent *target);

/* Whether one more may be asked for. */
enum delegation_rule delegation_has_room(size_t running, uint64_t asked);

/* What is left of a cap (DELEGATION_NOTHING: none) when so much was done and so much is held by
 * others. */
uint64_t delegation_left(uint64_t limit, uint64_t done, uint64_t held);

/* "researcher 01J… > reader 01K…": the chain for people and for records; into a buffer of
 * DELEGATION_WORDS. */
#define DELEGATION_WORDS (DELEGATION_HOPS_MAX * (AGENT_ID_BYTES + AGENT_NAME_MAX + 8))
void delegation_words(const struct delegation_chain *chain, char ret_words[DELEGATION_WORDS]);
