/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-hooks.h"
#include "govern/pace-words.h"

#include <string.h>

#define BY_BYTES 256

int group_change_begin(struct group_change *change, const struct group_patience *patience,
	bool restricts, struct error *err)
{
	struct group_result *result = change->result;
	char lock[GROUP_LOCK_BYTES];
	int r;

	change->patience = *patience;
	if (!agent_name_is_good(change->name))
		return group_read(change->groups, change->name, &result->group, NULL, err);
	snprintf(lock, sizeof(lock), "%s.lock", change->name);
	change->lock = state_lock_named(change->groups->dir_fd, lock, patience->lock_ms, err);
	if (change->lock < 0)
		return change->lock;
	r = (change->groups->now ? change->groups->now : groups_now)(&change->now, err);
	if (r < 0)
		return r;
	r = group_read(change->groups, change->name, &result->group, &change->log, err);
	change->is_absent = r == -ENOENT;
	if (r < 0)
		return r;
	r = group_change_tell_undone(change, err);
	if (r == 0 || restricts)
		r = group_change_take_kill(change, err);
	/* What cannot be written down keeps back what loosens, and nothing else. */
	if (r < 0 && !restricts)
		return r;
	r = group_change_let_time_pass(change, restricts, err);
	return restricts && r != -ELOOP ? 0 : r;
}

int group_change_begin_alone(
	struct group_change *change, const struct error *why, struct error *err)
{
	bool due;
	int r = group_look(change->groups, change->name, &change->result->group, &due, err);

	if (r == 0)
		r = (change->groups->now ? change->groups->now : groups_now)(&change->now, err);
	if (r < 0)
		return r;
	change->alone = true;
	change->result->without_lock = *why;
	return 0;
}

void group_change_floor(struct group_change *change)
{
	struct pace_outcome outcome = {.result = PACE_CHANGED};

	for (unsigned i = 0; i < PACE_STEPS_MAX && outcome.result == PACE_CHANGED; i++) {
		pace_tick_without(
			&change->result->group, &change->now, 1U << PACE_STABLE, &outcome);
		if (outcome.result != PACE_CHANGED)
			return;
		group_change_note(
			change, &outcome, NULL, pace_trigger_words(outcome.trigger), NULL);
		change->result->passed++;
	}
}

/* ---- to let it be so ---- */

/* The file holds for whoever looks; this does not wait for any of them. */
static void end_runs(struct group_change *change)
{
	struct group_result *result = change->result;
	const struct pace_outcome *o = &result->outcome;
	char by[BY_BYTES];

	if (result->group.phase != PHASE_EMERGENCY ||
		(o->result == PACE_REFUSED && result->passed == 0))
		return;
	snprintf(by, sizeof(by), "group %s, %s%s%s", result->group.name,
		pace_trigger_name(o->trigger), result->by[0] ? " by " : "", result->by);
	group_kill(change->groups->state, result->group.name, by, &result->killed);
	result->killing = true;
	for (size_t i = 0; i < change->told_count; i++)
		if (change->told[i].outcome.actions & PACE_KILL_RUNS || i + 1 == change->told_count)
			change->told[i].killed = &result->killed;
}

/* The file holds. What else is to be done is done before it is told, so that the log says what was:
 * no lock is held, and nobody is waited for. */
static void act_on(struct group_change *change)
{
	struct group_result *result = change->result;

	change->unacted = false;
	end_runs(change);
	group_hooks_start(change->groups, &result->group, change->told, change->told_count);
	result->done = result->outcome.actions & GROUP_BY_FILE;
	for (size_t i = 0; i < change->told_count; i++) {
		result->done |= result->outcome.actions & group_told_done(&change->told[i]);
		result->begun |= result->outcome.actions & change->told[i].begun;
	}
}

void group_change_end(struct group_change *change)
{
	state_unlock(&change->lock);
	/* What comes next went wrong; this holds all the same. */
	if (change->unacted)
		act_on(change);
	if (change->past_count)
		group_hooks_start(
			change->groups, &change->result->group, change->past, change->past_count);
	for (size_t i = 0; i < change->past_count; i++) {
		change->result->done |= change->past[i].started;
		change->result->begun |= change->past[i].begun;
	}
	change->past_count = 0;
	if (change->kill)
		berm__wire__group_kill__free_unpacked(change->kill, NULL);
	change->kill = NULL;
	group_log_finish(&change->log);
}

