/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/delegated.h"
#include "daemon/session.h"

/* What a run that lasts has to do with delegation: the runs that its tool began, and the run whose
 * tool began it. */

struct live_delegation {
	struct delegations below;
	struct delegated_link above;
	const char *why; /* the run was ended from above: half a sentence, static; or NULL */
};
#define LIVE_DELEGATION_INIT                                                                       \
	(struct live_delegation)                                                                   \
	{                                                                                          \
		.below = DELEGATIONS_NONE                                                          \
	}

int live_delegation_begin(struct live_delegation *d, struct session *session, int epoll_fd,
	struct error *err) must_check;
/* The run has its first process, and its meter. An error: the run above has ended meanwhile. */
int live_delegation_enter(struct live_delegation *d, struct session *session,
	const struct run_entry *entry, struct metering *metering, struct error *err) must_check;
/* Take what is there from both sides. True where the posture of this run was changed by it. */
bool live_delegation_look(struct live_delegation *d, struct session *session,
	struct metering *metering, struct run_handle *handle);
/* POSTURE_… that nobody takes from this run while it lasts. */
unsigned live_delegation_floor(const struct live_delegation *d);
/* Before the run's receipt is written, which says who ended it. */
void live_delegation_end(struct live_delegation *d, struct run_result *result);
