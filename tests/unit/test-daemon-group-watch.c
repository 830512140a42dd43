/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/group-watch.h"
#include "daemon/groups-internal.h"

#include "tree.h"

#include <sys/resource.h>
#include <time.h>

/* What a run sees of its group's file when that, or this process, has a bad moment. */

#define AGENT "0123456789ABCDEFGHJKMNPQRS"

static struct group_watch *watch;

static int open_watch(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	static const uint8_t id[PACE_ID_BYTES] = {1};
	struct pace_group group;
	struct pace_now now;
	struct error err = {0};

	if (make_tree(state) < 0 || groups_open(in_top("state"), &groups, &err) < 0 ||
		groups_now(&now, &err) < 0)
		return -1;
	pace_group_start(&group, "crew", id, 2, PHASE_PRIMARY, &now);
	if (group_write(&groups, &group, &(struct group_log){0}, &err) < 0)
		return -1;
	return group_watch_open(in_top("state"), "crew", AGENT, &watch, &err);
}

static int close_watch(void **state)
{
	group_watch_close(watch);
	watch = NULL;
	return remove_tree(state);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static unsigned posture(bool *ret_is_new)
{
	struct pace_effects effects;
	unsigned phase;

	*ret_is_new = group_watch_look(watch, &effects, &phase);
	return effects.posture;
}

static void set_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = count == RLIM_INFINITY ? limit.rlim_max : count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void a_moment_without_descriptors_changes_nothing_and_longer_is_unknown(void **state)
{
	bool is_new;
	uint64_t begin;
	unsigned seen;

	(void)state;
	assert_int_equal(posture(&is_new), POSTURE_OPEN);
	assert_true(is_new);
	set_descriptors(0);
	begin = now_ms();
	seen = posture(&is_new);
	while (seen == POSTURE_OPEN && now_ms() - begin < 60000) {
		assert_false(is_new);
		usleep(10000);
		seen = posture(&is_new);
	}
	set_descriptors(RLIM_INFINITY);
	assert_int_equal(seen, POSTURE_FROZEN);
	assert_true(is_new);
	assert_true(now_ms() - begin >= GROUP_WATCH_BLIND_MS);
	assert_int_equal(posture(&is_new), POSTURE_OPEN);
	assert_true(is_new);
	/* The next such moment is another one. */
	set_descriptors(0);
	assert_int_equal(posture(&is_new), POSTURE_OPEN);
	set_descriptors(RLIM_INFINITY);
}

static void the_first_look_has_nothing_to_hold_on_to(void **state)
{
	bool is_new;

	(void)state;
	set_descriptors(0);
	assert_int_equal(posture(&is_new), POSTURE_FROZEN);
	set_descriptors(RLIM_INFINITY);
	assert_int_equal(posture(&is_new), POSTURE_OPEN);
}

static void a_file_that_is_cut_or_gone_is_unknown_at_once(void **state)
{
	bool is_new;

	(void)state;
	assert_int_equal(posture(&is_new), POSTURE_OPEN);
	assert_int_equal(truncate(in_top("state/groups/crew"), 20), 0);
	assert_int_equal(posture(&is_new), POSTURE_FROZEN);
	assert_true(is_new);
	assert_int_equal(unlink(in_top("state/groups/crew")), 0);
	assert_int_equal(posture(&is_new), POSTURE_FROZEN);
}

#define watching(test) cmocka_unit_test_setup_teardown(test, open_watch, close_watch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		watching(a_moment_without_descriptors_changes_nothing_and_longer_is_unknown),
		watching(the_first_look_has_nothing_to_hold_on_to),
		watching(a_file_that_is_cut_or_gone_is_unknown_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
