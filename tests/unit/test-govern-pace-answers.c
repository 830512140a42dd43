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

/* A false alarm, and while somebody signs the "no" to it the real thing is said by the same source.
 */
static void a_second_finding_makes_another_question(void **state)
{
	struct pace_event alarm = {.trigger = PACE_ROGUE,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = ALPHA,
		.source = "judge"};
	const struct pace_event no = {.trigger = PACE_DISMISSED,
		.authority = PACE_BY_COMMANDER,
		.to = PHASE_EMERGENCY,
		.reason = "a drill"};
	struct pace_group group = in_phase(PHASE_PRIMARY), other;
	uint8_t one[PACE_DIGEST_BYTES], two[PACE_DIGEST_BYTES];

	(void)state;
	apply(&group, 0, &alarm);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, one));
		if (i % 2 == 0)
			alarm.agent = i ? OTHER : BETA;
		else
			alarm.trigger = i == 1 ? PACE_EXFILTRATION : PACE_CASCADE;
		assert_int_equal(apply(&group, 5, &alarm).result, PACE_ASKED);
		assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, two));
		assert_memory_not_equal(one, two, sizeof(one));
		/* Said again it is the question that was read. */
		assert_int_equal(apply(&group, 6, &alarm).result, PACE_NOTED);
		assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_EMERGENCY, one));
		assert_memory_equal(one, two, sizeof(one));
	}
	/* All of them are held until it is answered, and not longer. */
	assert_true(pace_holds(&group, ALPHA) && pace_holds(&group, BETA) &&
		    pace_holds(&group, OTHER) && !pace_holds(&group, LAST));
	other = group;
	assert_int_equal(apply(&other, 7, &no).result, PACE_NOTED);
	assert_false(pace_holds(&other, ALPHA) || pace_holds(&other, BETA));
	/* The window is that of the first one. */
	{
		struct pace_now over = at(PACE_WINDOW_MS);

		assert_true(pace_settle(&group, &over, PACE_STEPS_MAX, NULL));
		assert_int_equal(group.phase, PHASE_EMERGENCY);
		assert_int_equal(group.isolated_count, 3);
	}
}

static void a_source_that_says_very_much_is_about_the_whole_group(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	unsigned asked = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char id[AGENT_ID_BYTES + 1];
		struct pace_event alarm = {.trigger = PACE_ROGUE,
			.authority = PACE_BY_BERM,
			.to = PHASE_COUNT,
			.agent = id,
			.source = "judge"};

		snprintf(id, sizeof(id), "%026u", i);
		asked += apply(&group, i, &alarm).result == PACE_ASKED;
	}
	assert_true(asked >= PACE_FINDINGS_MAX && pace_holds(&group, LAST));
	assert_int_equal(pace_request_of(&group, PHASE_EMERGENCY)->more_count, PACE_FINDINGS_MAX);
}

/* Two agents whose own meters found them rogue are two voices. */
static void what_berm_finds_of_two_agents_is_two_signals(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event rogue = {.trigger = PACE_ROGUE,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = ALPHA};

	(void)state;
	assert_int_equal(apply(&group, 0, &rogue).result, PACE_ASKED);
	assert_int_equal(apply(&group, 1, &rogue).result, PACE_NOTED);
	rogue.agent = BETA;
	assert_int_equal(apply(&group, 2, &rogue).trigger, PACE_SECOND_SIGNAL);
	assert_int_equal(group.phase, PHASE_EMERGENCY);
}

/* The second agent of alternate is asked about; a third one makes it another question. */
static void a_third_agent_is_in_the_question_about_contingency(void **state)
{
	struct pace_group group = in_phase(PHASE_PRIMARY);
	struct pace_event again = suspect_a;
	uint8_t one[PACE_DIGEST_BYTES], two[PACE_DIGEST_BYTES];

	(void)state;
	apply(&group, 0, &suspect_a);
	again.agent = BETA;
	assert_int_equal(apply(&group, 1, &again).result, PACE_ASKED);
	assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_CONTINGENCY, one));
	again.agent = OTHER;
	assert_int_equal(apply(&group, 2, &again).result, PACE_ASKED);
	assert_true(pace_subject(&group, PACE_DISMISSED, PHASE_CONTINGENCY, two));
	assert_memory_not_equal(one, two, sizeof(one));
	assert_int_equal(group.isolated_count, 3);
	assert_int_equal(apply(&group, 3, &again).result, PACE_NOTED);
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
		cmocka_unit_test(a_second_finding_makes_another_question),
		cmocka_unit_test(a_source_that_says_very_much_is_about_the_whole_group),
		cmocka_unit_test(what_berm_finds_of_two_agents_is_two_signals),
		cmocka_unit_test(a_third_agent_is_in_the_question_about_contingency),
		cmocka_unit_test(who_is_held_is_held_until_primary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
