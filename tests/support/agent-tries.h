/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An agent whose runs are admitted and ended, for tests. Include after test.h. */

#include "agent-sample.h"

#define MINUTE 60000ULL
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const uint8_t a_call[AGENT_CALL_BYTES] = {1}, another_call[AGENT_CALL_BYTES] = {2};
static const uint8_t no_call[AGENT_CALL_BYTES] = {3};

static Berm__Wire__Agent *agent;
static unsigned number;

static inline int set_up(void **state)
{
	(void)state;
	number = 0;
	agent = sample_agent();
	return 0;
}

static inline int tear_down(void **state)
{
	struct error err = {0};

	(void)state;
	/* Whatever was done, it can be kept and read again. */
	assert_int_equal(agent_check(agent, &err), 0);
	berm__wire__agent__free_unpacked(agent, NULL);
	return 0;
}

/* Ask, and where it is admitted begin it: its number, or 0. */
static inline unsigned try_with(
	const struct admission_request *asked, uint64_t ms, struct admission *answer)
{
	const struct admission_group group = {0};
	struct admission_request request = *asked;
	struct agent_now now = sample_now(ms);
	uint8_t call[AGENT_CALL_BYTES] = {0};

	request.run = sample_run(++number);
	/* Each another command, but in tests of what happens to the same one again. */
	if (asked->call == no_call) {
		memcpy(call, &number, sizeof(number));
		request.call = call;
	}
	admit(agent, &group, &request, &now, answer);
	assert_true((answer->rule == ADMISSION_YES) == (answer->words[0] == '\0'));
	if (answer->rule != ADMISSION_YES)
		return 0;
	assert_int_equal(admission_begin(agent, answer, &request, &now), 0);
	return number;
}

static inline unsigned try_at(uint64_t ms, struct admission *answer)
{
	struct admission_request request = sample_request(1, no_call);

	return try_with(&request, ms, answer);
}

static inline void end_at(uint64_t ms, unsigned run, enum admission_end end, uint64_t files)
{
	uint64_t done[COUNTER_COUNT] = {[COUNTER_FILES_CHANGED] = files};
	struct agent_now now = sample_now(ms);

	assert_int_equal(admission_end(agent, sample_run(run), end,
				 end == ADMISSION_LOST ? NULL : done, &now),
		0);
}

#define row(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
