/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Rows of "this operation on this object is decided so, by that rule". Included after test.h. */

#include "policy/decide.h"

#include <string.h>

struct row {
	enum operation operation;
	const char *object;
	enum decision decision;
	const char *rule;
};

#define READ OPERATION_READ
#define WRITE OPERATION_WRITE
#define EXEC OPERATION_EXEC
#define CONNECT OPERATION_CONNECT
#define SYSCALL OPERATION_SYSCALL
#define ENV OPERATION_ENV
#define DENY DECISION_DENY
#define ASK DECISION_ASK
#define ALLOW DECISION_ALLOW

static inline void check_rows(const struct profile *profile, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct verdict v;

		decide(profile, rows[i].operation, rows[i].object, &v);
		if (v.decision != rows[i].decision || strcmp(v.rule, rows[i].rule) != 0)
			fail_msg("%s %s: %s by %s, expected %s by %s",
				operation_name(rows[i].operation), rows[i].object,
				decision_name(v.decision), v.rule, decision_name(rows[i].decision),
				rows[i].rule);
		assert_non_null(v.at.file);
		if (v.decision == DECISION_ALLOW)
			assert_string_equal(v.hint, "");
	}
}
