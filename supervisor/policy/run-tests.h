/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "policy/profile.h"

struct tests_summary {
	unsigned passed, failed;
	unsigned skipped; /* about what this build cannot decide yet (tool) */
};

/* Ask decide() what the profile's own `tests` ask. Each one that does not get the decision it
 * expects is appended to failures as "file:line:column: failed: …", with the rule that decided.
 * Pure. */
void profile_run_tests(
	const struct profile *profile, struct tests_summary *ret_summary, struct text *failures);
