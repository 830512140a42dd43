/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent.h"

#include "apply/caller.h"
#include "base/log.h"
#include "base/number.h"
#include "daemon/agent-lost.h"
#include "daemon/agent-record.h"
#include "daemon/places.h"

#include <string.h>
#include <time.h>

#define WORDS_BYTES 400

int agent_open(const struct agent_common *options, struct agents *ret_agents, struct error *err)
{
	const struct places_request request = {.state_dir = options->state_dir};
	struct places places = {0};
	struct caller caller;
	int r;

	caller_identify(&caller);
	r = places_find(&caller, &request, &places, err);
	if (r < 0)
		return r;
	r = places.state ? agents_open(places.state, ret_agents, err)
			 : error_set(err, -ENOENT, ERROR_INTERNAL,
				   "no state directory is known, since there is no home directory");
	places_finish(&places);
	return r;
}

static void put(struct text *out, const char *name, const char *words)
{
	text_printf(out, "%-18s ", name);
	text_escape(out, words, strlen(words), WORDS_BYTES);
	text_puts(out, "\n");
}

static void put_number(struct text *out, const char *name, uint64_t value)
{
	text_printf(out, "%-18s %llu\n", name, (unsigned long long)value);
}

static void put_time(struct text *out, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char words[40] = "?";
	struct tm t;

	if (gmtime_r(&seconds, &t))
		strftime(words, sizeof(words), "%Y-%m-%dT%H:%M:%SZ", &t);
	text_puts(out, words);
}

static void put_starters(const Berm__Wire__Agent *agent, struct text *out)
{
	text_printf(out, "%-18s its operator", "may start it");
	for (size_t i = 0; i < agent->n_may_start; i++)
		text_printf(out, ", %s %u", agent->may_start[i]->group ? "group" : "user",
			agent->may_start[i]->id);
	text_puts(out, "\n");
}

/* Ids, since a name may be another agent's by now; "berm agent show ID" says whose. */
static void put_delegates(const Berm__Wire__Agent *agent, struct text *out)
{
	text_printf(out, "%-18s %s", "delegates to", agent->n_delegate_to ? "" : "nobody");
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		text_printf(out, "%s%s", i ? ", " : "", agent->delegate_to[i]);
	text_puts(out, "\n");
}

static void put_budgets(
	const Berm__Wire__Agent *agent, const struct agent_now *now, struct text *out)
{
	if (!agent->n_budgets)
		text_puts(out, "budgets            none\n");
	for (size_t i = 0; i < agent->n_budgets; i++) {
		const Berm__Wire__AgentBudget *b = agent->budgets[i];

		text_printf(out, "%-18s %s %llu of %llu per %s\n", i ? "" : "budgets",
			effect_counter_name(b->counter),
			(unsigned long long)agent_used(
				agent, (enum agent_window)b->window, b->counter, now),
			(unsigned long long)b->limit, agent_window_name(b->window));
	}
}

static bool is_running(const Berm__Wire__AgentRun *run, const struct agent_view *view)
{
	return view->marks_fd < 0 || agent_mark_is_held(view->marks_fd, run->mark);
}

size_t agent_running(const Berm__Wire__Agent *agent, const struct agent_view *view)
{
	size_t count = 0;

	for (size_t i = 0; i < agent->n_runs; i++)
		count += is_running(agent->runs[i], view);
	return count;
}

static void put_runs(
	const Berm__Wire__Agent *agent, const struct agent_view *view, struct text *out)
{
	for (size_t i = 0; i < agent->n_runs; i++) {
		const Berm__Wire__AgentRun *run = agent->runs[i];

		text_printf(out, "%-18s %s", is_running(run, view) ? "running" : "over, not told",
			run->run);
		if (run->task[0])
			text_printf(out, " task %s", run->task);
		text_printf(out, " started by %u at ", run->uid);
		put_time(out, run->since->wall_ms);
		text_puts(out, "\n");
	}
	for (size_t i = 0; i < agent->n_lost; i++) {
		const Berm__Wire__AgentLost *lost = agent->lost[i];

		text_printf(out, "%-18s %s over at ", "lost", lost->run);
		put_time(out, lost->moment->wall_ms);
		text_puts(out, ", counts as");
		for (unsigned c = 0; c < lost->n_amounts; c++)
			if (lost->amounts[c])
				text_printf(out, " %s %llu", effect_counter_name(c),
					(unsigned long long)lost->amounts[c]);
		text_puts(out, "\n");
	}
}

