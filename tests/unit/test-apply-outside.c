/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/outside.h"
#include "base/own.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static pid_t sleeper(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int try(const Berm__Wire__RunPlace *place)
{
	struct outside run;
	struct error err = {0};
	int r = outside_open(place, &run, &err);

	assert_true(r < 0 ? run.init_fd == -1 && run.cgroup_fd == -1 && err.text[0] : 1);
	outside_close(&run);
	return r;
}

/* All true but that it is no PID 1: what a liar could write about any process. */
static void a_process_that_is_not_first_in_its_namespace_is_no_run(void **state)
{
	Berm__Wire__RunPlace place;
	struct error err = {0};
	pid_t pid = sleeper();

	(void)state;
	assert_int_equal(outside_describe(pid, -1, &place, &err), 0);
	assert_int_equal(place.init_pid, pid);
	assert_true(place.init_start > 0 && place.seen_from > 0);
	assert_int_equal(try(&place), -ESRCH);
	assert_int_equal(kill(pid, 0), 0);
	end(pid);
	assert_int_equal(try(&place), -ESRCH);
	outside_place_finish(&place);
}

static void a_place_of_another_version_or_namespace_is_refused(void **state)
{
	Berm__Wire__RunPlace place;
	struct error err = {0};
	pid_t pid = sleeper();

	(void)state;
	assert_int_equal(outside_describe(pid, -1, &place, &err), 0);
	place.version = 2;
	assert_int_equal(try(&place), -EBADMSG);
	place.version = 1;
	place.seen_from++;
	assert_int_equal(try(&place), -EPERM);
	place.seen_from--;
	place.init_start++;
	assert_int_equal(try(&place), -ESRCH);
	for (unsigned bad = 0; bad < 2; bad++) {
		place.init_pid = bad;
		assert_int_equal(try(&place), -EBADMSG);
	}
	place.init_pid = UINT32_MAX;
	assert_int_equal(try(&place), -EBADMSG);
	outside_place_finish(&place);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_that_is_not_first_in_its_namespace_is_no_run),
		cmocka_unit_test(a_place_of_another_version_or_namespace_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
