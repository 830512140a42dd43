/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/groups-internal.h"

#include <string.h>

/* What comes of a change, in the group's file and in the log. */

#define FORGET_LOCK_MS 200

/* Who it was is known here. */
static void take_over(
	struct group_change *change, const struct pace_outcome *outcome, const char *by)
{
	struct pace_takeover *takeover = &change->result->group.takeover;

	if (outcome->result == PACE_CHANGED && (outcome->actions & PACE_START_BACKUP) && by &&
		takeover->change == change->result->group.changes)
		snprintf(takeover->by, sizeof(takeover->by), "%s", by);
}

void group_change_note(struct group_change *change, const struct pace_outcome *outcome,
	const char *by, const char *reason, const uint8_t *key)
{
	if (change->told_count == array_size(change->told))
		return;
	change->told[change->told_count++] = (struct group_told){.outcome = *outcome,
		.by = by,
		.reason = reason,
		.key = key,
		.number = change->result->group.changes};
	take_over(change, outcome, by);
	change->weighs |= outcome->result == PACE_CHANGED || outcome->result == PACE_ASKED ||
			  (outcome->actions & PACE_ISOLATE);
}

void group_change_add(struct group_change *change, const struct pace_outcome *outcome,
	const char *by, const char *reason, const uint8_t *key)
{
	group_change_note(change, outcome, by, reason, key);
	change->loosens |= pace_loosens(outcome);
}

/* What loosened is told before it is so; the operator's programs hear of it afterwards. */
void group_change_keep(struct group_change *change, const struct group_told *told, size_t count)
{
	for (size_t i = 0; i < count && change->past_count < array_size(change->past); i++)
		change->past[change->past_count++] = told[i];
}

/* What is to be told goes into the group's file with what it tells of. A flood of what changes
 * nothing pushes out no change: of those there are few until something loosens, and that is told.
 */
void group_change_log(struct group_change *change)
{
	struct group_log *log = &change->log;

	for (; change->logged < change->told_count; change->logged++) {
		const struct group_told *told = &change->told[change->logged];
		bool weighs =
			told->outcome.result == PACE_CHANGED || told->outcome.result == PACE_ASKED;
		ProtobufCBinaryData *list;

		if (log->count >= (weighs ? GROUP_UNTOLD_MAX : GROUP_UNTOLD_MAX / 2))
			continue;
		list = reallocarray(log->list, log->count + 1, sizeof(*list));
		if (!list)
			continue;
		log->list = list;
		list[log->count] = group_pack(change->groups, &change->result->group, told);
		if (!list[log->count].data)
			continue;
		log->count++;
		change->own++;
	}
}

/* What is restricted by now holds, before anything else is tried. */
int group_change_write(struct group_change *change, struct error *err)
{
	int r;

	group_change_log(change);
	r = group_write(change->groups, &change->result->group, &change->log, err);
	if (r == 0) {
		change->unacted = change->told_count > 0;
		group_reserve_make(change->groups);
	}
	/* An agent that fills the disk must not be safe by that. */
	else if ((r == -ENOSPC || r == -EDQUOT) && change->weighs &&
		 group_reserve_give(change->groups))
		r = group_write(change->groups, &change->result->group, &change->log, err);
	return r;
}

/* All that is not told yet, of earlier changes too. What of it is in the file is not needed there
 * any more: *ret_until. */
int group_change_tell(struct group_change *change, uint64_t *ret_until, struct error *err)
{
	const struct group_log *log = &change->log;
	const struct group_telling telling = {.group = &change->result->group,
		.before = log->list,
		.before_count = log->count - change->own,
		.told = change->told,
		.count = change->told_count,
		.patience_ms = change->patience.tell_ms};
	int r = group_tell(change->groups, &telling, err);

	*ret_until = log->told + log->count;
	if (r == 0)
		change->told_count = change->logged = change->own = 0;
	return r;
}

/* Before something that loosens is told the file says so: after a kill, or where it then cannot be
 * written, the next change tells that it was not done. */
int group_change_plan(
	struct group_change *change, const struct pace_group *before, struct error *err)
{
	change->log.planned = true;
	return group_write(change->groups, before, &change->log, err);
}

int group_change_carry_out(struct group_change *change, uint64_t until, struct error *err)
{
	int r;

	group_log_drop(&change->log, until);
	change->log.planned = false;
	r = group_write(change->groups, &change->result->group, &change->log, err);
	change->log.planned = r < 0;
	return r;
}

/* The lock was free meanwhile. Where it is held now the next change tells it again. */
void group_change_forget(struct group_change *change, uint64_t until)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct group_log log = {0};
	char lock[GROUP_LOCK_BYTES];
	struct error ignored = {0};

	snprintf(lock, sizeof(lock), "%s.lock", change->name);
	change->lock = state_lock_named(change->groups->dir_fd, lock, FORGET_LOCK_MS, &ignored);
	if (change->lock >= 0 && group &&
		group_read(change->groups, change->name, group, &log, &ignored) == 0 &&
		log.told < until) {
		group_log_drop(&log, until);
		(void)!group_write(change->groups, group, &log, &ignored);
	}
	state_unlock(&change->lock);
	group_log_finish(&log);
}
