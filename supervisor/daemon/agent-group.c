/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-group.h"

#include "apply/caller.h"
#include "daemon/groups.h"

#include <string.h>
#include <unistd.h>

static int look(const struct agents *agents, const Berm__Wire__Agent *agent,
	struct groups *ret_groups, struct pace_group *ret_group, struct error *err)
{
	int r = groups_open_at(agents->state_fd, agents->state, ret_groups, err);

	if (r == 0)
		r = groups_look(ret_groups, agent->group, ret_group, err);
	/* A group that is not there was there once: it was taken away, with its phase. */
	if (r == -ENOENT)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"nobody knows the phase of the group %s of the agent %s: its file is not "
			"there (\"berm pace group\" makes it)",
			agent->group, agent->name);
	return r;
}

int agent_group(const struct agents *agents, const Berm__Wire__Agent *agent,
	struct admission_group *ret_group, struct error *err)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = NULL;
	struct pace_effects effects;
	int r;

	*ret_group = (struct admission_group){0};
	if (!agent->group[0])
		return 0;
	group = calloc(1, sizeof(*group));
	if (!group)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = look(agents, agent, &groups, group, err);
	if (r < 0)
		return r;
	pace_effects(group, agent->id, &effects);
	admission_of_phase(&effects, ret_group);
	return 0;
}

/* Whoever may take the group one step back may also say that the agent is not of it any more. */
static bool may_release(const struct pace_group *group, unsigned roles)
{
	bool supervised = group->phase == PHASE_EMERGENCY || group->recovering;

	return roles & 1U << PACE_BY_RISK_OWNER || (!supervised && roles & 1U << PACE_BY_SECURITY);
}

int agent_group_leave(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	const struct authority_person *person;
	autotext struct text ignored = {0};
	struct caller caller;
	int r;

	if (!agent->group[0])
		return 0;
	if (!group)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = look(agents, agent, &groups, group, err);
	if (r < 0 || !pace_holds(group, agent->id))
		return r;
	r = groups_authority(&groups, &ignored, err);
	if (r < 0)
		return r;
	caller_identify(&caller);
	person = authority_person(groups.authority, caller.uid);
	if (!person)
		person = authority_person(groups.authority, geteuid());
	if (person && may_release(group, person->roles))
		return 0;
	return error_set(err, -EPERM, ERROR_REFUSED,
		"the group %s is in %s%s: until it is back in primary an agent is renamed, moved "
		"or "
		"retired by the risk owner%s alone",
		agent->group, phase_name(group->phase),
		group->phase == PHASE_PRIMARY ? ", and the agent is held" : "",
		group->phase == PHASE_EMERGENCY || group->recovering ? ""
								     : " or the security role");
}

int agent_group_join(const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	int r;

	if (!agent->group[0])
		return 0;
	if (!group)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = groups_open_at(agents->state_fd, agents->state, &groups, err);
	if (r == 0)
		r = groups_look(&groups, agent->group, group, err);
	if (r == -ENOENT)
		err->kind = ERROR_INPUT;
	return r;
}
