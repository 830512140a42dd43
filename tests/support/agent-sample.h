/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Agents for tests. Include after test.h. */

#include "govern/admission.h"

#include <stdio.h>
#include <string.h>

static inline char *sample_words(const char *words)
{
	char *copy = strdup(words);

	assert_non_null(copy);
	return copy;
}

static inline struct agent_now sample_now(uint64_t ms)
{
	return (struct agent_now){.boot_id = {1}, .boot_ms = ms, .wall_ms = 1700000000000 + ms};
}

/* Release with berm__wire__agent__free_unpacked(). */
static inline Berm__Wire__Agent *sample_agent(void)
{
	Berm__Wire__Agent *agent = malloc(sizeof(*agent));
	struct agent_now now = sample_now(0);

	assert_non_null(agent);
	berm__wire__agent__init(agent);
	agent->version = AGENT_VERSION;
	agent->id = sample_words("01HZX3K9QJ5V8W2M4N6P7R8S9T");
	agent->name = sample_words("researcher");
	agent->role = sample_words("reads papers");
	agent->accountable_human = sample_words("Ada L. <ada@example.org>");
	agent->profile = sample_words("/etc/berm/profiles/read-only.yaml");
	agent->tier = 2;
	agent->runs_per_hour = AGENT_RUNS_PER_HOUR;
	agent->retries = AGENT_RETRIES;
	agent->created = agent_moment(&now);
	assert_non_null(agent->created);
	return agent;
}

/* A run's id for a number. */
static inline const char *sample_run(unsigned number)
{
	static char ids[4][AGENT_ID_BYTES + 1];
	static unsigned next;
	char *id = ids[next++ % array_size(ids)];

	snprintf(id, sizeof(ids[0]), "%026u", number);
	return id;
}

static inline struct admission_request sample_request(unsigned number, const uint8_t *call)
{
	struct admission_request request = {.run = sample_run(number),
		.uid = 1000,
		.gid = 1000,
		.is_operator = true,
		.task = "",
		.call = call};

	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		request.caps[i] = AGENT_UNLIMITED;
	return request;
}
