/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "policy/decide.h"
#include "wire/effects.h"

#define TEST_TIMES_MAX 100000 /* of one step */

enum test_kind {
	TEST_DECISION, /* one step, and what must be decided */
	TEST_STATE,    /* steps, and the state of pace they must lead to */
	TEST_RUN,      /* a command that really runs */
	TEST_KIND_COUNT
};

struct test_step {
	const char *operation; /* "read" …; "tool" is known and cannot be decided yet */
	const char *object;
	unsigned times;
};

/* One case of a profile's tests or of a test file. All borrowed from what it was read into. */
struct test_case {
	enum test_kind kind;
	const char *name; /* or NULL */
	const struct test_step *steps;
	size_t step_count;
	enum decision expect;    /* TEST_DECISION */
	enum phase expect_state; /* TEST_STATE */
	const char *const *run;  /* TEST_RUN: NULL-terminated */
	int expect_exit;         /* TEST_RUN */
	struct source at;
};

enum test_outcome { TEST_PASSED, TEST_FAILED, TEST_SKIPPED, TEST_OUTCOME_COUNT };

/* What a refusal means for the breaker, by the operation's name and its object: the meter's own
 * answer, which this layer does not know. */
typedef enum denial_class test_class_of(const char *operation, const char *object);

/* Ask the model: decide(), and for states the triggers of pace with all steps at one moment. why
 * receives the reason where the case did not pass; what quotes the profile is escaped. Pure. */
enum test_outcome test_case_ask(const struct profile *profile, const struct test_case *test,
	test_class_of *class_of, struct text *why);

/* The case of a line of the profile's own tests; ret_step is what it points to. */
struct test_case test_case_of(const struct test_rule *rule, struct test_step *ret_step);

/* "primary" … "emergency". Static. */
const char *test_state_name(enum phase phase);
/* "PASS", "FAIL", "SKIP". Static. */
const char *test_outcome_name(enum test_outcome outcome);
