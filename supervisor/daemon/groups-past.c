/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/groups-internal.h"
#include "govern/pace-words.h"

#include <string.h>

/* What comes before a change: what the one before left undone, what was declared without the lock,
 * and what time has brought. */

/* Something that loosens was told, or nearly, and did not come about. */
int group_change_tell_undone(struct group_change *change, struct error *err)
{
	const struct pace_group *group = &change->result->group;
	const struct pace_outcome outcome = {.result = PACE_NOTED,
		.before = group->phase,
		.after = group->phase,
		.wanted = group->phase,
		.trigger = PACE_TRIGGER_COUNT,
		.authority = PACE_BY_BERM};

	if (!change->log.planned)
		return 0;
	group_change_note(change, &outcome, NULL,
		"the last thing that the log has of this group, if it loosens, did not come about",
		NULL);
	change->told[change->told_count - 1].result = "undone";
	change->log.planned = false;
	return group_change_write(change, err);
}

/* What was declared without the lock. The file of it goes when the group has it. */
int group_change_take_kill(struct group_change *change, struct error *err)
{
	struct pace_group *group = &change->result->group;
	struct pace_event event = {
		.trigger = PACE_KILL, .authority = PACE_BY_KILL_KEY, .to = PHASE_EMERGENCY};
	struct pace_outcome outcome = {.result = PACE_REFUSED};
	const Berm__Wire__GroupKill *kill;
	int r = group_mark_is_there(change->groups, change->name, err);

	if (r <= 0)
		return r;
	kill = change->kill = group_mark_read(change->groups, change->name);
	if (kill) {
		snprintf(change->kill_reason, sizeof(change->kill_reason), "%.*s",
			(int)kill->reason.len,
			kill->reason.len ? (const char *)kill->reason.data : "");
		event.trigger = kill->trigger;
		event.authority = kill->authority;
		event.agent = kill->agent[0] ? kill->agent : NULL;
		if (kill->key.len && memcmp(kill->id.data, group->id, PACE_ID_BYTES) == 0)
			pace_nonce_use(group, kill->key.data, kill->nonce.data, kill->signed_ms,
				change->now.wall_ms);
		pace_apply(group, &change->now, &event, &outcome);
	} else {
		snprintf(change->kill_reason, sizeof(change->kill_reason),
			"it was declared without the lock, and what it says cannot be read");
	}
	if (group->phase != PHASE_EMERGENCY) {
		/* What was inferred from what the file may not have: it holds, as it was said. */
		const struct pace_event same = {.trigger = PACE_KILL,
			.authority = PACE_BY_KILL_KEY,
			.to = PHASE_EMERGENCY,
			.agent = event.agent};

		pace_apply(group, &change->now, &same, &outcome);
		outcome.trigger = event.trigger;
		outcome.authority = event.authority;
	}
	if (outcome.result == PACE_CHANGED)
		change->result->passed++;
	group_change_note(change, &outcome, kill ? kill->by : NULL, change->kill_reason,
		kill && kill->key.len ? kill->key.data : NULL);
	r = group_change_write(change, err);
	return r < 0 ? r : group_mark_remove(change->groups, change->name, err);
}

/* A return that time brought, in the log before it holds. False: it does not come about. */
static bool loosen(struct group_change *change, const struct pace_group *before,
	const struct pace_outcome *outcome)
{
	struct error *why = &change->result->recording;
	size_t told_count;
	struct group_told told = {0};
	uint64_t until;

	group_change_log(change);
	told_count = change->told_count;
	if (group_change_plan(change, before, why) == 0) {
		group_change_note(
			change, outcome, NULL, pace_trigger_words(outcome->trigger), NULL);
		told = change->told[change->told_count - 1];
		if (group_change_tell(change, &until, why) == 0) {
			told_count = 0;
			if (group_change_carry_out(change, until, why) == 0) {
				group_change_keep(change, &told, 1);
				return true;
			}
		}
	}
	change->told_count = told_count;
	change->left_waiting = true;
	return false;
}

/* What time has brought since the file was written, in its order. */
int group_change_let_time_pass(struct group_change *change, bool restricts, struct error *err)
{
	struct pace_group *group = &change->result->group;
	unsigned without = 0;
	bool restricted = false;

	for (unsigned i = 0; i < PACE_STEPS_MAX; i++) {
		const struct pace_group before = *group;
		struct pace_outcome outcome;

		pace_tick_without(group, &change->now, without, &outcome);
		if (outcome.result != PACE_CHANGED)
			return restricted ? group_change_write(change, err) : 0;
		if (!pace_loosens(&outcome)) {
			group_change_note(
				change, &outcome, NULL, pace_trigger_words(outcome.trigger), NULL);
			change->result->passed++;
			restricted = true;
		} else if (!restricts && loosen(change, &before, &outcome)) {
			change->result->passed++;
			restricted = false;
		} else {
			*group = before;
			without |= 1U << outcome.trigger;
			outcome = change->result->outcome;
		}
		change->result->outcome = outcome;
		/* Nobody has tried to write it down: what would come after it is not known. */
		if (restricts && without) {
			pace_clock_advance(&group->clock, &change->now);
			return restricted ? group_change_write(change, err) : 0;
		}
	}
	return error_set(err, -ELOOP, ERROR_INTERNAL,
		"the group %s comes to no phase in which it stays", change->name);
}
