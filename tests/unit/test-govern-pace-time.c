/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "pace-crew.h"

#include <string.h>

/* What time brings, in the order in which it came, whoever looks when. */

/* Alternate since 0, in tier 3, explained: it is over after 2 hours, not after 48. */
static struct pace_group explained(void)
{
	struct pace_group group = ripe(PHASE_PRIMARY, 3);
	const struct pace_event why = {.trigger = PACE_EXPLAINED,
		.authority = PACE_BY_OPERATOR,
		.to = PHASE_COUNT,
		.reason = "a broken index"};

	assert_int_equal(apply(&group, 0, &suspect_a).result, PACE_CHANGED);
	assert_int_equal(apply(&group, 0, &why).result, PACE_NOTED);
	return group;
}

static struct pace_group all_that_came(const struct pace_group *kept, const struct pace_now *now)
{
	struct pace_group group = *kept;
	struct pace_outcome o;

	do
		pace_tick(&group, now, &o);
	while (o.result == PACE_CHANGED);
	return group;
}

static void two_looks_at_what_is_kept_see_one_history(void **state)
{
	const struct pace_group kept = explained();
	static const unsigned hours[] = {2, 3, 47, 48, 49, 500};

	(void)state;
	for (size_t i = 0; i < array_size(hours); i++) {
		struct pace_now now = at(hours[i] * HOUR);
		struct pace_group group = all_that_came(&kept, &now);

		assert_int_equal(group.phase, PHASE_PRIMARY);
		assert_int_equal(group.changes, kept.changes + 1);
		assert_int_equal(
			pace_at_most_ms(&group.clock, &group.entered), (hours[i] - 2) * HOUR);
		assert_int_equal(group.entered.wall_ms, at(2 * HOUR).wall_ms);
		assert_int_equal(group.clock.moment.wall_ms, now.wall_ms);
	}
}

/* Until it is written down nobody relies on it, and nothing that comes after it is taken for so. */
static void a_return_that_nobody_wrote_down_does_not_hold(void **state)
{
	const struct pace_group kept = explained();
	struct pace_group group;
	struct pace_outcome o;
	bool due;

	(void)state;
	for (unsigned hour = 1; hour < 60; hour++) {
		struct pace_now now = at(hour * HOUR);

		group = kept;
		assert_true(pace_settle(&group, &now, PACE_STEPS_MAX, &due));
		assert_int_equal(group.phase, PHASE_ALTERNATE);
		assert_int_equal(due, hour >= 2);
	}
	/* Where it cannot be written down at all the group has been in alternate all the time. */
	{
		struct pace_now now = at(49 * HOUR);

		group = kept;
		pace_tick_without(&group, &now, 1U << PACE_STABLE, &o);
		assert_int_equal(o.trigger, PACE_STAYED);
		assert_int_equal(group.phase, PHASE_CONTINGENCY);
		assert_int_equal(group.entered.wall_ms, at(48 * HOUR).wall_ms);
	}
}

/* The window of a decision was over, the host is off, and its wall clock is behind after that. What
 * was seen stays, where it is written down; where nobody looked the clock of the file decides. */
static void what_was_written_down_survives_a_wrong_clock(void **state)
{
	const struct pace_event alarm = {.trigger = PACE_ROGUE,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = ALPHA,
		.source = "judge"};
	struct pace_group group = ripe(PHASE_PRIMARY, 2);
	struct pace_now later = at(6 * 60000), after;
	bool due;

	(void)state;
	assert_int_equal(apply(&group, 0, &alarm).result, PACE_ASKED);
	assert_true(pace_settle(&group, &later, PACE_STEPS_MAX, &due));
	assert_true(due);
	assert_int_equal(group.phase, PHASE_EMERGENCY);
	assert_int_equal(group.entered.wall_ms, at(PACE_WINDOW_MS).wall_ms);
	after = (struct pace_now){.boot_id = {9}, .boot_ms = 100, .wall_ms = 5};
	assert_true(pace_settle(&group, &after, PACE_STEPS_MAX, &due));
	assert_false(due);
	assert_int_equal(group.phase, PHASE_EMERGENCY);
}

/* Off for 3 days, explained before: the time off brings contingency, since nobody knows whether the
 * two hours of it were quiet. Up for 3 days, they were. */
static void the_time_off_comes_before_the_boot(void **state)
{
	const struct pace_group kept = explained();
	struct pace_now now = {
		.boot_id = {9}, .boot_ms = 3 * HOUR, .wall_ms = at(75 * HOUR).wall_ms};
	struct pace_group group = all_that_came(&kept, &now);

	(void)state;
	assert_int_equal(group.phase, PHASE_CONTINGENCY);
	assert_int_equal(group.entered.wall_ms, at(48 * HOUR).wall_ms);
	assert_int_equal(pace_at_least_ms(&group.clock, &group.entered), 3 * HOUR);
	assert_int_equal(pace_at_most_ms(&group.clock, &group.entered), 27 * HOUR);
	/* Off for one day and up for 30 hours: two of those hours were quiet before 48 were over.
	 */
	now.boot_ms = 30 * HOUR;
	now.wall_ms = at(54 * HOUR).wall_ms;
	group = all_that_came(&kept, &now);
	assert_int_equal(group.phase, PHASE_PRIMARY);
	assert_int_equal(pace_at_least_ms(&group.clock, &group.entered), 28 * HOUR);
}

/* In parts the clock goes the same way as at once. */
static void a_way_in_parts_is_the_whole_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		struct pace_now begin = at(0), now = at(10 * HOUR);
		struct pace_clock once, parts;

		pace_clock_start(&once, &begin);
		if (i & 1)
			now.boot_id[0] = 7;
		if (i & 2)
			now.boot_ms = 4 * HOUR;
		if (i & 4)
			now.wall_ms -= 30 * HOUR;
		parts = once;
		pace_clock_advance(&once, &now);
		for (unsigned part = 1; part <= 3; part++) {
			struct pace_way way = pace_clock_way(&parts, &now);

			way.off_ms = i & 8 ? way.off_ms : way.off_ms / 2;
			way.on_ms = (i & 16) && (i & 8) ? way.on_ms / 3 : 0;
			pace_clock_walk(&parts, &now, &way);
		}
		pace_clock_advance(&parts, &now);
		assert_memory_equal(&once, &parts, sizeof(once));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_looks_at_what_is_kept_see_one_history),
		cmocka_unit_test(a_return_that_nobody_wrote_down_does_not_hold),
		cmocka_unit_test(what_was_written_down_survives_a_wrong_clock),
		cmocka_unit_test(the_time_off_comes_before_the_boot),
		cmocka_unit_test(a_way_in_parts_is_the_whole_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
