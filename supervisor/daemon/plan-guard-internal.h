/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "plan/plan.h"

/* Between the files of plan_guard(). */

struct guarded {
	const Berm__Wire__Plan *plan;
	const struct profile *profile;
	const Berm__Wire__HostFacts *facts;
	const struct plan_request *request;
	struct error *err;
};

/* plan-guard.c */
/* -EPROTO with "the planner's plan WHAT". */
int guard_wrong(const struct guarded *g, const char *what);
/* The plan does without that feature. */
bool guard_is_degraded(const struct guarded *g, const char *feature);

/* plan-guard-bounds.c: the caps and limits of the profile, all of them, by what counts here. */
int guard_bounds(const struct guarded *g) must_check;

/* plan-guard-host.c: what is done with root's rights where the plan says so. */
int guard_mounts(const struct guarded *g) must_check;
int guard_network(const struct guarded *g) must_check;
int guard_cgroup(const struct guarded *g) must_check;
