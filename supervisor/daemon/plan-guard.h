/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "plan/plan.h"

/* What a plan has to be, whoever made it: asked by who applies it and knows by itself whose run it
 * is and what this host has. What the profile grants it cannot tell; that there are walls, and that
 * the run is nobody else's, it can. -EPROTO (kind INTERNAL) with what is wrong. */
int plan_guard(const Berm__Wire__Plan *plan, const struct profile *profile,
	const Berm__Wire__HostFacts *facts, const struct plan_request *request,
	struct error *err) must_check;
