/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A run of a plan, put under the meter in one call. */

#include "meter/meter.h"
#include "wire/plan.pb-c.h"

#include <sys/types.h>

struct meter_joined;

/* Where the run is, and what the plan does not say. */
struct meter_place {
	pid_t init_pid;  /* first process of the run: its root is the run's root, its walls stand,
			    it has one thread and waits */
	int init_pidfd;  /* of the same process; borrowed */
	int cgroup_fd;   /* directory of the run's own cgroup, borrowed; -1 = none */
	uint64_t run_id; /* never reused, not 0 */
	uint32_t agent;  /* account, or 0 */
	uint32_t group;  /* account, or 0 */
	bool activity;   /* report what was let through, too */
	uint32_t orphan_posture; /* while nobody gives a sign of life for so long */
	uint64_t orphan_after_ns;
};

/* Turn plan->meter into limits, rules and anchors, and put the process into a new run. Every mount
 * of its namespace is anchored, also those that came with a recursive one; where nothing is said
 * about a mount, it has the rights that its flags leave. Release with meter_leave() when no task of
 * the run is left. Errors: ERROR_UNSUPPORTED naming what this meter cannot hold; nothing is left
 * behind then. */
int meter_join(struct meter *meter, const Berm__Wire__Plan *plan, const struct meter_place *place,
	struct meter_joined **ret_joined, struct error *err) must_check;
/* Its slot, which is also the number of its account. */
uint32_t meter_joined_slot(const struct meter_joined *joined);
/* End the run: what is left of it is refused everything. NULL is fine. */
void meter_leave(struct meter_joined *joined);

/* Which part of the plan an event of a cap, a step or a breaker comes from. */
struct meter_origin {
	uint32_t rule;  /* index into Plan.rules */
	uint32_t phase; /* PHASE_… that the run is in from then on; PHASE_PRIMARY: no change */
};
/* False for events that no part of the plan's meter made. */
bool meter_origin_of(const Berm__Wire__Meter *plan, const struct meter_event *event,
	struct meter_origin *ret_origin);

/* Caps, steps and breakers of a plan, with ids for meter_origin_of(). Errors: ERROR_UNSUPPORTED
 * for what does not fit. */
int meter_limits_of_plan(const Berm__Wire__Meter *plan, struct meter_limits *ret_limits,
	struct error *err) must_check;

/* The rights of a mount point of the run: what the plan's anchors say of this path, else what the
 * plan mounts there, else what holds above it. read_only: what the kernel says of the mount. */
uint32_t meter_rights_at(
	const Berm__Wire__Plan *plan, const char *path, bool read_only, uint32_t *ret_rule);
