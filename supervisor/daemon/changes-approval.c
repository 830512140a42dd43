/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-approval.h"

#include "apply/caller.h"
#include "daemon/groups.h"
#include "govern/pace-words.h"
#include "wire/effects.h"

/* In alternate an operator is enough, as for the way back to primary. Beyond it, and for an agent
 * that is isolated, it takes one of those who decide about the group. */
#define DECIDERS (1U << PACE_BY_SECURITY | 1U << PACE_BY_COMMANDER | 1U << PACE_BY_RISK_OWNER)

static unsigned wanted(const struct pace_group *group, const struct pace_effects *effects)
{
	bool beyond = group->phase != PHASE_PRIMARY && group->phase != PHASE_ALTERNATE;

	if (beyond)
		return DECIDERS;
	return effects->approve_writes || effects->isolated ? DECIDERS | 1U << PACE_BY_OPERATOR : 0;
}

static int look(const char *state, const Berm__Wire__ChangeHead *head, struct groups *groups,
	struct pace_group *group, struct error *err)
{
	autotext struct text diagnostics = {0};
	int r = groups_open(state, groups, err);

	if (r == 0)
		r = groups_look(groups, head->group, group, err);
	if (r == -ENOENT)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"nobody knows the phase of the group %s: its file is not there",
			head->group);
	return r < 0 ? r : groups_authority(groups, &diagnostics, err);
}

static int check(const struct groups *groups, const struct pace_group *group, const char *agent,
	uid_t uid, char ret_by[CHANGES_BY_BYTES], struct error *err)
{
	const struct authority_person *person = authority_person(groups->authority, uid);
	struct pace_effects effects;
	unsigned roles;

	pace_effects(group, agent, &effects);
	roles = wanted(group, &effects);
	if (!roles)
		return 0;
	if (!person || !(person->roles & roles))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the group %s is in %s, and uid %u may not commit what its agents staged: "
			"%s",
			group->name, phase_name(group->phase), (unsigned)uid,
			roles == DECIDERS ? "the security role, the incident commander or the risk "
					    "owner may"
					  : "an operator may (authority.yaml)");
	for (unsigned i = 0; i < PACE_AUTHORITY_COUNT && !*ret_by; i++)
		if (person->roles & roles & 1U << i)
			snprintf(ret_by, CHANGES_BY_BYTES, "%s as %s, group %s in %s", person->name,
				pace_authority_name(i), group->name, phase_name(group->phase));
	return 0;
}

int changes_approve(const char *state, const struct change_set *set, bool bound,
	char ret_by[CHANGES_BY_BYTES], struct error *err)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct pace_group *group = NULL;
	uid_t uid = CALLER_NOBODY;
	int r;

	*ret_by = '\0';
	if (!set->head || !set->head->group[0])
		return 0;
	group = calloc(1, sizeof(*group));
	if (!group)
		return error_errno(err, "a group");
	r = look(state, set->head, &groups, group, err);
	if (r == 0)
		r = groups_caller(&groups, &uid, err);
	if (r == 0)
		r = check(&groups, group, set->head->agent, uid, ret_by, err);
	if (r < 0 || !*ret_by || bound)
		return r;
	return error_set(err, -EPERM, ERROR_REFUSED,
		"the group %s is in %s: say what you approve with --shown DIGEST (\"berm changes "
		"show\" ends with it)",
		group->name, phase_name(group->phase));
}
