/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/evidence.h"
#include "daemon/live-group.h"

/* The end of the time that an agent's run has: it is stopped, looked at as `berm kill` does, its
 * group is told, and then it is ended. A limit that the caller chose (--timeout) is no time box. */

struct time_box {
	bool is_over;
	uint64_t asked_ns, frozen_ns; /* boot time; 0: it could not be told */
	struct evidence evidence;
};

/* What is known of the run when its time is over. Borrowed. */
struct time_box_run {
	const struct session *session;
	struct run_handle *handle;
	pid_t init_pid;
	const char *stage; /* not NULL: its writes are a change set */
};

/* Stop the run, keep what it is, and tell its group; what fails is said. The session's effects are
 * as they are now. False, and nothing is done, where the limit that was reached is none of the
 * agent's. */
bool time_box_over(struct time_box *box, const struct time_box_run *run, struct live_group *group);
/* The run is gone: put what was kept into the log. Nothing where its time was not over. */
void time_box_record(const struct time_box *box, const struct session *session);
