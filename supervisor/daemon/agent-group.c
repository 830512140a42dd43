/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-group.h"

#include "daemon/agent-lost.h"
#include "daemon/group-untold.h"
#include "daemon/groups.h"
#include "daemon/halts.h"

#include <string.h>

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

void agent_group_settle(const struct agents *agents, const Berm__Wire__Agent *agent)
{
	static const struct group_patience patience = {1000, 1000};
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct error ignored = {0};
	bool waits;

	/* Whoever admits the run says what is wrong with its group. */
	if (group && agent->group[0] &&
		groups_open_at(agents->state_fd, agents->state, &groups, &ignored) == 0)
		(void)!groups_settle(&groups, agent->group, &patience, group, &waits, &ignored);
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
	uid_t uid = 0;
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
	r = groups_caller(&groups, &uid, err);
	if (r < 0)
		return r;
	person = authority_person(groups.authority, uid);
	if (person && may_release(group, person->roles))
		return 0;
	return error_set(err, -EPERM, ERROR_REFUSED,
		"the group %s is in %s%s: until it is back in primary an agent is renamed, moved, "
		"retired or given another profile, directory or budget by the risk owner%s alone",
		agent->group, phase_name(group->phase),
		group->phase == PHASE_PRIMARY ? ", and the agent is held" : "",
		group->phase == PHASE_EMERGENCY || group->recovering ? ""
								     : " or the security role");
}

static int check_over(
	const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	autoclose int marks = agent_marks_open(agents, err);

	if (marks < 0)
		return marks;
	for (size_t i = 0; i < agent->n_runs; i++)
		if (agent_mark_is_held(marks, agent->runs[i]->mark))
			return error_set(err, -EBUSY, ERROR_REFUSED,
				"the run %s of the agent %s lasts, under the phase of its group: "
				"it is "
				"put into another one when none does",
				agent->runs[i]->run, agent->name);
	return 0;
}

int agent_group_move(const struct agents *agents, const Berm__Wire__Agent *agent, struct error *err)
{
	struct runs_named group = {.scope = NAMED_GROUP};
	struct error ignored = {0};
	int r = check_over(agents, agent, err);

	if (r < 0 || !agent->group[0])
		return r;
	snprintf(group.of, sizeof(group.of), "%s", agent->group);
	r = halts_find(agents->state, &group, &ignored);
	if (r != -ENOENT)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the group %s is halted, and so are its agents (\"berm halt --lift\")",
			agent->group);
	return group_untold_none(agents->state, agent, err);
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
