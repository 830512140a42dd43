/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/agent.h"

#include "base/path.h"
#include "base/text.h"

#include <string.h>

#define HOUR_MS 3600000ULL

/* MASO's tiers as far as a supervisor of processes can hold them: EC-1.1, EC-2.3, EC-2.4, ENV-14,
 * the fail postures, SESS-01 and DEL-03. The rates (EC-1.3, EC-1.5a, EC-1.10) are the same in all
 * of them, but that processes are counted only where a run is metered in any case. */
/* clang-format off */
static const struct agent_tier tiers[] = {
	{.name = "supervised", .read_only = true},
	{.name = "managed", .wants_caps = true, .wants_breaker = true,
	 .cooldown_ms = 60000, .time_box_ms = 4 * HOUR_MS, .starts_max = 10000, .delegations = 2},
	{.name = "autonomous", .wants_caps = true, .wants_breaker = true, .never_degraded = true,
	 .cooldown_ms = 60000, .time_box_ms = HOUR_MS / 2, .starts_max = 10000, .delegations = 3},
};
/* clang-format on */

const struct agent_tier *agent_tier(unsigned tier)
{
	return &tiers[tier >= 1 && tier <= array_size(tiers) ? tier - 1 : 0];
}

uint64_t agent_cooldown_ms(const Berm__Wire__Agent *agent)
{
	uint64_t least = agent_tier(agent->tier)->cooldown_ms;

	return agent->cooldown_ms > least ? agent->cooldown_ms : least;
}

uint64_t agent_processes(const Berm__Wire__Agent *agent)
{
	return agent->processes_max ? agent->processes_max : AGENT_PROCESSES;
}

uint64_t agent_starts(const Berm__Wire__Agent *agent)
{
	return agent->starts_max ? agent->starts_max : agent_tier(agent->tier)->starts_max;
}

uint64_t agent_time_box_ms(const Berm__Wire__Agent *agent)
{
	uint64_t most = agent_tier(agent->tier)->time_box_ms;

	return agent->time_box_ms && (!most || agent->time_box_ms < most) ? agent->time_box_ms
									  : most;
}

bool agent_name_is_good(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t length = strlen(name);

	return length > 0 && length <= AGENT_NAME_MAX && strspn(name, letters) == length &&
	       name[0] != '-' && name[0] != '_';
}

bool agent_words_are_good(const char *words)
{
	size_t length = strlen(words);

	return length <= AGENT_WORDS_MAX && words[strspn(words, " ")] != '\0' &&
	       text_is_one_line(words, length);
}

bool agent_id_is_good(const char *id)
{
	return strlen(id) == AGENT_ID_BYTES &&
	       strspn(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == AGENT_ID_BYTES;
}

static bool moment_is_good(const Berm__Wire__AgentMoment *moment)
{
	return moment && moment->boot_id.len == AGENT_BOOT_ID_BYTES;
}

static bool slots_are_good(Berm__Wire__AgentSlot *const *slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!moment_is_good(slots[i]->first) || !moment_is_good(slots[i]->last) ||
			slots[i]->n_amounts > COUNTER_COUNT)
			return false;
	return true;
}

static bool task_is_good(const char *task)
{
	return !task[0] || agent_name_is_good(task);
}

static bool runs_are_good(const Berm__Wire__Agent *agent)
{
	if (agent->n_runs > AGENT_RUNNING_MAX)
		return false;
	for (size_t i = 0; i < agent->n_runs; i++) {
		const Berm__Wire__AgentRun *run = agent->runs[i];

		if (!agent_id_is_good(run->run) || !moment_is_good(run->since) ||
			run->n_reserved > COUNTER_COUNT || run->mark > INT64_MAX ||
			run->call.len != AGENT_CALL_BYTES || !task_is_good(run->task))
			return false;
	}
	return true;
}

static bool failures_are_good(const Berm__Wire__Agent *agent)
{
	if (agent->n_failures > AGENT_FAILURES_MAX)
		return false;
	for (size_t i = 0; i < agent->n_failures; i++)
		if (agent->failures[i]->call.len != AGENT_CALL_BYTES ||
			!task_is_good(agent->failures[i]->task) ||
			!moment_is_good(agent->failures[i]->last))
			return false;
	return true;
}

static bool lost_are_good(const Berm__Wire__Agent *agent)
{
	if (agent->n_lost > AGENT_LOST_MAX)
		return false;
	for (size_t i = 0; i < agent->n_lost; i++)
		if (!agent_id_is_good(agent->lost[i]->run) ||
			!moment_is_good(agent->lost[i]->moment) ||
			agent->lost[i]->n_amounts != COUNTER_COUNT)
			return false;
	return true;
}

bool agent_receipt_is_good(const Berm__Wire__AgentReceipt *receipt)
{
	return receipt->version == AGENT_VERSION && agent_id_is_good(receipt->run) &&
	       agent_id_is_good(receipt->agent) &&
	       (!receipt->begun || moment_is_good(receipt->begun)) &&
	       receipt->n_done == (receipt->ended ? COUNTER_COUNT : 0);
}