void agent_put(const Berm__Wire__Agent *agent, const struct agent_view *view, struct text *out)
{
	const struct agent_now *now = &view->now;
	char buffer[32];

	put(out, "agent", agent->name);
	put(out, "id", agent->id);
	put(out, "role", agent->role);
	put(out, "accountable human", agent->accountable_human);
	put(out, "profile", agent->profile);
	put(out, "directory", agent->directory[0] ? agent->directory : "where its operator is");
	text_printf(out, "%-18s %u (%s)\n", "tier", agent->tier, agent_tier(agent->tier)->name);
	put(out, "group", agent->group[0] ? agent->group : "none");
	put_starters(agent, out);
	put_delegates(agent, out);
	text_printf(out, "%-18s %llu of %llu within an hour, %llu in all\n", "runs",
		(unsigned long long)agent_runs(agent, now),
		(unsigned long long)agent->runs_per_hour, (unsigned long long)agent->runs_total);
	put_number(out, "runs at once", agent->running_max);
	put_number(out, "processes at once", agent_processes(agent));
	if (agent_starts(agent))
		put_number(out, "processes started", agent_starts(agent));
	put_number(out, "retries", agent->retries);
	put(out, "cooldown",
		number_format_duration(agent_cooldown_ms(agent), buffer, sizeof(buffer)));
	if (agent_time_box_ms(agent))
		put(out, "time box",
			number_format_duration(agent_time_box_ms(agent), buffer, sizeof(buffer)));
	put(out, "task", agent->task_required ? "each run has to name one" : "optional");
	put_budgets(agent, now, out);
	put_runs(agent, view, out);
	text_printf(out, "%-18s ", "created");
	put_time(out, agent->created->wall_ms);
	text_puts(out, "\n");
	if (agent->retired) {
		text_printf(out, "%-18s ", "retired");
		put_time(out, agent->retired->wall_ms);
		text_puts(out, ": ");
		text_escape(out, agent->retired_reason, strlen(agent->retired_reason), WORDS_BYTES);
		text_puts(out, "\n");
	}
}

