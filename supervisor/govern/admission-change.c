/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/admission.h"

#include <string.h>

/* What a run that begins or ends changes of its agent. */

#define DAY_MS (24 * 3600000ULL)

/* protobuf-c takes its shared empty string for "not set" and never frees it. */
static char *copy_words(const char *words)
{
	return words[0] ? strdup(words) : (char *)(uintptr_t)protobuf_c_empty_string;
}

static int copy_bytes(ProtobufCBinaryData *to, const uint8_t *from, size_t length)
{
	to->data = malloc(length);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, from, length);
	to->len = length;
	return 0;
}

static int fill_run(Berm__Wire__AgentRun *run, const struct admission *admission,
	const struct admission_request *request, const struct agent_now *now)
{
	run->run = copy_words(request->run);
	run->task = copy_words(request->task);
	run->since = agent_moment(now);
	run->reserved = calloc(COUNTER_COUNT, sizeof(*run->reserved));
	if (!run->run || !run->task || !run->since || !run->reserved)
		return -ENOMEM;
	run->n_reserved = COUNTER_COUNT;
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (admission->caps[i] != AGENT_UNLIMITED)
			run->reserved[i] = admission->caps[i];
	run->mark = request->mark;
	run->uid = request->uid;
	return copy_bytes(&run->call, request->call, AGENT_CALL_BYTES);
}

int admission_begin(Berm__Wire__Agent *agent, const struct admission *admission,
	const struct admission_request *request, const struct agent_now *now)
{
	Berm__Wire__AgentRun **grown, *run = malloc(sizeof(*run));

	if (!run)
		return -ENOMEM;
	berm__wire__agent_run__init(run);
	grown = realloc(agent->runs, (agent->n_runs + 1) * sizeof(*grown));
	if (grown)
		agent->runs = grown;
	if (!grown || fill_run(run, admission, request, now) < 0) {
		berm__wire__agent_run__free_unpacked(run, NULL);
		return -ENOMEM;
	}
	grown[agent->n_runs++] = run;
	return agent_charge(agent, now, NULL, 1);
}

static void drop_failure(Berm__Wire__Agent *agent, size_t index)
{
	berm__wire__agent_failure__free_unpacked(agent->failures[index], NULL);
	agent->n_failures--;
	memmove(agent->failures + index, agent->failures + index + 1,
		(agent->n_failures - index) * sizeof(*agent->failures));
}

static size_t find_failure(const Berm__Wire__Agent *agent, const Berm__Wire__AgentRun *run)
{
	size_t i = 0;

	while (i < agent->n_failures &&
		(memcmp(agent->failures[i]->call.data, run->call.data, AGENT_CALL_BYTES) != 0 ||
			strcmp(agent->failures[i]->task, run->task) != 0))
		i++;
	return i;
}

static int add_failure(
	Berm__Wire__Agent *agent, const Berm__Wire__AgentRun *run, const struct agent_now *now)
{
	Berm__Wire__AgentFailure **grown, *f = malloc(sizeof(*f));

	if (!f)
		return -ENOMEM;
	berm__wire__agent_failure__init(f);
	grown = realloc(agent->failures, (agent->n_failures + 1) * sizeof(*grown));
	if (grown)
		agent->failures = grown;
	f->task = copy_words(run->task);
	f->last = agent_moment(now);
	if (!grown || !f->task || !f->last ||
		copy_bytes(&f->call, run->call.data, AGENT_CALL_BYTES) < 0) {
		berm__wire__agent_failure__free_unpacked(f, NULL);
		return -ENOMEM;
	}
	grown[agent->n_failures++] = f;
	return 0;
}

static void forget_failures(Berm__Wire__Agent *agent, const struct agent_now *now)
{
	for (size_t i = agent->n_failures; i-- > 0;)
		if (agent_age_ms(agent->failures[i]->last, now) >= DAY_MS)
			drop_failure(agent, i);
	/* The first is the one that was there first. */
	while (agent->n_failures >= AGENT_FAILURES_MAX)
		drop_failure(agent, 0);
}

static int note_end(Berm__Wire__Agent *agent, const Berm__Wire__AgentRun *run,
	enum admission_end end, const struct agent_now *now)
{
	Berm__Wire__AgentMoment *moment;
	size_t index;
	int r = 0;

	forget_failures(agent, now);
	index = find_failure(agent, run);
	if (end == ADMISSION_NEVER_RAN)
		return 0;
	if (end == ADMISSION_WORKED) {
		if (index < agent->n_failures)
			drop_failure(agent, index);
		return 0;
	}
	if (index == agent->n_failures)
		r = add_failure(agent, run, now);
	if (r < 0)
		return r;
	moment = agent_moment(now);
	if (!moment)
		return -ENOMEM;
	berm__wire__agent_moment__free_unpacked(agent->failures[index]->last, NULL);
	agent->failures[index]->last = moment;
	agent->failures[index]->count++;
	return 0;
}

int admission_end(Berm__Wire__Agent *agent, const char *run, enum admission_end end,
	const uint64_t done[COUNTER_COUNT], const struct agent_now *now)
{
	uint64_t reserved[COUNTER_COUNT] = {0};
	Berm__Wire__AgentRun *entry;
	size_t index = 0;
	int r;

	while (index < agent->n_runs && strcmp(agent->runs[index]->run, run) != 0)
		index++;
	if (index == agent->n_runs)
		return 0;
	entry = agent->runs[index];
	for (size_t i = 0; i < entry->n_reserved && i < COUNTER_COUNT; i++)
		reserved[i] = entry->reserved[i];
	agent->n_runs--;
	memmove(agent->runs + index, agent->runs + index + 1,
		(agent->n_runs - index) * sizeof(*agent->runs));
	r = note_end(agent, entry, end, now);
	if (r == 0)
		r = agent_charge(agent, now, end == ADMISSION_LOST ? reserved : done, 0);
	berm__wire__agent_run__free_unpacked(entry, NULL);
	return r;
}
