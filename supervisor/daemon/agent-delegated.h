/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct denial_rule;
struct limit;
struct session;

/* A run of an agent that another run's tool asked for: the steps of agent-run.h that differ. */

/* The agent was looked for (found: what agents_read() said). May the run above delegate to it? What
 * is absent and what it may not delegate to are one answer. */
int agent_delegated_find(struct session *session, int found, struct error *err) must_check;
/* Narrow the profile that was loaded, which is session->own_profile as well, to that of the run
 * above, and to what is left of its caps and its time. */
int agent_delegated_narrow(struct session *session, struct error *err) must_check;
/* True where it is what is left of the run above, and no limit of this run's own. */
bool agent_delegated_limits(const struct limit *limit);
/* True where the session's agent might have done it, had nobody delegated the run: *rule says so
 * then. operation: as in a denial. */
bool agent_delegated_explains(const struct session *session, const char *operation,
	const char *target, struct denial_rule *rule);
