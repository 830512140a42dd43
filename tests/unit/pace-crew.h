/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A group called crew with a backup and an agent for contingency, and what its tests do with it. */

#include "govern/pace.h"
#include "pace-names.h"

#include <stdio.h>

static const uint8_t group_id[PACE_ID_BYTES] = {7, 1};

#define HOUR (3600 * 1000ULL)

static inline struct pace_now at(uint64_t ms)
{
	return (struct pace_now){
		.boot_id = {1}, .boot_ms = 1000 + ms, .wall_ms = 1795378443118 + ms};
}

/* In that phase for so long that no wait is left; nothing is open. */
static inline struct pace_group ripe(unsigned phase, unsigned tier)
{
	struct pace_group group;
	struct pace_now begin = at(0);

	pace_group_start(&group, "crew", group_id, tier, PHASE_PRIMARY, &begin);
	group.phase = phase;
	snprintf(group.backup, sizeof(group.backup), SPARE);
	snprintf(group.contingency, sizeof(group.contingency), LAST);
	return group;
}

static inline struct pace_group in_phase(unsigned phase)
{
	return ripe(phase, 2);
}

static inline struct pace_outcome apply(
	struct pace_group *group, uint64_t ms, const struct pace_event *event)
{
	struct pace_now now = at(ms);
	struct pace_outcome o;

	pace_apply(group, &now, event, &o);
	return o;
}

static const struct pace_event suspect_a = {
	.trigger = PACE_BREAKER, .authority = PACE_BY_BERM, .to = PHASE_COUNT, .agent = ALPHA};
