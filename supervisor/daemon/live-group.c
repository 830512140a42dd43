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

static void say(const struct session *session, const struct live_group *group, const char *why)
{
	log_line("run %s: %s; it is %s now", session->run_id, why, posture_name(group->floor));
}

/* What nothing meters can be frozen, and no less. What its walls hold is held: a run that was
 * started to change nothing has no write grant and no network. */
static void restrict_unmetered(
	struct live_group *group, struct session *session, struct run_handle *handle)
{
	struct error err = {0};

	if (group->floor & POSTURE_DEAD_BIT || run_freeze(handle, true, &err) < 0)
		run_kill(handle, RUN_BREAKER);
	else
		session->effects.posture = POSTURE_FROZEN;
}

int live_set_unmetered(
	struct session *session, struct run_handle *handle, unsigned posture, struct error *err)
{
	bool frozen = posture & POSTURE_FROZEN_BIT;
	int r;

	if (posture != POSTURE_OPEN && !frozen)
		return error_set(err, -EOPNOTSUPP, ERROR_REFUSED,
			"nothing meters this run, since its profile has neither blast_radius nor "
			"pace: it can only be frozen or open");
	if (!handle)
		return error_set(err, -EAGAIN, ERROR_REFUSED, "the run is about to begin");
	r = run_freeze(handle, frozen, err);
	if (r == 0)
		session->effects.posture = posture;
	return r;
}

static unsigned held_by_walls(const struct session *session, const struct metering *metering)
{
	return !metering && session->agent_run && session->agent_run->answer.read_only
		       ? POSTURE_READ_ONLY
		       : 0;
}

/* A backup takes over in alternate. Beyond it only the one agent of contingency is left, and goes
 * on as that. */
static bool has_to_end(
	const struct session *session, const struct pace_effects *effects, unsigned phase)
{
	return session->request->is_backup && phase < PHASE_COUNT && phase > PHASE_ALTERNATE &&
	       !effects->may_start;
}

/* The floor is added at once, and a run that it restricted stays so until somebody opens it. What
 * is said of it comes after it: whoever reads this may be slow, and is the tool itself on a
 * terminal. */
void live_group_look(struct live_group *group, struct session *session, struct metering *metering,
	struct run_handle *handle)
{
	unsigned phase, before = group->floor;
	struct pace_effects effects;

	if (!group->watch || !handle || !group_watch_look(group->watch, &effects, &phase))
		return;
	if (has_to_end(session, &effects, phase)) {
		group->floor = POSTURE_DEAD;
		run_kill(handle, RUN_BREAKER);
		say(session, group, effects.why);
		return;
	}
	group->floor = agent_run_is_staged(session) ? effects.posture_staged : effects.posture;
	if (!(group->floor & ~held_by_walls(session, metering)))
		group->floor = POSTURE_OPEN;
	if (!(group->floor & ~before))
		return;
	if (metering)
		metering_enter_phase(metering,
			phase < PHASE_COUNT ? phase : (unsigned)PHASE_CONTINGENCY, group->floor,
			TRIP_KIND_GROUP);
	else
		restrict_unmetered(group, session, handle);
	say(session, group, effects.why);
}

/* What the group makes of it comes back through its file, as for any other run of it. */
void live_group_tell(struct live_group *group, const struct session *session, bool is_last)
{
	const struct group_teller by = {.state = session->places.state,
		.run = session->run_id,
		.agent = session_agent(session),
		.effects = &session->effects,
		.time_box_over = group->time_box_over,
		.is_isolated = group->floor & POSTURE_FROZEN_BIT};

	if (group->watch)
		group_told_look(&group->told, &by, is_last);
}

void live_group_end(struct live_group *group)
{
	group_watch_close(group->watch);
	group->watch = NULL;
}
