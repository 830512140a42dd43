/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/pace.h"

#include <string.h>

/* Half of what an agent must keep to, by the phase of its group. */
struct phase_effects {
	struct pace_effects chosen; /* of the one agent that the phase leaves something to do */
	struct pace_effects others;
};

/* clang-format off */
static const struct phase_effects table[PHASE_COUNT] = {
	[PHASE_PRIMARY] = {
		.chosen = {.may_start = true, .why = "its group is in primary"},
		.others = {.may_start = true, .why = "its group is in primary"},
	},
	[PHASE_ALTERNATE] = {
		.chosen = {
			.posture = POSTURE_NO_WRITE, .posture_staged = POSTURE_NO_WRITE, .may_start = true, .read_only = true,
			.thresholds_halved = true, .approve_writes = true,
			.why = "it is the backup of a group in alternate",
		},
		.others = {
			.posture = POSTURE_NO_WRITE, .may_start = true, .thresholds_halved = true, .approve_writes = true,
			.why = "writes of a group in alternate need a person",
		},
	},
	[PHASE_CONTINGENCY] = {
		.chosen = {
			.posture = POSTURE_READ_ONLY, .posture_staged = POSTURE_NO_NETWORK, .may_start = true,
			.thresholds_halved = true, .approve_writes = true, .approve_runs = true, .no_traffic = true,
			.why = "it is the one agent of a group in contingency",
		},
		.others = {
			.posture = POSTURE_FROZEN, .posture_staged = POSTURE_FROZEN, .read_only = true,
			.thresholds_halved = true, .approve_writes = true, .approve_runs = true, .no_traffic = true,
			.why = "its group is in contingency",
		},
	},
	[PHASE_EMERGENCY] = {
		.chosen = {
			.posture = POSTURE_DEAD, .posture_staged = POSTURE_DEAD, .read_only = true,
			.thresholds_halved = true, .approve_writes = true, .approve_runs = true, .no_traffic = true,
			.why = "its group is in emergency",
		},
		.others = {
			.posture = POSTURE_DEAD, .posture_staged = POSTURE_DEAD, .read_only = true,
			.thresholds_halved = true, .approve_writes = true, .approve_runs = true, .no_traffic = true,
			.why = "its group is in emergency",
		},
	},
};
/* clang-format on */

/* Ids of agents are never empty: "" is a group without such an agent, or a run without one. */
static bool is_named(const char *id, const char *agent)
{
	return agent[0] && strcmp(id, agent) == 0;
}

bool pace_request_holds(const struct pace_request *request, const char *agent)
{
	bool holds = request->open && (!request->agent[0] || is_named(request->agent, agent));

	for (size_t i = 0; request->open && i < request->more_count; i++)
		holds |= !request->more[i].agent[0] || is_named(request->more[i].agent, agent);
	return holds;
}

static const char *why_isolated(const struct pace_group *group, const char *agent)
{
	if (group->all_isolated)
		return "too many agents of its group are isolated";
	for (size_t i = 0; i < group->isolated_count; i++)
		if (is_named(group->isolated[i].agent, agent))
			return "it is isolated";
	for (size_t i = 0; i < PACE_SLOT_COUNT; i++)
		if (pace_request_holds(&group->requests[i], agent))
			return "it is held until somebody decides about its group";
	return NULL;
}

bool pace_holds(const struct pace_group *group, const char *agent)
{
	return group->phase != PHASE_PRIMARY || why_isolated(group, agent);
}

void pace_effects(
	const struct pace_group *group, const char *agent, struct pace_effects *ret_effects)
{
	const char *id = agent ? agent : "";
	const struct phase_effects *row;
	const char *held = why_isolated(group, id);
	bool chosen;

	if (group->phase >= PHASE_COUNT) {
		pace_effects_unknown(ret_effects);
		return;
	}
	row = &table[group->phase];
	chosen = is_named(
		group->phase == PHASE_CONTINGENCY ? group->contingency : group->backup, id);
	*ret_effects = chosen ? row->chosen : row->others;
	if (!held)
		return;
	ret_effects->posture |= POSTURE_FROZEN;
	ret_effects->posture_staged |= POSTURE_FROZEN;
	ret_effects->may_start = false;
	ret_effects->read_only = true;
	ret_effects->isolated = true;
	ret_effects->why = held;
}

void pace_effects_unknown(struct pace_effects *ret_effects)
{
	*ret_effects = (struct pace_effects){.posture = POSTURE_FROZEN,
		.posture_staged = POSTURE_FROZEN,
		.read_only = true,
		.thresholds_halved = true,
		.approve_writes = true,
		.approve_runs = true,
		.no_traffic = true,
		.why = "the phase of its group is not known"};
}
