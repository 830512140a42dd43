/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/admission.h"

#include "base/number.h"

#include <string.h>

#define DAY_MS (24 * 3600000ULL)
#define WORDS sizeof(((struct admission *)0)->words)

const char *admission_rule_name(enum admission_rule rule)
{
	static const char *const names[ADMISSION_RULE_COUNT] = {
		[ADMISSION_YES] = "admitted",
		[ADMISSION_NOT_YOURS] = "may_start",
		[ADMISSION_RETIRED] = "retired",
		[ADMISSION_GROUP] = "group",
		[ADMISSION_RUNNING] = "running",
		[ADMISSION_RATE] = "runs_per_hour",
		[ADMISSION_TASK] = "task",
		[ADMISSION_RETRIES] = "retries",
		[ADMISSION_COOLDOWN] = "cooldown",
		[ADMISSION_BUDGET] = "budget",
	};

	return rule < ADMISSION_RULE_COUNT ? names[rule] : "";
}

void admission_of_phase(const struct pace_effects *effects, struct admission_group *ret_group)
{
	bool none = effects->read_only ||
		    (effects->posture_staged & POSTURE_NO_WRITE) == POSTURE_NO_WRITE;

	*ret_group = (struct admission_group){.no_start = !effects->may_start,
		.read_only = none,
		.stage_writes =
			!none && (effects->approve_writes ||
					 (effects->posture & POSTURE_NO_WRITE) == POSTURE_NO_WRITE),
		.approval = effects->approve_runs,
		.halved = effects->thresholds_halved,
		.why = effects->why};
}

/* What all rules look at. */
struct question {
	const Berm__Wire__Agent *agent;
	const struct admission_group *group;
	const struct admission_request *request;
	const struct agent_now *now;
	struct admission *answer;
};

static bool no(const struct question *q, enum admission_rule rule, uint64_t wait_ms)
{
	q->answer->rule = rule;
	q->answer->wait_ms = wait_ms;
	return false;
}

/* "again in 5m", rounded up to what people count in. */
static void put_wait(char *words, uint64_t wait_ms)
{
	uint64_t unit = wait_ms > 2 * 3600000ULL ? 3600000 : wait_ms > 120000 ? 60000 : 1000;
	size_t length = strlen(words);
	char buffer[32];

	if (wait_ms == AGENT_UNLIMITED || wait_ms > UINT64_MAX - unit)
		return;
	snprintf(words + length, WORDS - length, "; try again in %s",
		number_format_duration((wait_ms + unit - 1) / unit * unit, buffer, sizeof(buffer)));
}

bool admission_is_starter(const Berm__Wire__Agent *agent, uint32_t uid, uint32_t gid)
{
	for (size_t i = 0; i < agent->n_may_start; i++) {
		const Berm__Wire__AgentStarter *s = agent->may_start[i];

		if (s->id == (s->group ? gid : uid))
			return true;
	}
	return false;
}

static bool may_start(const struct question *q)
{
	const Berm__Wire__Agent *agent = q->agent;

	if (q->request->is_operator ||
		admission_is_starter(agent, q->request->uid, q->request->gid))
		return true;
	snprintf(q->answer->words, WORDS,
		"the agent %s is not to be started by user %u (may_start)", agent->name,
		(unsigned)q->request->uid);
	return no(q, ADMISSION_NOT_YOURS, AGENT_UNLIMITED);
}

static bool is_in_service(const struct question *q)
{
	if (!q->agent->retired)
		return true;
	snprintf(q->answer->words, WORDS, "the agent %s was retired: %s", q->agent->name,
		q->agent->retired_reason);
	return no(q, ADMISSION_RETIRED, AGENT_UNLIMITED);
}

static bool group_lets(const struct question *q)
{
	const struct admission_group *group = q->group;
	const char *why = group->why ? group->why : "its phase says so";

	if (group->no_start) {
		snprintf(q->answer->words, WORDS,
			"the group %s lets the agent %s start nothing: %s", q->agent->group,
			q->agent->name, why);
		return no(q, ADMISSION_GROUP, AGENT_UNLIMITED);
	}
	if (group->approval)
		q->answer->approval = why;
	return true;
}

