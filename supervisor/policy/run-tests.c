/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/run-tests.h"

#include <string.h>

#include "policy/decide.h"

#define SHOWN_BYTES_MAX 200

static void put(struct text *out, const char *text)
{
	text_escape(out, text, strlen(text), SHOWN_BYTES_MAX);
}

static void report(const struct test_rule *test, const struct verdict *v, struct text *out)
{
	put(out, test->at.file);
	text_printf(out, ":%u:%u: failed: ", test->at.line, test->at.column);
	if (test->name) {
		put(out, test->name);
		text_puts(out, ": ");
	}
	text_printf(out, "%s ", test->operation);
	put(out, test->object);
	text_printf(out, " is %s by %s", decision_name(v->decision), v->rule);
	if (v->value) {
		text_puts(out, " ");
		put(out, v->value);
	}
	if (v->at.line) {
		text_puts(out, " (");
		put(out, v->at.file);
		text_printf(out, ":%u)", v->at.line);
	}
	text_printf(out, ", expected %s\n", decision_name(test->expect));
}

void profile_run_tests(
	const struct profile *profile, struct tests_summary *ret_summary, struct text *failures)
{
	struct tests_summary summary = {0};

	for (size_t i = 0; i < profile->tests.count; i++) {
		const struct test_rule *test = &profile->tests.items[i];
		enum operation operation = operation_from_name(test->operation);
		struct verdict v;

		if (operation == OPERATION_COUNT) {
			summary.skipped++;
			continue;
		}
		decide(profile, operation, test->object, &v);
		if (v.decision == test->expect) {
			summary.passed++;
			continue;
		}
		summary.failed++;
		report(test, &v, failures);
	}
	*ret_summary = summary;
}
