/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/plan.h"
#include "policy/load.h"

/* profile_load() and plan_compile(), by the planner of this process (daemon/planner.h). Their
 * contracts; besides, kind INTERNAL where the planner fails. */

/* The files are opened here: the profile is made of those, all ceilings among them, and of no
 * others, and its digest is theirs, whatever the planner says. */
int planned_load(const struct profile_request *request, struct profile **ret_profile,
	struct text *diagnostics, struct error *err) must_check;
/* What a plan has to be whoever made it is asked of it: daemon/plan-guard.h. */
int planned_compile(const struct profile *profile, const Berm__Wire__HostFacts *facts,
	const struct plan_request *request, Berm__Wire__Plan **ret_plan, struct text *notes,
	struct error *err) must_check;