static bool has_room(const struct question *q)
{
	uint64_t most = q->agent->running_max ? q->agent->running_max : AGENT_RUNNING_MAX;

	if (q->agent->n_runs < most)
		return true;
	snprintf(q->answer->words, WORDS, "%zu runs of the agent %s last already (running: %llu)",
		q->agent->n_runs, q->agent->name, (unsigned long long)most);
	return no(q, ADMISSION_RUNNING, AGENT_UNLIMITED);
}

static bool is_slow_enough(const struct question *q)
{
	uint64_t runs = agent_runs(q->agent, q->now), wait;

	if (q->request->counted && runs)
		runs--;
	if (runs < q->agent->runs_per_hour)
		return true;
	wait = agent_wait_ms(q->agent, AGENT_HOUR, COUNTER_COUNT, q->now);
	snprintf(q->answer->words, WORDS,
		"the agent %s was started %llu times within an hour (runs_per_hour: %llu)",
		q->agent->name, (unsigned long long)runs,
		(unsigned long long)q->agent->runs_per_hour);
	put_wait(q->answer->words, wait);
	return no(q, ADMISSION_RATE, wait);
}

/* ---- the same call again ---- */

static bool is_call(const char *task, const ProtobufCBinaryData *call, const char *other_task,
	const uint8_t *other_call)
{
	return call->len == AGENT_CALL_BYTES && memcmp(call->data, other_call, call->len) == 0 &&
	       strcmp(task, other_task) == 0;
}

static const Berm__Wire__AgentFailure *failure_of(const struct question *q)
{
	for (size_t i = 0; i < q->agent->n_failures; i++) {
		const Berm__Wire__AgentFailure *f = q->agent->failures[i];

		if (agent_age_ms(f->last, q->now) < DAY_MS &&
			is_call(f->task, &f->call, q->request->task, q->request->call))
			return f;
	}
	return NULL;
}

/* How long ago the call failed last, in whatever task: who starts it chooses the task's name. */
static uint64_t failed_ms_ago(const struct question *q)
{
	uint64_t least = AGENT_UNLIMITED;

	for (size_t i = 0; i < q->agent->n_failures; i++) {
		const Berm__Wire__AgentFailure *f = q->agent->failures[i];
		uint64_t age = agent_age_ms(f->last, q->now);

		if (age < least && is_call(f->task, &f->call, f->task, q->request->call))
			least = age;
	}
	return least;
}

/* Runs of the same call that last: they may fail as well. */
static uint64_t count_same(const struct question *q)
{
	uint64_t count = 0;

	for (size_t i = 0; i < q->agent->n_runs; i++)
		count += is_call(q->agent->runs[i]->task, &q->agent->runs[i]->call,
			q->request->task, q->request->call);
	return count;
}

/* *ret_wait_ms: until the first of them is forgotten. */
static uint64_t failed_in_task(const struct question *q, uint64_t *ret_wait_ms)
{
	uint64_t count = 0;

	*ret_wait_ms = AGENT_UNLIMITED;
	for (size_t i = 0; i < q->agent->n_failures; i++) {
		const Berm__Wire__AgentFailure *f = q->agent->failures[i];
		uint64_t age = agent_age_ms(f->last, q->now);

		if (age >= DAY_MS || strcmp(f->task, q->request->task) != 0)
			continue;
		count += f->count;
		if (DAY_MS - age < *ret_wait_ms)
			*ret_wait_ms = DAY_MS - age;
	}
	return count;
}

