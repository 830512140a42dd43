/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/diagnostics.h"

/* Narrow a profile to what an operator's ceiling allows as well. For every operation the result is
 * the stricter of the two decisions; it never allows what the profile did not. A ceiling is a whole
 * profile: what it does not allow is not allowed. What is taken away is reported as a note with
 * both places. What the result holds of the ceiling is borrowed from it. Returns 0, or -ENOMEM. */
int ceiling_apply(struct profile *profile, const struct profile *ceiling, struct arena *arena,
	struct diagnostics *d) must_check;

/* The same with the effective profile of a run that lasts, for what that run starts: besides, no
 * program runs from where that run can write, so that it runs nothing by others that it could not
 * run itself. An operator's ceiling is a bound and says nothing of that kind. */
int ceiling_of_run(struct profile *profile, const struct profile *ceiling, struct arena *arena,
	struct diagnostics *d) must_check;

/* Whether a profile can be what ceiling_apply() made of some profile by those ceilings, in that
 * order: programs of gates and approvals with who runs them, who is asked before what, limits, caps
 * and demands of the host. Rules of lists are not looked at. For who was told that it is; what it
 * needs from `arena`. *ret_wrong: what cannot be ("has …"), static, or NULL. Returns 0, or -ENOMEM.
 */
int ceilings_hold(const struct profile *profile, const struct profile *const *ceilings,
	size_t count, struct arena *arena, const char **ret_wrong) must_check;
