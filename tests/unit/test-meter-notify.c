/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "meter-bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHANGED CHARGE_ONE(COUNTER_FILES_CHANGED)
#define TWO_CHANGED (CHANGED | CHARGE_MORE(COUNTER_FILES_CHANGED))
#define CREATED CHARGE_ONE(COUNTER_FILES_CREATED)
#define DELETED CHARGE_ONE(COUNTER_FILES_DELETED)
#define STARTED CHARGE_ONE(COUNTER_PROCESSES_STARTED)

static int charge(struct bench *b, uint32_t what, uint32_t needs)
{
	struct notify_verdict verdict;

	notify_charge(b->notify, what, needs, &verdict);
	return verdict.errno_value;
}

static uint64_t done(const struct bench *b, uint32_t counter)
{
	struct notify_snapshot s;

	notify_look(b->notify, &s);
	return s.done[counter];
}

static uint32_t posture(const struct bench *b)
{
	struct notify_snapshot s;

	notify_look(b->notify, &s);
	return s.posture;
}

static void the_call_that_would_cross_a_cap_is_the_first_refused(void **state)
{
	struct bench b;
	struct notify_verdict verdict;
	struct notify_snapshot s;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_DELETED, 100, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_start(&b);
	for (int i = 0; i < 100; i++)
		assert_int_equal(charge(&b, DELETED, POSTURE_NO_WRITE), 0);
	assert_int_equal(b.event_count, 0);
	assert_int_equal(posture(&b), POSTURE_OPEN);
	notify_charge(b.notify, DELETED, POSTURE_NO_WRITE, &verdict);
	assert_int_equal(verdict.errno_value, EPERM);
	assert_false(verdict.by_posture);
	assert_int_equal(verdict.rule, 10);
	assert_int_equal(verdict.counter, COUNTER_FILES_DELETED);
	assert_int_equal(b.event_count, 1);
	assert_int_equal(b.events[0].kind, NOTIFY_CAP);
	assert_int_equal(b.events[0].value, 101);
	assert_int_equal(b.events[0].limit, 100);
	assert_int_equal(b.events[0].posture, POSTURE_READ_ONLY);
	assert_int_equal(b.events[0].phase, PHASE_ALTERNATE);
	/* From now on it is the posture that refuses, for what it is about only. */
	notify_charge(b.notify, CHANGED, POSTURE_NO_WRITE, &verdict);
	assert_true(verdict.errno_value == EPERM && verdict.by_posture && verdict.rule == 10);
	assert_int_equal(charge(&b, STARTED, POSTURE_NO_FORK), 0);
	notify_look(b.notify, &s);
	assert_int_equal(s.done[COUNTER_FILES_DELETED], 100);
	assert_int_equal(s.refused[COUNTER_FILES_DELETED], 1);
	assert_int_equal(s.limit[COUNTER_FILES_DELETED], 100);
	assert_true(s.limit[COUNTER_FILES_CHANGED] == NOTIFY_UNLIMITED);
	bench_end(&b);
}

static void a_cap_without_a_posture_goes_on_refusing_and_says_so_once(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_CHANGED, 0, 0, 0);
	bench_cap(&b, COUNTER_PROCESSES_STARTED, 1, 0, 0);
	bench_start(&b);
	for (int i = 0; i < 5; i++)
		assert_int_equal(charge(&b, CHANGED, POSTURE_NO_WRITE), EPERM);
	assert_int_equal(charge(&b, STARTED, POSTURE_NO_FORK), 0);
	assert_int_equal(charge(&b, STARTED, POSTURE_NO_FORK), EAGAIN);
	assert_int_equal(charge(&b, DELETED, POSTURE_NO_WRITE), 0);
	assert_int_equal(b.event_count, 2);
	assert_int_equal(b.events[0].limit, 0);
	assert_int_equal(b.events[1].index, 1);
	bench_end(&b);
}