static void json_budgets(
	const Berm__Wire__Agent *agent, const struct agent_now *now, struct json *j)
{
	json_array_begin(j, "budgets");
	for (size_t i = 0; i < agent->n_budgets; i++) {
		const Berm__Wire__AgentBudget *b = agent->budgets[i];

		json_object_begin(j, NULL);
		json_put_string(j, "counter", effect_counter_name(b->counter));
		json_put_string(j, "window", agent_window_name(b->window));
		json_put_u64(j, "limit", b->limit);
		json_put_u64(j, "used",
			agent_used(agent, (enum agent_window)b->window, b->counter, now));
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_runs(const Berm__Wire__Agent *agent, const struct agent_view *view, struct json *j)
{
	json_array_begin(j, "running");
	for (size_t i = 0; i < agent->n_runs; i++) {
		const Berm__Wire__AgentRun *run = agent->runs[i];

		json_object_begin(j, NULL);
		json_put_string(j, "run", run->run);
		json_put_string(j, "task", run->task[0] ? run->task : NULL);
		json_put_u64(j, "uid", run->uid);
		json_put_u64(j, "since_ms", run->since->wall_ms);
		json_put_bool(j, "lasts", is_running(run, view));
		json_object_begin(j, "reserved");
		for (unsigned c = 0; c < run->n_reserved; c++)
			if (run->reserved[c])
				json_put_u64(j, effect_counter_name(c), run->reserved[c]);
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_lost(const Berm__Wire__Agent *agent, struct json *j)
{
	json_array_begin(j, "lost");
	for (size_t i = 0; i < agent->n_lost; i++) {
		const Berm__Wire__AgentLost *lost = agent->lost[i];

		json_object_begin(j, NULL);
		json_put_string(j, "run", lost->run);
		json_put_u64(j, "over_ms", lost->moment->wall_ms);
		json_object_begin(j, "counts_as");
		for (unsigned c = 0; c < lost->n_amounts; c++)
			if (lost->amounts[c])
				json_put_u64(j, effect_counter_name(c), lost->amounts[c]);
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_starters(const Berm__Wire__Agent *agent, struct json *j)
{
	json_array_begin(j, "may_start");
	for (size_t i = 0; i < agent->n_may_start; i++) {
		json_object_begin(j, NULL);
		json_put_u64(
			j, agent->may_start[i]->group ? "gid" : "uid", agent->may_start[i]->id);
		json_object_end(j);
	}
	json_array_end(j);
}

static const char *or_null(const char *words)
{
	return words[0] ? words : NULL;
}

void agent_json(const Berm__Wire__Agent *agent, const struct agent_view *view, struct json *j)
{
	const struct agent_now *now = &view->now;

	json_put_string(j, "name", agent->name);
	json_put_string(j, "id", agent->id);
	json_put_string(j, "role", agent->role);
	json_put_string(j, "accountable_human", agent->accountable_human);
	json_put_string(j, "profile", agent->profile);
	json_put_string(j, "directory", or_null(agent->directory));
	json_put_u64(j, "tier", agent->tier);
	json_put_string(j, "group", or_null(agent->group));
	json_starters(agent, j);
	json_array_begin(j, "delegate_to");
	for (size_t i = 0; i < agent->n_delegate_to; i++)
		json_put_string(j, NULL, agent->delegate_to[i]);
	json_array_end(j);
	json_put_u64(j, "runs_per_hour", agent->runs_per_hour);
	json_put_u64(j, "runs_within_hour", agent_runs(agent, now));
	json_put_u64(j, "runs_total", agent->runs_total);
	json_put_u64(j, "running_max", agent->running_max);
	json_put_u64(j, "processes_max", agent_processes(agent));
	if (agent_starts(agent))
		json_put_u64(j, "starts_max", agent_starts(agent));
	else
		json_put_null(j, "starts_max");
	json_put_u64(j, "retries", agent->retries);
	json_put_u64(j, "cooldown_ms", agent_cooldown_ms(agent));
	if (agent_time_box_ms(agent))
		json_put_u64(j, "time_box_ms", agent_time_box_ms(agent));
	else
		json_put_null(j, "time_box_ms");
	json_put_bool(j, "task_required", agent->task_required);
	json_budgets(agent, now, j);
	json_object_begin(j, "lifetime");
	for (unsigned i = 0; i < COUNTER_COUNT && agent->runs_total; i++)
		json_put_u64(j, effect_counter_name(i), agent_lifetime(agent, i));
	json_object_end(j);
	json_runs(agent, view, j);
	json_lost(agent, j);
	json_put_u64(j, "created_ms", agent->created->wall_ms);
	if (agent->retired)
		json_put_u64(j, "retired_ms", agent->retired->wall_ms);
	else
		json_put_null(j, "retired_ms");
	json_put_string(j, "retired_reason", or_null(agent->retired_reason));
}

Berm__Wire__Agent *agent_copy(const Berm__Wire__Agent *agent)
{
	size_t length = berm__wire__agent__get_packed_size(agent);
	autofree uint8_t *bytes = malloc(length + 1);

	if (!bytes)
		return NULL;
	berm__wire__agent__pack(agent, bytes);
	return berm__wire__agent__unpack(NULL, length, bytes);
}

int agent_print(const struct agent_common *options, Berm__Wire__Agent *agent, int marks_fd)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct agent_view view = {.marks_fd = marks_fd};
	struct error ignored = {0};

	(void)!agents_now(&view.now, &ignored);
	if (options->json) {
		json_object_begin(&j, NULL);
		agent_json(agent, &view, &j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		agent_put(agent, &view, &out);
	}
	agent_free(&agent);
	return verb_print(&out, CLI_GOOD);
}

int agent_changed(const struct verb *verb, const struct agent_common *options,
	const struct agent_change *change)
{
	struct error err = {0};
	const struct agent_deed deed = {
		change->what, change->before, change->agent, change->reason};
	int recorded = agent_record(change->state, &deed, &err);
	Berm__Wire__Agent *before = change->before;
	int code = agent_print(options, change->agent, -1);

	free(change->state);
	agent_free(&before);
	if (recorded == 0)
		return code;
	log_line("%s: it is done, and not recorded: %s", verb->name, err.text);
	return CLI_HOST_CANNOT;
}

static const struct verb *const children[] = {&verb_agent_add, &verb_agent_set, &verb_agent_list,
	&verb_agent_show, &verb_agent_retire, &verb_agent_settle, NULL};

const struct verb verb_agent = {
	.name = "agent",
	.summary = "Register agents, and see what they used up",
	.children = children,
};
