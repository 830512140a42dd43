/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-record.h"

#include "apply/caller.h"
#include "base/text.h"
#include "daemon/act.h"
#include "govern/agent.h"

#include <limits.h>
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

/* ---- what an agent is, field by field ---- */

static void put_role(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->role);
}

static void put_human(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->accountable_human);
}

/* Paths may hold any byte, and a field of a record is words. */
static void put_profile(const Berm__Wire__Agent *agent, struct text *out)
{
	text_escape(out, agent->profile, strlen(agent->profile), PATH_MAX);
}

static void put_directory(const Berm__Wire__Agent *agent, struct text *out)
{
	text_escape(out, agent->directory, strlen(agent->directory), PATH_MAX);
}

static void put_name(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->name);
}

static void put_tier(const Berm__Wire__Agent *agent, struct text *out)
{
	text_printf(out, "%u", agent->tier);
}

static void put_group(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->group);
}

static void put_starters(const Berm__Wire__Agent *agent, struct text *out)
{
	for (size_t i = 0; i < agent->n_may_start; i++)
		text_printf(out, "%s%s %u", i ? ", " : "",
			agent->may_start[i]->group ? "group" : "user", agent->may_start[i]->id);
}

static void put_delegates(const Berm__Wire__Agent *agent, struct text *out)
{
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		text_printf(out, "%s%s", i ? ", " : "", agent->delegate_to[i]);
}

static void put_budgets(const Berm__Wire__Agent *agent, struct text *out)
{
	for (size_t i = 0; i < agent->n_budgets; i++)
		text_printf(out, "%s%s %llu per %s", i ? ", " : "",
			effect_counter_name(agent->budgets[i]->counter),
			(unsigned long long)agent->budgets[i]->limit,
			agent_window_name(agent->budgets[i]->window));
}

static void put_number(uint64_t value, struct text *out)
{
	text_printf(out, "%llu", (unsigned long long)value);
}

static void put_runs_per_hour(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent->runs_per_hour, out);
}

static void put_running(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent->running_max, out);
}

static void put_processes(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent_processes(agent), out);
}

static void put_starts(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent_starts(agent), out);
}

static void put_retries(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent->retries, out);
}

static void put_cooldown(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent->cooldown_ms, out);
}

static void put_time_box(const Berm__Wire__Agent *agent, struct text *out)
{
	put_number(agent_time_box_ms(agent), out);
}

static void put_task(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->task_required ? "true" : "false");
}

static void put_retired(const Berm__Wire__Agent *agent, struct text *out)
{
	text_puts(out, agent->retired ? "true" : "false");
}

static void put_lost(const Berm__Wire__Agent *agent, struct text *out)
{
	for (size_t i = 0; i < agent->n_lost; i++) {
		text_printf(out, "%s%s", i ? ", " : "", agent->lost[i]->run);
		for (unsigned c = 0; c < agent->lost[i]->n_amounts; c++)
			if (agent->lost[i]->amounts[c])
				text_printf(out, " %s %llu", effect_counter_name(c),
					(unsigned long long)agent->lost[i]->amounts[c]);
	}
}

static const struct {
	const char *name;
	void (*put)(const Berm__Wire__Agent *agent, struct text *out);
} fields[] = {
	{"name", put_name},
	{"role", put_role},
	{"accountable_human", put_human},
	{"profile", put_profile},
	{"directory", put_directory},
	{"tier", put_tier},
	{"group", put_group},
	{"may_start", put_starters},
	{"delegate_to", put_delegates},
	{"budgets", put_budgets},
	{"runs_per_hour", put_runs_per_hour},
	{"running_max", put_running},
	{"processes_max", put_processes},
	{"starts_max", put_starts},
	{"retries", put_retries},
	{"cooldown_ms", put_cooldown},
	{"time_box_ms", put_time_box},
	{"task_required", put_task},
	{"retired", put_retired},
	{"lost", put_lost},
};

/* One side of a field: NULL where it is empty, or on -ENOMEM in *ret_failed. */
static char *words_of_field(const Berm__Wire__Agent *agent, size_t index, bool *ret_failed)
{
	autotext struct text words = {0};
	char *copy;

	if (agent)
		fields[index].put(agent, &words);
	*ret_failed |= words.failed;
	if (words.failed || !words.length)
		return NULL;
	copy = strdup(text_string(&words));
	*ret_failed |= !copy;
	return copy;
}

static bool differ(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

struct changed {
	Berm__Wire__ChangedField items[array_size(fields)];
	Berm__Wire__ChangedField *pointers[array_size(fields)];
	size_t count;
};

static void changed_finish(struct changed *changed)
{
	for (size_t i = 0; i < changed->count; i++) {
		free(changed->items[i].before);
		free(changed->items[i].after);
	}
}

static int find_changed(const struct agent_deed *deed, struct changed *ret_changed)
{
	bool failed = false;

	for (size_t i = 0; i < array_size(fields); i++) {
		Berm__Wire__ChangedField *field = &ret_changed->items[ret_changed->count];
		char *before = words_of_field(deed->before, i, &failed);
		char *after = words_of_field(deed->after, i, &failed);

		if (!differ(before, after)) {
			free(before);
			free(after);
			continue;
		}
		berm__wire__changed_field__init(field);
		field->name = words_of(fields[i].name);
		field->before = before;
		field->after = after;
		ret_changed->pointers[ret_changed->count++] = field;
	}
	return failed ? -ENOMEM : 0;
}

/* ---- the record ---- */

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

int agent_record(const char *state, const struct agent_deed *deed, struct error *err)
{
	__attribute__((cleanup(changed_finish))) struct changed changed = {.count = 0};
	const Berm__Wire__Agent *agent = deed->after;
	Berm__Wire__AgentChange change;
	Berm__Wire__Record record;
	const Berm__Wire__Record *records[] = {&record};
	autotext struct text limits = {0};
	struct caller caller;

	berm__wire__agent_change__init(&change);
	berm__wire__record__init(&record);
	caller_identify(&caller);
	put_limits(agent, &limits);
	if (limits.failed || find_changed(deed, &changed) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	change.operation = words_of(deed->what);
	change.name = agent->name;
	if (deed->before && strcmp(deed->before->name, agent->name) != 0)
		change.former_name = deed->before->name;
	change.role = agent->role;
	change.accountable_human = agent->accountable_human;
	change.has_profile = true;
	change.profile = bytes_of(agent->profile);
	change.has_tier = true;
	change.tier = agent->tier;
	change.limits = words_of(text_string(&limits));
	change.reason = words_of(deed->reason);
	change.n_changed = changed.count;
	change.changed = changed.pointers;
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
