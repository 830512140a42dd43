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
	while (agent->n_failures >= AGENT_FAILURES_MAX) {
		size_t oldest = 0;

		for (size_t i = 1; i < agent->n_failures; i++)
			if (agent_age_ms(agent->failures[i]->last, now) >
				agent_age_ms(agent->failures[oldest]->last, now))
				oldest = i;
		drop_failure(agent, oldest);
	}
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

static struct agent_now moment_as_now(const Berm__Wire__AgentMoment *moment)
{
	struct agent_now now = {.boot_ms = moment->boot_ms, .wall_ms = moment->wall_ms};

	if (moment->boot_id.len == sizeof(now.boot_id))
		memcpy(now.boot_id, moment->boot_id.data, sizeof(now.boot_id));
	return now;
}

/* The oldest is counted with what is known, and can be settled no more. */
static int forget_lost(Berm__Wire__Agent *agent)
{
	Berm__Wire__AgentLost *oldest = agent->lost[0];
	const struct agent_now then = moment_as_now(oldest->moment);
	int r = agent_charge(agent, &then, oldest->amounts, 0);

	if (r < 0)
		return r;
	agent->n_lost--;
	memmove(agent->lost, agent->lost + 1, agent->n_lost * sizeof(*agent->lost));
	berm__wire__agent_lost__free_unpacked(oldest, NULL);
	return 0;
}

static int add_lost(Berm__Wire__Agent *agent, const char *run,
	const uint64_t amounts[COUNTER_COUNT], const struct agent_now *then)
{
	Berm__Wire__AgentLost **grown, *lost;
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < COUNTER_COUNT; i++)
		any |= amounts[i] > 0;
	if (any && agent->n_lost >= AGENT_LOST_MAX)
		r = forget_lost(agent);
	if (r < 0 || !any)
		return r;
	grown = realloc(agent->lost, (agent->n_lost + 1) * sizeof(*grown));
	lost = grown ? malloc(sizeof(*lost)) : NULL;
	if (grown)
		agent->lost = grown;
	if (!lost)
		return -ENOMEM;
	berm__wire__agent_lost__init(lost);
	lost->run = copy_words(run);
	lost->moment = agent_moment(then);
	lost->amounts = calloc(COUNTER_COUNT, sizeof(*lost->amounts));
	if (!lost->run || !lost->moment || !lost->amounts) {
		berm__wire__agent_lost__free_unpacked(lost, NULL);
		return -ENOMEM;
	}
	lost->n_amounts = COUNTER_COUNT;
	memcpy(lost->amounts, amounts, COUNTER_COUNT * sizeof(*amounts));
	grown[agent->n_lost++] = lost;
	return 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct agent_now admission_over(
	const Berm__Wire__AgentMoment *begun, uint64_t limit_ms, const struct agent_now *now)
{
	struct agent_now over = *now;
	bool same_boot = begun && begun->boot_id.len == sizeof(now->boot_id) &&
			 memcmp(begun->boot_id.data, now->boot_id, sizeof(now->boot_id)) == 0;

	if (!begun)
		return over;
	if (!same_boot) {
		/* In its own boot, so that only the wall clock says how old it is. */
		over = moment_as_now(begun);
		over.wall_ms = now->wall_ms - earlier(now->boot_ms, now->wall_ms);
	}
	if (!limit_ms)
		return over;
	if (same_boot && limit_ms < UINT64_MAX - begun->boot_ms)
		over.boot_ms = earlier(over.boot_ms, begun->boot_ms + limit_ms);
	if (limit_ms < UINT64_MAX - begun->wall_ms)
		over.wall_ms = earlier(over.wall_ms, begun->wall_ms + limit_ms);
	return over;
}

int admission_settle(Berm__Wire__Agent *agent, const char *run, const uint64_t done[COUNTER_COUNT])
{
	for (size_t i = 0; i < agent->n_lost; i++) {
		Berm__Wire__AgentLost *lost = agent->lost[i];

		if (strcmp(lost->run, run) != 0)
			continue;
		for (size_t c = 0; c < lost->n_amounts; c++)
			if (done[c] != AGENT_UNLIMITED && done[c] > lost->amounts[c])
				return -ERANGE;
		for (size_t c = 0; c < lost->n_amounts; c++)
			lost->amounts[c] = earlier(lost->amounts[c], done[c]);
		return 0;
	}
	return -ENOENT;
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
		r = end == ADMISSION_LOST ? add_lost(agent, entry->run, reserved, now)
					  : agent_charge(agent, now, done, 0);
	berm__wire__agent_run__free_unpacked(entry, NULL);
	return r;
}
