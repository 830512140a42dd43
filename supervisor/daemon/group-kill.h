/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* The runs of a group in emergency, ended from outside by their places. Each run's own berm looks
 * at the group's file too and would end it, but may be stopped, hang or be flooded; and a run whose
 * agent came to the group after it began looks at another file. */

struct group_killed {
	unsigned gone;      /* no process of them is left */
	unsigned left;      /* still there, or not to be found */
	unsigned done;      /* set of enum pace_action: what of the emergency is done now */
	struct error error; /* code 0, or why some are left */
};

/* Hold no lock. by: who declared it or what found it, for people. Takes up to KILL_WAIT_MS where a
 * process waits in the kernel. */
void group_kill(
	const char *state, const char *group, const char *by, struct group_killed *ret_killed);