static void a_call_is_added_to_all_its_counters_or_to_none(void **state)
{
	struct bench b;
	struct notify_snapshot s;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_CHANGED, 3, 0, 0);
	bench_start(&b);
	assert_int_equal(charge(&b, TWO_CHANGED | DELETED, POSTURE_NO_WRITE), 0);
	/* Two more would be four. */
	assert_int_equal(charge(&b, TWO_CHANGED | DELETED, POSTURE_NO_WRITE), EPERM);
	assert_int_equal(charge(&b, CREATED | CHANGED, POSTURE_NO_WRITE), 0);
	assert_int_equal(charge(&b, CREATED | CHANGED, POSTURE_NO_WRITE), EPERM);
	notify_look(b.notify, &s);
	assert_int_equal(s.done[COUNTER_FILES_CHANGED], 3);
	assert_int_equal(s.done[COUNTER_FILES_DELETED], 1);
	assert_int_equal(s.done[COUNTER_FILES_CREATED], 1);
	assert_int_equal(s.refused[COUNTER_FILES_CHANGED], 3);
	assert_int_equal(s.refused[COUNTER_FILES_CREATED], 0);
	bench_end(&b);
}

static void a_threshold_is_reached_once_by_what_was_done_and_refused(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_DELETED, 10, 0, 0);
	bench_step(&b, COUNTER_FILES_DELETED, 5, 0, 0);
	bench_step(&b, COUNTER_FILES_DELETED, 16, POSTURE_FROZEN, PHASE_CONTINGENCY);
	bench_start(&b);
	for (int i = 0; i < 4; i++)
		assert_int_equal(charge(&b, DELETED, 0), 0);
	assert_int_equal(b.event_count, 0);
	assert_int_equal(charge(&b, DELETED, 0), 0);
	assert_int_equal(b.event_count, 1);
	assert_int_equal(b.events[0].kind, NOTIFY_STEP);
	assert_int_equal(b.events[0].value, 5);
	assert_int_equal(b.events[0].rule, 20);
	for (int i = 0; i < 10; i++)
		(void)charge(&b, DELETED, 0);
	assert_int_equal(b.event_count, 2); /* and the cap */
	assert_int_equal(posture(&b), 0);
	assert_int_equal(charge(&b, DELETED, 0), EPERM); /* 10 done, 6 refused */
	assert_int_equal(b.event_count, 3);
	assert_int_equal(b.events[2].kind, NOTIFY_STEP);
	assert_int_equal(b.events[2].phase, PHASE_CONTINGENCY);
	assert_int_equal(posture(&b), POSTURE_FROZEN);
	bench_end(&b);
}

static void a_frozen_run_is_refused_whatever_the_call_needs(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_start(&b);
	notify_tighten(b.notify, POSTURE_FROZEN, PHASE_CONTINGENCY, 7);
	assert_int_equal(charge(&b, 0, 0), EPERM);
	assert_int_equal(charge(&b, STARTED, POSTURE_NO_FORK), EPERM);
	assert_int_equal(done(&b, COUNTER_PROCESSES_STARTED), 0);
	bench_end(&b);
}

/* Every posture bit by itself, against every need. */
static void a_posture_refuses_what_needs_it_and_nothing_else(void **state)
{
	(void)state;
	for (uint32_t set = 0; set < 16; set++)
		for (uint32_t needs = 0; needs < 16; needs++) {
			struct bench b;
			struct notify_verdict verdict;

			bench_begin(&b);
			bench_start(&b);
			notify_tighten(b.notify, set, PHASE_ALTERNATE, 7);
			notify_charge(b.notify, CHANGED, needs, &verdict);
			assert_int_equal(verdict.errno_value, set & needs ? EPERM : 0);
			assert_int_equal(verdict.rule, set & needs ? 7 : 0);
			bench_end(&b);
		}
}

