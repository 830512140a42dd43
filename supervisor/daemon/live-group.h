/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/group-tell.h"
#include "daemon/group-watch.h"
#include "daemon/metering.h"
#include "daemon/session.h"

/* A run and the group of its agent, both ways: the phase is a floor for what the run may do, and
 * what the run did is told to the group. A run without a group: all of it does nothing. */

struct live_group {
	struct group_watch *watch; /* owned; NULL: no group */
	unsigned floor;            /* POSTURE_… that the group's phase asks for */
	struct group_told told;
	bool time_box_over; /* of the run */
};

int live_group_begin(
	struct live_group *group, const struct session *session, struct error *err) must_check;
/* Readable when live_group_look() may have something to do; -1: never. */
int live_group_fd(const struct live_group *group);
/* The phase as it is now. metering: NULL for a run that nothing meters; handle: NULL before the run
 * has entered. */
void live_group_look(struct live_group *group, struct session *session, struct metering *metering,
	struct run_handle *handle);
/* What the session's effects say, to the group. is_last: the run is over. */
void live_group_tell(struct live_group *group, const struct session *session, bool is_last);
void live_group_end(struct live_group *group);

/* Without a meter a run can be stopped, but not be told what to refuse: POSTURE_OPEN, or one that
 * freezes. Kind REFUSED for all others, and where handle is NULL. */
int live_set_unmetered(struct session *session, struct run_handle *handle, unsigned posture,
	struct error *err) must_check;
