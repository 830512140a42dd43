/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/changes.h"

#include <sys/types.h>

#define CHANGES_BY_BYTES 160

/* Whether who asks (groups_caller()) may commit the change set now: what an agent staged whose
 * group is not in primary needs somebody with a role (docs/pace.md), who says what they were shown.
 * bound: they did. ret_by: as whom, "" where nobody is needed. -EPERM (kind REFUSED) with the phase
 * named. */
int changes_approve(const char *state, const struct change_set *set, bool bound,
	char ret_by[CHANGES_BY_BYTES], struct error *err) must_check;