static bool may_try_again(const struct question *q)
{
	const Berm__Wire__AgentFailure *failure = failure_of(q);
	uint64_t cooldown = agent_cooldown_ms(q->agent), ago = failed_ms_ago(q);
	uint64_t failed = failure ? failure->count : 0, wait;

	if (!q->request->task[0] && q->agent->task_required) {
		snprintf(q->answer->words, WORDS, "a run of the agent %s has to name its task",
			q->agent->name);
		return no(q, ADMISSION_TASK, AGENT_UNLIMITED);
	}
	/* Without a task nobody knows whether it is a retry or another attempt at something else.
	 */
	if (q->request->task[0] && failed + count_same(q) > q->agent->retries) {
		wait = failure ? DAY_MS - agent_age_ms(failure->last, q->now) : AGENT_UNLIMITED;
		snprintf(q->answer->words, WORDS,
			"this command failed %llu times in the task %s, and %llu runs of it last "
			"(retries: %llu)",
			(unsigned long long)failed, q->request->task,
			(unsigned long long)count_same(q), (unsigned long long)q->agent->retries);
		put_wait(q->answer->words, wait);
		return no(q, ADMISSION_RETRIES, wait);
	}
	/* One word more makes another command of it, and the task fails all the same. */
	if (q->request->task[0] && failed_in_task(q, &wait) >= AGENT_TASK_FAILURES_MAX) {
		snprintf(q->answer->words, WORDS,
			"%d runs failed in the task %s within a day, whatever their commands",
			AGENT_TASK_FAILURES_MAX, q->request->task);
		put_wait(q->answer->words, wait);
		return no(q, ADMISSION_RETRIES, wait);
	}
	if (ago < cooldown) {
		wait = cooldown - ago;
		snprintf(q->answer->words, WORDS, "the same command has just failed (cooldown)");
		put_wait(q->answer->words, wait);
		return no(q, ADMISSION_COOLDOWN, wait);
	}
	return true;
}

/* ---- budgets ---- */

static bool is_reserved(const Berm__Wire__Agent *agent, unsigned counter)
{
	for (size_t i = 0; i < agent->n_runs; i++)
		if (counter < agent->runs[i]->n_reserved && agent->runs[i]->reserved[counter])
			return true;
	return false;
}

/* What a run that changes nothing cannot do, so that it need not have it reserved. */
static bool needs_write(unsigned counter)
{
	return counter == COUNTER_FILES_CHANGED || counter == COUNTER_FILES_DELETED ||
	       counter == COUNTER_BYTES_WRITTEN || counter == COUNTER_BYTES_SENT ||
	       counter == COUNTER_HOSTS_CONTACTED;
}

static bool has_budget(const struct question *q)
{
	struct admission *answer = q->answer;

	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const Berm__Wire__AgentBudget *budget = NULL;
		uint64_t left = agent_remaining(q->agent, i, q->now, &budget);
		uint64_t wait;

		if (!budget)
			continue;
		answer->caps[i] = left < q->request->caps[i] ? left : q->request->caps[i];
		if (answer->read_only && needs_write(i))
			answer->caps[i] = 0;
		if (left > 0)
			continue;
		answer->counter = i;
		wait = agent_wait_ms(q->agent, (enum agent_window)budget->window, i, q->now);
		snprintf(answer->words, WORDS,
			"the agent %s has nothing left of %s (%llu per %s)%s", q->agent->name,
			effect_counter_name(i), (unsigned long long)budget->limit,
			agent_window_name(budget->window),
			is_reserved(q->agent, i)
				? "; runs that last have reserved it, as much as their profile's "
				  "blast_radius allows each"
				: "");
		if (!is_reserved(q->agent, i))
			put_wait(answer->words, wait);
		return no(q, ADMISSION_BUDGET, wait);
	}
	return true;
}

/* Who may not start it learns nothing else about it. */
static bool (*const rules[])(const struct question *q) = {
	may_start,
	is_in_service,
	group_lets,
	has_room,
	is_slow_enough,
	may_try_again,
	has_budget,
};

void admit(const Berm__Wire__Agent *agent, const struct admission_group *group,
	const struct admission_request *request, const struct agent_now *now,
	struct admission *ret_admission)
{
	const struct question q = {agent, group, request, now, ret_admission};

	*ret_admission = (struct admission){.rule = ADMISSION_YES,
		.read_only = group->read_only || agent_tier(agent->tier)->read_only,
		.stage_writes = group->stage_writes,
		.halved = group->halved};
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		ret_admission->caps[i] = AGENT_UNLIMITED;
	for (size_t i = 0; i < array_size(rules); i++)
		if (!rules[i](&q))
			return;
}
