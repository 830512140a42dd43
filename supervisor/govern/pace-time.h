/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/pace.h"

/* What the two halves of the machine share. */

/* What the table makes of the event, with the group's clock as it stands. */
void pace_attempt(
	struct pace_group *group, const struct pace_event *event, struct pace_outcome *outcome);
