/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/run-tests.h"

#include "base/own.h"
#include "loading.h"

#define HEAD "version: 1\nname: p\nfs: {read: [/usr]}\n"

static void run(struct loading *l, const char *text, struct tests_summary *ret_summary,
	struct text *failures)
{
	if (loading_text(l, text) < 0)
		fail_msg("%s\n%s", l->err.text, text_string(&l->out));
	profile_run_tests(l->profile, ret_summary, failures);
	assert_false(failures->failed);
}

static void tests_pass_fail_and_are_skipped(void **state)
{
	autoloading struct loading l;
	autotext struct text failures = {0};
	struct tests_summary summary;

	(void)state;
	loading_init(&l);
	run(&l,
		HEAD "tests:\n"
		     "  - {do: read /usr/x, expect: allow}\n"
		     "  - {do: read /etc/x, expect: deny}\n"
		     "  - {do: tool files.move, expect: deny}\n",
		&summary, &failures);
	assert_int_equal(summary.passed, 2);
	assert_int_equal(summary.failed, 0);
	assert_int_equal(summary.skipped, 1);
	assert_string_equal(text_string(&failures), "");
}

static void a_failure_names_the_test_the_decision_and_the_line(void **state)
{
	autoloading struct loading l;
	autotext struct text failures = {0}, expected = {0};
	struct tests_summary summary;

	(void)state;
	loading_init(&l);
	run(&l,
		HEAD "tests:\n"
		     "  - {do: read /usr/x, expect: deny, name: nothing is read}\n"
		     "  - {do: read /etc/x, expect: ask}\n"
		     "  - {do: write /usr/x, expect: deny}\n",
		&summary, &failures);
	assert_int_equal(summary.passed, 1);
	assert_int_equal(summary.failed, 2);
	text_printf(&expected,
		"%s/p.yaml:5:5: failed: nothing is read: read /usr/x is allow by fs.read /usr "
		"(%s/p.yaml:3), expected deny\n"
		"%s/p.yaml:6:5: failed: read /etc/x is deny by fs.default, expected ask\n",
		l.dir, l.dir, l.dir);
	assert_string_equal(text_string(&failures), text_string(&expected));
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(tests_pass_fail_and_are_skipped),
		cmocka_unit_test(a_failure_names_the_test_the_decision_and_the_line),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
