/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/decide.h"

/* The effective profile of a run as the ceiling of what it starts. */

#define HEAD "version: 1\nname: p\n"

/* The decision about one thing: of the profile alone, of the run, and of both. */
static const struct {
	const char *profile, *run;
	enum operation operation;
	const char *object;
	enum decision alone, above, both;
} rows[] = {
	{HEAD "fs: {read: [/a]}\n", HEAD "fs: {read: [/b]}\n", OPERATION_READ, "/a/x",
		DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	{HEAD "fs: {read: [/a, /b]}\n", HEAD "fs: {read: [/b]}\n", OPERATION_READ, "/b/x",
		DECISION_ALLOW, DECISION_ALLOW, DECISION_ALLOW},
	{HEAD "fs: {write: [/a]}\n", HEAD "fs: {read: [/a]}\n", OPERATION_WRITE, "/a/x",
		DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	/* What the run above can write it cannot run: neither does what it starts. */
	{HEAD "fs: {read: [/a]}\n", HEAD "fs: {write: [/a]}\n", OPERATION_EXEC, "/a/x",
		DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	{HEAD "fs: {read: [/a]}\n", HEAD "fs: {write: [/a/w], read: [/a]}\n", OPERATION_EXEC,
		"/a/w/x", DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	{HEAD "fs: {read: [/a]}\n", HEAD "fs: {write: [/a/w], read: [/a]}\n", OPERATION_EXEC,
		"/a/x", DECISION_ALLOW, DECISION_ALLOW, DECISION_ALLOW},
	{HEAD "fs: {read: [/a]}\nexec: {allow: [{path: /a}]}\n",
		HEAD "fs: {write: [/a]}\nexec: {allow: [{path: /a}]}\n", OPERATION_EXEC, "/a/x",
		DECISION_ALLOW, DECISION_ALLOW, DECISION_ALLOW},
	{HEAD "fs: {read: [/a]}\n", HEAD "fs: {read: [/a]}\nsyscalls: {deny: [mkdir]}\n",
		OPERATION_SYSCALL, "mkdir", DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	{HEAD "network: {allow: [{host: a.example, ports: [443]}]}\n", HEAD, OPERATION_CONNECT,
		"a.example:443", DECISION_ALLOW, DECISION_DENY, DECISION_DENY},
	{HEAD "env: {pass: [FOO]}\n", HEAD, OPERATION_ENV, "FOO", DECISION_ALLOW, DECISION_DENY,
		DECISION_DENY},
};

static enum decision ask(const struct profile *p, size_t row)
{
	struct verdict verdict = {0};

	decide(p, rows[row].operation, rows[row].object, &verdict);
	return verdict.decision;
}

static void the_result_is_the_stricter_of_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading own, run;
		struct error err = {0};

		loading_init(&own);
		loading_init(&run);
		loading_good(&own, rows[i].profile);
		loading_good(&run, rows[i].run);
		if (ask(own.profile, i) != rows[i].alone || ask(run.profile, i) != rows[i].above)
			fail_msg("row %zu is not what it says", i);
		assert_int_equal(
			profile_narrow_to_run(own.profile, run.profile, &own.out, &err), 0);
		if (ask(own.profile, i) != rows[i].both)
			fail_msg("row %zu: %s", i, decision_name(ask(own.profile, i)));
	}
}

/* A grant that a ceiling left for reading alone is one for the next in the chain, too. */
static void what_may_not_run_stays_so_down_the_chain(void **state)
{
	autoloading struct loading first, second, third;
	struct verdict verdict = {0};
	struct error err = {0};

	(void)state;
	loading_init(&first);
	loading_init(&second);
	loading_init(&third);
	loading_good(&first, HEAD "fs: {write: [/a]}\n");
	loading_good(&second, HEAD "fs: {read: [/a]}\n");
	loading_good(&third, HEAD "fs: {read: [/a]}\n");
	assert_int_equal(
		profile_narrow_to_run(second.profile, first.profile, &second.out, &err), 0);
	assert_int_equal(profile_narrow_to_run(third.profile, second.profile, &third.out, &err), 0);
	decide(third.profile, OPERATION_EXEC, "/a/x", &verdict);
	assert_int_equal(verdict.decision, DECISION_DENY);
	decide(third.profile, OPERATION_READ, "/a/x", &verdict);
	assert_int_equal(verdict.decision, DECISION_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_result_is_the_stricter_of_both),
		cmocka_unit_test(what_may_not_run_stays_so_down_the_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
