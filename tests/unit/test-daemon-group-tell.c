/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/group-tell.h"

/* What of a run's deeds is news to its group. */

#define CAP (1U << PACE_CAP)
#define BREAKER (1U << PACE_BREAKER)
#define ROGUE (1U << PACE_ROGUE)

static unsigned wanted(struct group_told *told, const struct effects *effects, bool is_isolated)
{
	const struct group_teller by = {.effects = effects, .is_isolated = is_isolated};

	return group_told_wanted(told, &by);
}

/* As after a word that arrived. */
static void know(struct group_told *told, uint64_t caps, uint64_t breakers)
{
	told->told[PACE_CAP] = caps;
	told->told[PACE_BREAKER] = breakers;
}

static void each_kind_is_its_own_trigger(void **state)
{
	struct group_told told = {0};

	(void)state;
	assert_int_equal(wanted(&told, &(struct effects){0}, false), 0);
	assert_int_equal(wanted(&told, &(struct effects){.caps_crossed = 1}, false), CAP);
	assert_int_equal(wanted(&told, &(struct effects){.breakers_tripped = 1}, false), BREAKER);
	assert_int_equal(wanted(&told, &(struct effects){.emergencies = 1}, false), ROGUE);
	assert_int_equal(
		wanted(&told,
			&(struct effects){.refused[COUNTER_BYTES_SENT] = 1, .breakers_tripped = 2},
			false),
		CAP | BREAKER);
}

static void the_end_of_its_time_is_told_once(void **state)
{
	const struct effects effects = {0};
	struct group_teller by = {.effects = &effects, .time_box_over = true};
	struct group_told told = {0};

	(void)state;
	assert_int_equal(group_told_wanted(&told, &by), 1U << PACE_TIME_BOX);
	told.told[PACE_TIME_BOX] = 1;
	assert_int_equal(group_told_wanted(&told, &by), 0);
}

static void what_is_known_is_not_told_again(void **state)
{
	struct group_told told = {0};
	struct effects effects = {.caps_crossed = 1, .breakers_tripped = 1};

	(void)state;
	know(&told, 1, 1);
	assert_int_equal(wanted(&told, &effects, false), 0);
	assert_int_equal(wanted(&told, &effects, true), 0);
	effects.emergencies = 1;
	assert_int_equal(wanted(&told, &effects, true), ROGUE);
}

static void what_is_done_in_isolation_belongs_to_it(void **state)
{
	struct group_told told = {0};
	struct effects effects = {.caps_crossed = 1, .refused[COUNTER_FILES_CHANGED] = 3};

	(void)state;
	know(&told, 1, 0);
	assert_int_equal(wanted(&told, &effects, true), 0);
	/* Let go on: nothing of that is news, */
	assert_int_equal(wanted(&told, &effects, false), 0);
	/* and what comes now is. */
	effects.refused[COUNTER_FILES_CHANGED]++;
	assert_int_equal(wanted(&told, &effects, false), CAP);
	know(&told, 5, 0);
	effects.breakers_tripped = 1;
	assert_int_equal(wanted(&told, &effects, false), BREAKER);
}

static void isolation_for_something_else_hides_nothing(void **state)
{
	struct group_told told = {0};

	(void)state;
	assert_int_equal(wanted(&told, &(struct effects){.breakers_tripped = 1}, true), BREAKER);
	know(&told, 0, 1);
	assert_int_equal(
		wanted(&told, &(struct effects){.breakers_tripped = 2, .caps_crossed = 1}, true),
		CAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_its_own_trigger),
		cmocka_unit_test(the_end_of_its_time_is_told_once),
		cmocka_unit_test(what_is_known_is_not_told_again),
		cmocka_unit_test(what_is_done_in_isolation_belongs_to_it),
		cmocka_unit_test(isolation_for_something_else_hides_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
