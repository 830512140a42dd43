/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-record.h"

#include "apply/caller.h"
#include "base/text.h"
#include "daemon/act.h"
#include "govern/agent.h"

#include <string.h>

#define PATIENCE_MS 5000

/* The generated structs want char *, and change nothing. */
static char *words_of(const char *words)
{
	return (char *)(uintptr_t)words;
}

static ProtobufCBinaryData bytes_of(const char *words)
{
	return (ProtobufCBinaryData){strlen(words), (uint8_t *)(uintptr_t)words};
}

static void put_limits(const Berm__Wire__Agent *agent, struct text *out)
{
	text_printf(out, "runs %llu per hour, %llu at once, retries %llu, cooldown %llu ms",
		(unsigned long long)agent->runs_per_hour, (unsigned long long)agent->running_max,
		(unsigned long long)agent->retries, (unsigned long long)agent->cooldown_ms);
	for (size_t i = 0; i < agent->n_budgets; i++)
		text_printf(out, ", %s %llu per %s",
			effect_counter_name(agent->budgets[i]->counter),
			(unsigned long long)agent->budgets[i]->limit,
			agent_window_name(agent->budgets[i]->window));
	for (size_t i = 0; i < agent->n_may_start; i++)
		text_printf(out, ", started by %s %u",
			agent->may_start[i]->group ? "group" : "user", agent->may_start[i]->id);
}

int agent_record(const char *state, const char *what, const Berm__Wire__Agent *agent,
	const char *former, struct error *err)
{
	Berm__Wire__AgentChange change = BERM__WIRE__AGENT_CHANGE__INIT;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	const Berm__Wire__Record *records[] = {&record};
	autotext struct text limits = {0};
	struct caller caller;

	caller_identify(&caller);
	put_limits(agent, &limits);
	if (limits.failed)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	change.operation = words_of(what);
	change.name = agent->name;
	change.former_name = words_of(former);
	change.role = agent->role;
	change.accountable_human = agent->accountable_human;
	change.has_profile = true;
	change.profile = bytes_of(agent->profile);
	change.has_tier = true;
	change.tier = agent->tier;
	change.limits = words_of(text_string(&limits));
	if (agent->retired)
		change.reason = agent->retired_reason;
	change.has_by_uid = true;
	change.by_uid = caller.uid;
	if (caller.name[0])
		change.by = caller.name;
	record.body_case = BERM__WIRE__RECORD__BODY_AGENT_CHANGE;
	record.agent_change = &change;
	return act_record(&(struct act){.state = state,
				  .agent = agent->id,
				  .group = agent->group[0] ? agent->group : NULL,
				  .records = records,
				  .count = 1},
		PATIENCE_MS, err);
}
