/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-group.h"

#include "base/log.h"

int live_group_begin(struct live_group *group, const struct session *session, struct error *err)
{
	const Berm__Wire__Agent *agent = session_agent(session);

	if (!agent || !agent->group[0])
		return 0;
	return group_watch_open(session->places.state, agent->group, agent->id, &group->watch, err);
}

int live_group_fd(const struct live_group *group)
{
	return group->watch ? group_watch_fd(group->watch) : -1;
}

/* The floor is added at once, and a run that it restricted stays so until somebody opens it. What
 * cannot be enforced on a run without a meter freezes it. */
void live_group_look(struct live_group *group, struct session *session, struct metering *metering,
	struct run_handle *handle)
{
	unsigned phase, before = group->floor;
	struct pace_effects effects;
	struct error err = {0};

	if (!group->watch || !handle || !group_watch_look(group->watch, &effects, &phase))
		return;
	group->floor = effects.posture;
	if (!(group->floor & ~before))
		return;
	log_line("run %s: %s; it is %s now", session->run_id, effects.why,
		posture_name(group->floor));
	if (metering)
		metering_enter_phase(metering,
			phase < PHASE_COUNT ? phase : (unsigned)PHASE_CONTINGENCY, group->floor,
			TRIP_KIND_GROUP);
	else if (group->floor & POSTURE_DEAD_BIT || run_freeze(handle, true, &err) < 0)
		run_kill(handle, RUN_BREAKER);
	else
		session->effects.posture = POSTURE_FROZEN;
}

/* What the group makes of it comes back through its file, as for any other run of it. */
void live_group_tell(struct live_group *group, const struct session *session, bool is_last)
{
	if (group->watch)
		group_told_look(&group->told, session->places.state, session_agent(session),
			&session->effects, is_last);
}

void live_group_end(struct live_group *group)
{
	group_watch_close(group->watch);
	group->watch = NULL;
}