static const char *wrong_budget(const Berm__Wire__Agent *agent)
{
	if (agent->n_budgets > AGENT_BUDGETS_MAX)
		return "it has too many budgets";
	for (size_t i = 0; i < agent->n_budgets; i++) {
		const Berm__Wire__AgentBudget *b = agent->budgets[i];

		if (b->counter >= COUNTER_COUNT || b->window >= AGENT_WINDOW_COUNT ||
			b->limit == AGENT_UNLIMITED)
			return "a budget is none";
		for (size_t n = 0; n < i; n++)
			if (agent->budgets[n]->counter == b->counter &&
				agent->budgets[n]->window == b->window)
				return "a budget is there twice";
	}
	return NULL;
}

static const char *wrong_delegates(const Berm__Wire__Agent *agent)
{
	if (agent->n_delegate_to > AGENT_DELEGATES_MAX)
		return "it may delegate to at most 64 agents";
	/* Of one that was put into a lower tier the list may stay: it means nothing there. */
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		if (!agent_id_is_good(agent->delegate_to[i]))
			return "whom it may delegate to is no agent";
	return NULL;
}

/* What a person chose. */
static const char *wrong_choice(const Berm__Wire__Agent *agent)
{
	if (!agent_name_is_good(agent->name))
		return "its name is 1 to 64 of a-z, 0-9, \"_\" and \"-\", and begins with a letter "
		       "or digit";
	if (agent->next_name[0] && !agent_name_is_good(agent->next_name))
		return "its next name is none";
	if (agent->group[0] && !agent_name_is_good(agent->group))
		return "its group's name is 1 to 64 of a-z, 0-9, \"_\" and \"-\", and begins with "
		       "a letter or digit";
	if (!agent_words_are_good(agent->role))
		return "a role is mandatory: one line of at most 200 bytes";
	if (!agent_words_are_good(agent->accountable_human))
		return "an accountable human is mandatory: one line of at most 200 bytes";
	if (!path_is_normal(agent->profile))
		return "its profile is no whole path";
	if (agent->directory[0] && !path_is_normal(agent->directory))
		return "its directory is no whole path";
	if (agent->tier < 1 || agent->tier > array_size(tiers))
		return "its tier is 1, 2 or 3";
	if (agent->n_may_start > AGENT_STARTERS_MAX)
		return "too many may start it";
	if (agent->running_max > AGENT_RUNNING_MAX)
		return "at most 1024 runs of one agent last at once";
	if (wrong_delegates(agent))
		return wrong_delegates(agent);
	return wrong_budget(agent);
}

/* What berm itself wrote. */
static const char *wrong_state(const Berm__Wire__Agent *agent)
{
	if (agent->version != AGENT_VERSION)
		return "its version is another one";
	if (!agent_id_is_good(agent->id) || !moment_is_good(agent->created) ||
		(agent->joined && !moment_is_good(agent->joined)))
		return "it has no id or no beginning";
	if (agent->retired &&
		(!moment_is_good(agent->retired) || !agent_words_are_good(agent->retired_reason)))
		return "it was retired without a reason";
	if (!slots_are_good(agent->hour, agent->n_hour) ||
		!slots_are_good(agent->day, agent->n_day) || agent->n_lifetime > COUNTER_COUNT ||
		!runs_are_good(agent) || !failures_are_good(agent) || !lost_are_good(agent))
		return "what it used up cannot be read";
	return NULL;
}

int agent_check(const Berm__Wire__Agent *agent, struct error *err)
{
	const char *wrong = wrong_choice(agent);

	if (!wrong)
		wrong = wrong_state(agent);
	return wrong ? error_set(err, -EINVAL, ERROR_INPUT, "no such agent can be: %s", wrong) : 0;
}

static void drop_budget(Berm__Wire__Agent *agent, size_t index)
{
	berm__wire__agent_budget__free_unpacked(agent->budgets[index], NULL);
	agent->n_budgets--;
	memmove(agent->budgets + index, agent->budgets + index + 1,
		(agent->n_budgets - index) * sizeof(*agent->budgets));
}

int agent_set_budget(
	Berm__Wire__Agent *agent, unsigned counter, enum agent_window window, uint64_t limit)
{
	Berm__Wire__AgentBudget **grown, *budget;

	for (size_t i = 0; i < agent->n_budgets; i++) {
		if (agent->budgets[i]->counter != counter || agent->budgets[i]->window != window)
			continue;
		if (limit == AGENT_UNLIMITED)
			drop_budget(agent, i);
		else
			agent->budgets[i]->limit = limit;
		return 0;
	}
	if (limit == AGENT_UNLIMITED)
		return 0;
	grown = realloc(agent->budgets, (agent->n_budgets + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	agent->budgets = grown;
	budget = malloc(sizeof(*budget));
	if (!budget)
		return -ENOMEM;
	berm__wire__agent_budget__init(budget);
	budget->counter = counter;
	budget->window = window;
	budget->limit = limit;
	grown[agent->n_budgets++] = budget;
	return 0;
}
