/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-tell.h"

#include "base/log.h"
#include "daemon/groups.h"
#include "govern/pace-words.h"

#include <time.h>

#define LOCK_MS 200       /* while the run lasts: its other askers wait */
#define LOCK_LAST_MS 5000 /* at its end */
#define AGAIN_MS 1000

static uint64_t now_ms(void)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static unsigned of_trip(const struct trip *trip)
{
	unsigned phase = trip->phase == PHASE_EMERGENCY ? 1U << PACE_ROGUE : 0;

	switch (trip->kind) {
	case TRIP_KIND_CAP:
		return 1U << PACE_CAP | phase;
	case TRIP_KIND_STEP:
		return trip->warning ? 0 : 1U << PACE_CAP | phase;
	case TRIP_KIND_BREAKER:
		return 1U << PACE_BREAKER | phase;
	case TRIP_KIND_OPERATOR:
	case TRIP_KIND_METER:
	case TRIP_KIND_RECORDER:
	case TRIP_KIND_GROUP:
	case TRIP_KIND_COUNT:
		break;
	}
	return 0;
}

unsigned group_told_wanted(const struct effects *effects)
{
	unsigned wanted = 0;

	for (size_t i = 0; i < effects->trip_count; i++)
		wanted |= of_trip(&effects->trips[i]);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (effects->refused[i])
			wanted |= 1U << PACE_CAP;
	/* Whoever makes so many changes of posture that no trip is kept any more hides none. */
	if (effects->trips_not_kept && effects->phase > PHASE_PRIMARY)
		wanted |= 1U << PACE_BREAKER;
	return wanted;
}

/* A suspicion first: it isolates, whatever becomes of the evidence. */
static int tell(struct group_told *told, struct groups *groups, const Berm__Wire__Agent *agent,
	unsigned wanted, unsigned lock_ms, struct error *err)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));

	if (!result)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	for (unsigned trigger = 0; trigger < PACE_TRIGGER_COUNT; trigger++) {
		const struct group_finding finding = {agent->id, trigger, lock_ms};
		int r;

		if (!(wanted & ~told->told & 1U << trigger))
			continue;
		r = groups_suspect(groups, agent->group, &finding, result, err);
		if (r < 0)
			return r;
		told->told |= 1U << trigger;
		log_line("run: the group %s knows of it (%s): it is in %s now", agent->group,
			pace_trigger_name(trigger), phase_name(result->group.phase));
	}
	return 0;
}

void group_told_look(struct group_told *told, const char *state, const Berm__Wire__Agent *agent,
	const struct effects *effects, bool is_last)
{
	unsigned wanted = group_told_wanted(effects);
	autogroups struct groups groups = GROUPS_NONE;
	struct error err = {0};
	int r;

	if (!agent || !agent->group[0] || !(wanted & ~told->told) ||
		(!is_last && now_ms() < told->next_ms))
		return;
	r = groups_open(state, &groups, &err);
	if (r == 0)
		r = tell(told, &groups, agent, wanted, is_last ? LOCK_LAST_MS : LOCK_MS, &err);
	told->next_ms = now_ms() + AGAIN_MS;
	if (r < 0 && (is_last || !told->failed))
		log_line("run: the group %s was not told what this run did%s: %s", agent->group,
			is_last ? "" : "; it is tried again", err.text);
	told->failed |= r < 0;
}
