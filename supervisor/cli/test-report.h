/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/test-case.h"

/* What `berm profile test` found, and how it says it. */

struct test_result {
	const struct test_case *test; /* borrowed */
	enum test_outcome outcome;
	struct text why; /* where it did not pass */
};

/* The cases of one file against one profile. */
struct test_suite {
	const char *file; /* as shown; borrowed */
	struct test_result *results;
	size_t count;
};

struct test_report {
	struct test_suite *suites; /* owned, with what they hold but the cases */
	size_t count;
};

struct test_totals {
	unsigned of[TEST_OUTCOME_COUNT];
};

/* A new suite with room for count results; NULL when memory ran out. Valid until the next one. */
struct test_suite *test_report_add(struct test_report *report, const char *file, size_t count);
void test_report_finish(struct test_report *report);
#define autoreport __attribute__((cleanup(test_report_finish)))

struct test_totals test_report_totals(const struct test_report *report);
/* "PASS file  name" a line, then one line of sums. */
void test_report_lines(const struct test_report *report, bool fail_only, struct text *out);
void test_report_json(const struct test_report *report, struct text *out);
/* JUnit's XML, as CI systems read it. */
void test_report_junit(const struct test_report *report, struct text *out);

/* The case's name, or what it does. Escaped. */
void test_report_name(const struct test_case *test, struct text *out);
