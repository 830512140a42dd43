/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn-internal.h"

#include <string.h>

#define SAID_MAX 20
#define OBJECT_SHOWN_MAX 512

/* What the model has to say about each class once the proposal is a profile. */
static const enum expected {
	EXPECT_ALLOW,
	EXPECT_NO,
	EXPECT_ANY,
} expected[LEARN_CLASS_COUNT] = {
	[LEARN_COVERED] = EXPECT_ALLOW,
	[LEARN_OWN] = EXPECT_NO,
	[LEARN_NOTHING] = EXPECT_ANY, /* a directory around it may be proposed */
	[LEARN_PROPOSED] = EXPECT_ALLOW,
	[LEARN_SECRET] = EXPECT_NO,
	[LEARN_RULED_OUT] = EXPECT_NO,
	[LEARN_OUTSIDE] = EXPECT_NO,
	[LEARN_LISTING] = EXPECT_NO,
	[LEARN_NAMELESS] = EXPECT_NO,
	[LEARN_PROGRAM] = EXPECT_NO,
	[LEARN_NETWORK] = EXPECT_NO,
	[LEARN_CALL] = EXPECT_NO,
};

static bool holds(enum expected expect, enum decision decision)
{
	return expect == EXPECT_ANY || (expect == EXPECT_ALLOW) == (decision == DECISION_ALLOW);
}

size_t learn_check(const struct learn *learn, const struct learn_proposal *proposal,
	const struct profile *made, struct text *out)
{
	size_t wrong = 0;

	for (size_t i = 0; i < learn->count; i++) {
		const struct learn_observation *seen = &learn->items[i];
		enum learn_class class = proposal->classes[i];
		struct verdict verdict;

		decide(made, seen->operation, seen->object, &verdict);
		if (holds(expected[class], verdict.decision) || ++wrong > SAID_MAX)
			continue;
		text_printf(out, "%s ", operation_name(seen->operation));
		text_escape(out, seen->object, strlen(seen->object), OBJECT_SHOWN_MAX);
		text_printf(out, ": %s by %s, although: %s\n", decision_name(verdict.decision),
			verdict.rule, learn_class_words(class));
	}
	return wrong;
}
