/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "agent-tries.h"

static void a_call_that_failed_is_tried_three_times_more(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	struct admission answer;
	uint64_t at = 0;

	(void)state;
	agent->tier = 1; /* no cooldown */
	request.task = "t-1";
	for (unsigned i = 0; i < 4; i++, at += MINUTE)
		end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
	assert_int_equal(try_with(&request, at, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_RETRIES);
	/* Another task, another command: something else. */
	request.task = "t-2";
	end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
	request.task = "t-1";
	request.call = another_call;
	end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
	assert_int_equal(answer.rule, ADMISSION_YES);
	/* A success ends the count, a run that never was changes nothing. */
	end_at(at, try_with(&request, at, &answer), ADMISSION_NEVER_RAN, 0);
	assert_int_equal(agent->n_failures, 3);
	end_at(at, try_with(&request, at, &answer), ADMISSION_WORKED, 0);
	assert_int_equal(agent->n_failures, 2);
	/* Of those that last each may be a failure. */
	for (unsigned i = 0; i < 3; i++)
		end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
	assert_true(try_with(&request, at, &answer) > 0);
	assert_int_equal(try_with(&request, at, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_RETRIES);
}

/* Started at once they have not failed yet, and one word more is another command. */
static void retries_are_not_dodged(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	uint8_t call[AGENT_CALL_BYTES] = {9};
	struct admission answer;
	unsigned runs = 0;

	(void)state;
	agent->tier = 1;
	request.task = "t-1";
	while (runs < 10 && try_with(&request, 0, &answer) > 0)
		runs++;
	assert_int_equal(runs, AGENT_RETRIES + 1);
	assert_int_equal(answer.rule, ADMISSION_RETRIES);
	request.task = "t-2";
	request.call = call;
	for (unsigned i = 0; i < AGENT_TASK_FAILURES_MAX; i++) {
		call[1] = (uint8_t)i;
		end_at(i, try_with(&request, i, &answer), ADMISSION_FAILED, 0);
	}
	call[1]++;
	assert_int_equal(try_with(&request, MINUTE, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_RETRIES);
	assert_int_equal(answer.wait_ms, DAY - MINUTE);
	request.task = "t-3";
	assert_true(try_with(&request, MINUTE, &answer) > 0);
}

static void a_tier_cools_down_at_least_as_it_says(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	struct admission answer;

	(void)state;
	assert_int_equal(agent->cooldown_ms, 0);
	agent->tier = 3;
	end_at(0, try_with(&request, 0, &answer), ADMISSION_FAILED, 0);
	assert_int_equal(try_with(&request, MINUTE - 1, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_COOLDOWN);
	assert_true(try_with(&request, MINUTE, &answer) > 0);
}

static void a_call_that_failed_cools_down(void **state)
{
	struct admission_request request = sample_request(1, a_call), other = request;
	struct admission_request elsewhere = request;
	struct admission answer;

	(void)state;
	agent->cooldown_ms = MINUTE;
	other.call = another_call;
	end_at(0, try_with(&request, 0, &answer), ADMISSION_FAILED, 0);
	assert_int_equal(try_with(&request, MINUTE - 1, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_COOLDOWN);
	assert_int_equal(answer.wait_ms, 1);
	assert_true(try_with(&other, MINUTE - 1, &answer) > 0);
	/* Whoever starts it chooses the task. */
	elsewhere.task = "another-one";
	assert_int_equal(try_with(&elsewhere, MINUTE - 1, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_COOLDOWN);
	assert_true(try_with(&request, MINUTE, &answer) > 0);
	/* Without a task there is no end to the attempts, but each has to wait. */
	for (unsigned i = 0; i < 10; i++) {
		end_at(MINUTE * (i + 2), number, ADMISSION_FAILED, 0);
		assert_true(try_with(&request, MINUTE * (i + 3), &answer) > 0);
	}
	agent->task_required = true;
	assert_int_equal(try_with(&other, DAY, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_TASK);
}

static void failures_are_forgotten_after_a_day_and_never_too_many(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	uint8_t call[AGENT_CALL_BYTES] = {0};
	struct admission answer;

	(void)state;
	agent->runs_per_hour = 1000000;
	request.call = call;
	for (unsigned i = 0; i < AGENT_FAILURES_MAX + 10; i++) {
		call[0] = (uint8_t)i;
		call[1] = (uint8_t)(i >> 8);
		end_at(i, try_with(&request, i, &answer), ADMISSION_FAILED, 0);
	}
	assert_int_equal(agent->n_failures, AGENT_FAILURES_MAX);
	end_at(DAY + 5000, try_with(&request, DAY + 5000, &answer), ADMISSION_FAILED, 0);
	assert_int_equal(agent->n_failures, 1);
}

/* Not the one that was the first to fail: it may have failed again a moment ago. */
static void the_failure_that_is_forgotten_is_the_one_longest_ago(void **state)
{
	struct admission_request request = sample_request(1, a_call);
	uint8_t call[AGENT_CALL_BYTES] = {0};
	struct admission answer;
	uint64_t at = 0;

	(void)state;
	agent->runs_per_hour = 1000000;
	agent->tier = 1; /* no cooldown */
	request.call = call;
	for (unsigned i = 0; i < AGENT_FAILURES_MAX + 10; i++, at += 2) {
		call[0] = (uint8_t)i;
		call[1] = (uint8_t)(i >> 8);
		end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
		if (i % 100 != 0)
			continue;
		memset(call, 0, 2);
		at += 2;
		end_at(at, try_with(&request, at, &answer), ADMISSION_FAILED, 0);
	}
	memset(call, 0, 2);
	agent->cooldown_ms = HOUR;
	assert_int_equal(try_with(&request, at, &answer), 0);
	assert_int_equal(answer.rule, ADMISSION_COOLDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(a_call_that_failed_is_tried_three_times_more),
		row(retries_are_not_dodged),
		row(a_tier_cools_down_at_least_as_it_says),
		row(a_call_that_failed_cools_down),
		row(failures_are_forgotten_after_a_day_and_never_too_many),
		row(the_failure_that_is_forgotten_is_the_one_longest_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
