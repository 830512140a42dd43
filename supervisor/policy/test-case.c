/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/test-case.h"

#include "policy/pace.h"

#include <inttypes.h>
#include <string.h>

#define SHOWN_BYTES_MAX 200

static const char *const state_names[PHASE_COUNT] = {
	[PHASE_PRIMARY] = "primary",
	[PHASE_ALTERNATE] = "alternate",
	[PHASE_CONTINGENCY] = "contingency",
	[PHASE_EMERGENCY] = "emergency",
};

const char *test_state_name(enum phase phase)
{
	return state_names[phase];
}

const char *test_outcome_name(enum test_outcome outcome)
{
	static const char *const names[TEST_OUTCOME_COUNT] = {
		[TEST_PASSED] = "PASS", [TEST_FAILED] = "FAIL", [TEST_SKIPPED] = "SKIP"};

	return names[outcome];
}

struct test_case test_case_of(const struct test_rule *rule, struct test_step *ret_step)
{
	*ret_step = (struct test_step){rule->operation, rule->object, 1};
	return (struct test_case){
		.kind = TEST_DECISION,
		.name = rule->name,
		.steps = ret_step,
		.step_count = 1,
		.expect = rule->expect,
		.at = rule->at,
	};
}

static void put(struct text *out, const char *text)
{
	text_escape(out, text, strlen(text), SHOWN_BYTES_MAX);
}

static void put_place(struct text *out, const struct source *at)
{
	if (!at->line)
		return;
	text_puts(out, " (");
	put(out, at->file);
	text_printf(out, ":%u)", at->line);
}

static enum test_outcome ask_decision(
	const struct profile *profile, const struct test_case *test, struct text *why)
{
	const struct test_step *step = &test->steps[0];
	struct verdict v;

	decide(profile, operation_from_name(step->operation), step->object, &v);
	if (v.decision == test->expect)
		return TEST_PASSED;
	text_printf(why, "expected %s, got %s by %s", decision_name(test->expect),
		decision_name(v.decision), v.rule);
	if (v.value) {
		text_puts(why, " ");
		put(why, v.value);
	}
	put_place(why, &v.at);
	return TEST_FAILED;
}

/* Refusals of the steps by class. What is not granted for reading is not visible, and so refused by
 * nobody. */
static void count_refusals(const struct profile *profile, const struct test_case *test,
	test_class_of *class_of, uint64_t counts[DENIAL_CLASS_COUNT])
{
	for (size_t i = 0; i < test->step_count; i++) {
		const struct test_step *step = &test->steps[i];
		enum denial_class class;
		struct verdict v;

		decide(profile, operation_from_name(step->operation), step->object, &v);
		if (v.decision == DECISION_ALLOW || strcmp(v.rule, "malformed") == 0)
			continue;
		if (strcmp(step->operation, "read") == 0 && strcmp(v.rule, "fs.default") == 0)
			continue;
		class = strcmp(v.rule, "fs.canaries") == 0
				? DENIAL_CANARY
				: class_of(step->operation, step->object);
		counts[class] += step->times;
	}
}

/* Whether so many refusals pull the trigger. Every refusal that counts at all is also a denial. */
static bool is_pulled(const struct trigger *t, const uint64_t counts[DENIAL_CLASS_COUNT])
{
	switch (t->event) {
	case TRIGGER_DENIAL:
		return counts[DENIAL_COUNTED] + counts[DENIAL_CANARY] + counts[DENIAL_ESCAPE] >=
		       t->count.value;
	case TRIGGER_CANARY_TOUCHED:
		return counts[DENIAL_CANARY] > 0;
	case TRIGGER_ESCAPE_ATTEMPT:
		return counts[DENIAL_ESCAPE] > 0;
	case TRIGGER_BLAST_RADIUS:
	case TRIGGER_TOOL_CHANGED:
	case TRIGGER_APPROVALS_UNREACHABLE:
	case TRIGGER_RECORDER_FAILED:
	case TRIGGER_COUNT:
		break;
	}
	return false;
}

static enum phase state_after(const struct profile *profile,
	const uint64_t counts[DENIAL_CLASS_COUNT], struct source *ret_at)
{
	for (enum phase phase = PHASE_EMERGENCY; phase > PHASE_PRIMARY; phase--) {
		const struct triggers *when = &pace_rules(profile, phase)->when;

		for (size_t i = 0; i < when->count; i++) {
			*ret_at = when->items[i].at;
			if (is_pulled(&when->items[i], counts))
				return phase;
		}
	}
	*ret_at = (struct source){0};
	return PHASE_PRIMARY;
}

/* Where a state that was expected would have come from. */
static void put_triggers(const struct profile *profile, enum phase phase, struct text *why)
{
	const struct triggers *when =
		phase == PHASE_PRIMARY ? NULL : &pace_rules(profile, phase)->when;

	for (size_t i = 0; when && i < when->count; i++) {
		const struct trigger *t = &when->items[i];

		if (t->event == TRIGGER_DENIAL) {
			text_printf(why, "; it takes %" PRIu64 " refusals", t->count.value);
			put_place(why, &t->at);
		}
	}
}

static enum test_outcome ask_state(const struct profile *profile, const struct test_case *test,
	test_class_of *class_of, struct text *why)
{
	uint64_t counts[DENIAL_CLASS_COUNT] = {0};
	struct source at;
	enum phase state;

	count_refusals(profile, test, class_of, counts);
	state = state_after(profile, counts, &at);
	if (state == test->expect_state)
		return TEST_PASSED;
	text_printf(why,
		"expected state %s, got %s after %" PRIu64 " refusals, %" PRIu64
		" of canaries and %" PRIu64 " of escapes",
		state_names[test->expect_state], state_names[state],
		counts[DENIAL_COUNTED] + counts[DENIAL_CANARY] + counts[DENIAL_ESCAPE],
		counts[DENIAL_CANARY], counts[DENIAL_ESCAPE]);
	put_place(why, &at);
	put_triggers(profile, test->expect_state, why);
	return TEST_FAILED;
}

enum test_outcome test_case_ask(const struct profile *profile, const struct test_case *test,
	test_class_of *class_of, struct text *why)
{
	if (test->kind == TEST_RUN) {
		text_puts(why, "needs --live");
		return TEST_SKIPPED;
	}
	for (size_t i = 0; i < test->step_count; i++) {
		if (operation_from_name(test->steps[i].operation) != OPERATION_COUNT)
			continue;
		text_puts(why, "needs the tool proxy");
		return TEST_SKIPPED;
	}
	return test->kind == TEST_STATE ? ask_state(profile, test, class_of, why)
					: ask_decision(profile, test, why);
}