static void a_person_can_open_what_a_cap_closed_and_the_cap_still_refuses(void **state)
{
	struct bench b;
	struct notify_verdict verdict;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_DELETED, 1, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_start(&b);
	assert_int_equal(charge(&b, DELETED, POSTURE_NO_WRITE), 0);
	assert_int_equal(charge(&b, DELETED, POSTURE_NO_WRITE), EPERM);
	assert_int_equal(charge(&b, CHANGED, POSTURE_NO_WRITE), EPERM);
	notify_set(b.notify, POSTURE_OPEN, PHASE_PRIMARY);
	assert_int_equal(charge(&b, CHANGED, POSTURE_NO_WRITE), 0);
	assert_int_equal(charge(&b, DELETED, POSTURE_NO_WRITE), EPERM);
	assert_int_equal(posture(&b), POSTURE_OPEN);
	assert_int_equal(b.event_count, 1);
	/* What a person sets has no rule of the profile. */
	notify_set(b.notify, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	notify_charge(b.notify, CHANGED, POSTURE_NO_WRITE, &verdict);
	assert_true(verdict.by_posture && verdict.rule == NOTIFY_NO_RULE);
	bench_end(&b);
}

static void what_was_undone_can_be_done_again_and_what_it_set_off_stays(void **state)
{
	struct bench b;
	struct notify_snapshot s;

	(void)state;
	bench_begin(&b);
	bench_cap(&b, COUNTER_FILES_CHANGED, 2, 0, 0);
	bench_step(&b, COUNTER_FILES_CHANGED, 2, 0, 0);
	bench_start(&b);
	assert_int_equal(charge(&b, TWO_CHANGED, 0), 0);
	assert_int_equal(b.event_count, 1);
	notify_undo(b.notify, TWO_CHANGED);
	assert_int_equal(done(&b, COUNTER_FILES_CHANGED), 0);
	assert_int_equal(charge(&b, TWO_CHANGED, 0), 0);
	assert_int_equal(b.event_count, 1);
	assert_int_equal(charge(&b, CHANGED, 0), EPERM);
	notify_undo(b.notify, TWO_CHANGED | CREATED);
	notify_undo(b.notify, TWO_CHANGED);
	notify_look(b.notify, &s);
	assert_int_equal(s.done[COUNTER_FILES_CHANGED], 0);
	assert_int_equal(s.done[COUNTER_FILES_CREATED], 0);
	assert_int_equal(s.undone, 3);
	bench_end(&b);
}

static void a_window_holds_wherever_it_begins(void **state)
{
	/* Two bursts that a window of fixed buckets would part: 2 just before its edge, 1 after. */
	static const struct {
		uint64_t times_ms[4];
		int trips_at; /* index; -1: never */
	} rows[] = {
		{{0, 1, 2, 3}, 2},
		{{999, 999, 1000, 5000}, 2},
		{{0, 500, 1000, 2000}, 2},
		{{0, 500, 1001, 1500}, 3},
		{{0, 501, 1001, 1502}, -1},
		{{0, 1001, 2002, 3003}, -1},
		{{0, 1001, 1002, 1003}, 3},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct bench b;
		int tripped = -1;

		bench_begin(&b);
		bench_breaker(&b, DENIAL_COUNTED, 3, 1000, POSTURE_READ_ONLY, PHASE_ALTERNATE);
		bench_start(&b);
		for (int k = 0; k < 4; k++) {
			notify_denied(b.notify, DENIAL_COUNTED, rows[i].times_ms[k]);
			if (b.event_count && tripped < 0)
				tripped = k;
		}
		if (tripped != rows[i].trips_at)
			fail_msg("row %zu trips at %d", i, tripped);
		assert_int_equal(posture(&b), tripped < 0 ? 0 : POSTURE_READ_ONLY);
		bench_end(&b);
	}
}

static void a_slow_drip_trips_a_window_without_end_only(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_breaker(&b, DENIAL_COUNTED, 5, 1000, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_breaker(&b, DENIAL_COUNTED, 1000, 0, POSTURE_FROZEN, PHASE_CONTINGENCY);
	bench_start(&b);
	/* Four a window, for ever. */
	for (uint64_t i = 0; i < 999; i++)
		notify_denied(b.notify, DENIAL_COUNTED, i * 251);
	assert_int_equal(b.event_count, 0);
	notify_denied(b.notify, DENIAL_COUNTED, 999 * 251);
	assert_int_equal(b.event_count, 1);
	assert_int_equal(b.events[0].index, 1);
	assert_int_equal(b.events[0].value, 1000);
	bench_end(&b);
}

static void graver_kinds_trip_at_once_and_are_denials_too(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_breaker(&b, DENIAL_COUNTED, 3, 60000, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_breaker(&b, DENIAL_CANARY, 1, 0, POSTURE_DEAD, PHASE_EMERGENCY);
	bench_breaker(&b, DENIAL_ESCAPE, 2, 0, POSTURE_FROZEN, PHASE_CONTINGENCY);
	bench_start(&b);
	notify_denied(b.notify, DENIAL_QUIET, 1);
	notify_denied(b.notify, DENIAL_CLASS_COUNT, 1);
	assert_int_equal(done(&b, COUNTER_DENIALS), 0);
	notify_denied(b.notify, DENIAL_COUNTED, 1);
	notify_denied(b.notify, DENIAL_ESCAPE, 2);
	assert_int_equal(b.event_count, 0);
	notify_denied(b.notify, DENIAL_ESCAPE, 3);
	assert_int_equal(b.event_count, 2);
	assert_int_equal(b.events[0].index, 0);
	assert_int_equal(b.events[1].index, 2);
	notify_denied(b.notify, DENIAL_CANARY, 4);
	assert_int_equal(b.event_count, 3);
	assert_int_equal(b.events[2].phase, PHASE_EMERGENCY);
	assert_int_equal(posture(&b), POSTURE_DEAD);
	assert_int_equal(done(&b, COUNTER_DENIALS), 4);
	bench_end(&b);
}

static void a_breaker_says_again_what_is_news_and_nothing_else(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_breaker(&b, DENIAL_COUNTED, 2, 1000, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_start(&b);
	for (uint64_t t = 0; t < 10; t++)
		notify_denied(b.notify, DENIAL_COUNTED, t);
	assert_int_equal(b.event_count, 1);
	notify_set(b.notify, POSTURE_OPEN, PHASE_PRIMARY);
	notify_denied(b.notify, DENIAL_COUNTED, 20);
	assert_int_equal(b.event_count, 2);
	assert_int_equal(posture(&b), POSTURE_READ_ONLY);
	bench_end(&b);
}

static void a_clock_that_goes_back_stretches_no_window(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	bench_breaker(&b, DENIAL_COUNTED, 2, 1000, POSTURE_READ_ONLY, PHASE_ALTERNATE);
	bench_start(&b);
	notify_denied(b.notify, DENIAL_COUNTED, 50000);
	notify_denied(b.notify, DENIAL_COUNTED, 0); /* counts as at 50000 */
	assert_int_equal(b.event_count, 1);
	bench_end(&b);
}

static void entries_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		uint32_t class, count, posture, phase;
	} bad[] = {{DENIAL_QUIET, 1, 0, 0}, {DENIAL_CLASS_COUNT, 1, 0, 0},
		{DENIAL_COUNTED, 0, 0, 0}, {DENIAL_COUNTED, NOTIFY_BREAKER_COUNT_MAX + 1, 0, 0},
		{DENIAL_COUNTED, 1, POSTURE_ALL + 1, 0}, {DENIAL_COUNTED, 1, 0, PHASE_COUNT}};
	struct error err = {0};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		bench_begin(&b);
		bench_breaker(&b, bad[i].class, bad[i].count, 0, bad[i].posture, bad[i].phase);
		assert_int_equal(notify_create(&b.meter, NULL, &b.notify, &err), -EINVAL);
		assert_null(b.notify);
	}
	bench_begin(&b);
	bench_cap(&b, COUNTER_COUNT, 1, 0, 0);
	assert_int_equal(notify_create(&b.meter, NULL, &b.notify, &err), -EINVAL);
	bench_begin(&b);
	bench_step(&b, 0, 1, POSTURE_ALL + 1, 0);
	assert_int_equal(notify_create(&b.meter, NULL, &b.notify, &err), -EINVAL);
	bench_begin(&b);
	bench_breaker(&b, DENIAL_COUNTED, NOTIFY_BREAKER_COUNT_MAX, 0, 0, 0);
	bench_start(&b);
	bench_end(&b);
	notify_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_call_that_would_cross_a_cap_is_the_first_refused),
		cmocka_unit_test(a_cap_without_a_posture_goes_on_refusing_and_says_so_once),
		cmocka_unit_test(a_call_is_added_to_all_its_counters_or_to_none),
		cmocka_unit_test(a_threshold_is_reached_once_by_what_was_done_and_refused),
		cmocka_unit_test(a_frozen_run_is_refused_whatever_the_call_needs),
		cmocka_unit_test(a_posture_refuses_what_needs_it_and_nothing_else),
		cmocka_unit_test(a_person_can_open_what_a_cap_closed_and_the_cap_still_refuses),
		cmocka_unit_test(what_was_undone_can_be_done_again_and_what_it_set_off_stays),
		cmocka_unit_test(a_window_holds_wherever_it_begins),
		cmocka_unit_test(a_slow_drip_trips_a_window_without_end_only),
		cmocka_unit_test(graver_kinds_trip_at_once_and_are_denials_too),
		cmocka_unit_test(a_breaker_says_again_what_is_news_and_nothing_else),
		cmocka_unit_test(a_clock_that_goes_back_stretches_no_window),
		cmocka_unit_test(entries_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests_name("meter-notify", tests, NULL, NULL);
}
