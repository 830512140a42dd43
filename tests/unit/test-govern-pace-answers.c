/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "pace-crew.h"

#include <string.h>

/* Decisions that are open, what answers them, and who is held until then. */

/* A decision stays open whatever else is asked, and each answer is to one question. */
static void an_emergency_signal_leaves_the_decision_about_contingency_open(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event second = suspect_a, alarm = {.trigger = PACE_ROGUE,
						      .authority = PACE_BY_BERM,
						      .to = PHASE_COUNT,
						      .agent = ALPHA,
						      .source = "judge"};
	struct pace_event no = {.trigger = PACE_DISMISSED,
		.authority = PACE_BY_COMMANDER,
		.to = PHASE_EMERGENCY,
		.reason = "a drill"};
	struct pace_event back = {.trigger = PACE_REVIEWED,
		.authority = PACE_BY_SECURITY,
		.to = PHASE_PRIMARY,
		.reason = "over"};
	struct pace_event which = no;

	(void)state;
	second.agent = BETA;
	which.to = PHASE_COUNT;
	apply(&group, 0, &suspect_a);
	assert_int_equal(apply(&group, 1, &second).result, PACE_ASKED);
	assert_int_equal(apply(&group, 2, &alarm).result, PACE_ASKED);
	assert_int_equal(apply(&group, 3, &which).refusal, PACE_WHICH);
	assert_int_equal(apply(&group, 3, &no).result, PACE_NOTED);
	assert_non_null(pace_request_of(&group, PHASE_CONTINGENCY));
	assert_null(pace_request_of(&group, PHASE_EMERGENCY));
	assert_int_equal(apply(&group, 5 * HOUR, &back).refusal, PACE_UNDECIDED);
	assert_int_equal(apply(&group, 5 * HOUR, &which).result, PACE_NOTED);
	assert_false(pace_is_undecided(&group));
	assert_int_equal(apply(&group, 5 * HOUR, &back).result, PACE_CHANGED);
}

static void an_answer_is_about_one_question(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event alarm = {.trigger = PACE_ROGUE,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = ALPHA,
		.source = "judge"};
	uint8_t one[PACE_DIGEST_BYTES], two[PACE_DIGEST_BYTES], none[PACE_DIGEST_BYTES] = {0};

	(void)state;
	assert_false(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, one));
	assert_memory_equal(one, none, sizeof(one));
	apply(&group, 0, &alarm);
	assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, one));
	assert_false(pace_subject(&group, PACE_DISMISSED, PHASE_CONTINGENCY, two));
	assert_false(pace_subject(&group, PACE_KILL, PHASE_EMERGENCY, two));
	assert_memory_equal(two, none, sizeof(two));
	/* The same again is the same question. */
	apply(&group, 5, &alarm);
	assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, two));
	assert_memory_equal(one, two, sizeof(one));
	for (unsigned field = 0; field < 6; field++) {
		struct pace_group other = group;
		struct pace_request *r = &other.requests[PACE_SLOT_EMERGENCY];

		r->trigger += field == 0;
		r->authority += field == 1;
		r->source[0] += field == 2;
		r->agent[25] = field == 3 ? 'Z' : r->agent[25];
		r->since.least_ms += field == 4;
		other.id[15] ^= field == 5;
		assert_true(pace_subject(&other, PACE_DISMISSED, PHASE_EMERGENCY, two));
		assert_memory_not_equal(one, two, sizeof(one));
	}
	group = in_phase(PHASE_ALTERNATE);
	assert_true(pace_subject(&group, PACE_EXPLAINED, PHASE_COUNT, one));
	apply(&group, 7, &suspect_a);
	assert_true(pace_subject(&group, PACE_EXPLAINED, PHASE_COUNT, two));
	assert_memory_not_equal(one, two, sizeof(one));
}

static void who_is_held_is_held_until_primary(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event alarm = {.trigger = PACE_ROGUE,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = ALPHA,
		.source = "judge"};

	(void)state;
	assert_false(pace_holds(&group, ALPHA) || pace_holds(&group, BETA));
	apply(&group, 0, &alarm);
	assert_true(pace_holds(&group, ALPHA) && !pace_holds(&group, BETA));
	for (unsigned phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		group = in_phase(phase);
		assert_true(pace_holds(&group, ALPHA) && pace_holds(&group, BETA));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_emergency_signal_leaves_the_decision_about_contingency_open),
		cmocka_unit_test(an_answer_is_about_one_question),
		cmocka_unit_test(who_is_held_is_held_until_primary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
