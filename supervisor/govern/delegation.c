/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/delegation.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *words;
} rules[DELEGATION_RULE_COUNT] = {
	[DELEGATION_YES] = {"delegation", "it may"},
	[DELEGATION_TO] = {"delegation.to", "this agent may not delegate to it"},
	[DELEGATION_CYCLE] = {"delegation.cycle", "it is in the chain already"},
	[DELEGATION_DEPTH] = {"delegation.depth", "the chain is as long as it may be"},
	[DELEGATION_AT_ONCE] = {"delegation.at_once", "enough runs of this one last already"},
	[DELEGATION_TOTAL] = {"delegation.total", "this run has asked often enough"},
	[DELEGATION_PHASE] = {"delegation.phase", "a group of the chain is not in primary"},
};

const char *delegation_rule_name(enum delegation_rule rule)
{
	return rule < DELEGATION_RULE_COUNT ? rules[rule].name : "delegation";
}

const char *delegation_rule_words(enum delegation_rule rule)
{
	return rule < DELEGATION_RULE_COUNT ? rules[rule].words : "";
}

void delegation_extend(const struct delegation_chain *own, const char *run,
	const Berm__Wire__Agent *agent, struct delegation_chain *ret_chain)
{
	unsigned most = agent_tier(agent->tier)->delegations;
	struct delegation_hop *hop;

	*ret_chain = *own;
	if (own->count && own->left - 1 < most)
		most = own->left - 1;
	/* A run that had nothing left is in no chain; a chain never outgrows its room. */
	if ((own->count && !own->left) || own->count == DELEGATION_HOPS_MAX)
		most = 0;
	ret_chain->left = most;
	if (own->count == DELEGATION_HOPS_MAX)
		return;
	hop = &ret_chain->hops[ret_chain->count++];
	*hop = (struct delegation_hop){0};
	snprintf(hop->run, sizeof(hop->run), "%s", run);
	snprintf(hop->agent_id, sizeof(hop->agent_id), "%s", agent->id);
	snprintf(hop->agent, sizeof(hop->agent), "%s", agent->name);
	snprintf(hop->group, sizeof(hop->group), "%s", agent->group);
}

bool delegation_names(const Berm__Wire__Agent *agent, const char *id)
{
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		if (strcmp(agent->delegate_to[i], id) == 0)
			return true;
	return false;
}

enum delegation_rule delegation_judge(const struct delegation_chain *chain,
	const Berm__Wire__Agent *from, const Berm__Wire__Agent *target)
{
	if (chain->count == 0 || strcmp(chain->hops[chain->count - 1].agent_id, from->id) != 0 ||
		from->retired || !delegation_names(from, target->id))
		return DELEGATION_TO;
	for (size_t i = 0; i < chain->count; i++)
		if (strcmp(chain->hops[i].agent_id, target->id) == 0)
			return DELEGATION_CYCLE;
	/* As it is now: an agent that was put into a lower tier meanwhile is in that. */
	if (chain->left == 0 || agent_tier(from->tier)->delegations == 0)
		return DELEGATION_DEPTH;
	return DELEGATION_YES;
}

enum delegation_rule delegation_has_room(size_t running, uint64_t asked)
{
	if (asked >= DELEGATIONS_TOTAL)
		return DELEGATION_TOTAL;
	return running >= DELEGATIONS_AT_ONCE ? DELEGATION_AT_ONCE : DELEGATION_YES;
}

uint64_t delegation_left(uint64_t limit, uint64_t done, uint64_t held)
{
	if (limit == DELEGATION_NOTHING)
		return limit;
	if (done >= limit || held >= limit - done)
		return 0;
	return limit - done - held;
}

void delegation_words(const struct delegation_chain *chain, char ret_words[DELEGATION_WORDS])
{
	size_t length = 0;

	ret_words[0] = '\0';
	for (size_t i = 0; i < chain->count; i++)
		length += (size_t)snprintf(ret_words + length, DELEGATION_WORDS - length, "%s%s %s",
			i ? " > " : "", chain->hops[i].agent, chain->hops[i].run);
}