static ProtobufCBinaryData bytes_of(const void *data, size_t length)
{
	return (ProtobufCBinaryData){length, (uint8_t *)(uintptr_t)data};
}

/* The emergency, beside the group. */
static int write_kill(const struct group_change *change, struct error *err)
{
	const struct group_result *result = change->result;
	const struct group_told *told = &change->told[change->told_count - 1];
	const struct pace_nonce *nonce = NULL;
	Berm__Wire__GroupKill kill;

	berm__wire__group_kill__init(&kill);
	kill.version = 1;
	kill.group = (char *)(uintptr_t)change->name;
	kill.id = bytes_of(result->group.id, PACE_ID_BYTES);
	kill.trigger = result->outcome.trigger;
	kill.authority = result->outcome.authority;
	kill.agent = (char *)(uintptr_t)result->outcome.agent;
	kill.by = (char *)(uintptr_t)result->by;
	if (told->reason)
		kill.reason = bytes_of(told->reason, strlen(told->reason));
	for (size_t i = 0; told->key && i < result->group.nonce_count; i++)
		if (memcmp(result->group.nonces[i].nonce, change->nonce, PACE_NONCE_BYTES) == 0)
			nonce = &result->group.nonces[i];
	if (nonce) {
		kill.key = bytes_of(nonce->key, PACE_KEY_BYTES);
		kill.nonce = bytes_of(nonce->nonce, PACE_NONCE_BYTES);
		kill.signed_ms = nonce->signed_ms;
	}
	return group_mark_write(change->groups, &kill, err);
}

static bool is_emergency(const struct group_change *change)
{
	const struct group_result *result = change->result;

	return change->told_count && result->group.phase == PHASE_EMERGENCY &&
	       (result->outcome.result == PACE_CHANGED || result->passed > 0);
}

static int put_beside(struct group_change *change, struct error *err)
{
	int r = write_kill(change, err);

	return r < 0 && group_reserve_give(change->groups) ? write_kill(change, err) : r;
}

/* What came of it, in force. */
static int put(struct group_change *change, struct error *err)
{
	const struct group_result *result = change->result;
	struct error ignored = {0};
	int r;

	if (change->alone && is_emergency(change))
		return put_beside(change, err);
	if (change->alone)
		return result->outcome.result == PACE_REFUSED ||
				       result->group.phase == PHASE_EMERGENCY
			       ? 0
			       : error_set(err, result->without_lock.code, ERROR_INTERNAL, "%s",
					 result->without_lock.text);
	if (change->told_count == change->logged)
		return 0;
	r = group_change_write(change, err);
	return r < 0 && is_emergency(change) && put_beside(change, &ignored) == 0 ? 0 : r;
}

static int commit_restricting(struct group_change *change, struct error *err)
{
	struct group_result *result = change->result;
	uint64_t until = 0;
	int r = put(change, err);

	state_unlock(&change->lock);
	if (r < 0 && !is_emergency(change))
		return r;
	/* Even where nothing could be written: what runs is ended. */
	if (change->told_count)
		act_on(change);
	if (!change->told_count && change->log.count == 0)
		return r;
	result->recorded = group_change_tell(change, &until, &result->recording) == 0;
	if (result->recorded && !change->alone)
		group_change_forget(change, until);
	return r;
}

int group_change_commit(struct group_change *change, struct error *err)
{
	struct group_result *result = change->result;
	struct error *why = &result->recording;
	autofree struct pace_group *before = NULL;
	uint64_t until = 0;
	struct group_told told[array_size(change->told)];
	size_t count = change->told_count;
	int r;

	if (!change->loosens)
		return commit_restricting(change, err);
	if (change->alone)
		return error_set(err, result->without_lock.code, ERROR_INTERNAL, "%s",
			result->without_lock.text);
	before = calloc(1, sizeof(*before));
	if (!before)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a group");
	r = group_read(change->groups, change->name, before, NULL, err);
	if (r == 0)
		r = group_change_plan(change, before, err);
	if (r < 0)
		return r;
	memcpy(told, change->told, sizeof(told));
	result->recorded = group_change_tell(change, &until, why) == 0;
	if (!result->recorded)
		return error_set(err, why->code, ERROR_INTERNAL,
			"nothing was changed, since it could not be recorded: %s", why->text);
	r = group_change_carry_out(change, until, err);
	state_unlock(&change->lock);
	if (r == 0) {
		group_change_keep(change, told, count);
		act_on(change);
	}
	return r;
}
