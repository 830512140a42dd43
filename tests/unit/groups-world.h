/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Groups as transactions, with a clock and a log of the test's own. Include after test.h. */

#include "daemon/groups-internal.h"
#include "govern/pace-words.h"
#include "pace-crew.h"
#include "tree.h"

static struct {
	uint64_t ms;
	int log_fails;        /* negative errno */
	bool holds_lock[256]; /* whether the lock was held while that was recorded */
	char words[256][96];  /* what was recorded: trigger, result, number */
	unsigned count;
	struct groups *groups;
} world;

static inline int world_now(struct pace_now *ret_now, struct error *err)
{
	(void)err;
	*ret_now = at(world.ms);
	return 0;
}

static inline int world_record(const struct act *act, unsigned timeout_ms, struct error *err)
{
	int lock = state_lock_named(world.groups->dir_fd, "crew.lock", 0, NULL);
	bool held = lock < 0;

	(void)timeout_ms;
	state_unlock(&lock);
	if (world.log_fails)
		return error_set(err, world.log_fails, ERROR_INTERNAL, "the log is gone");
	for (size_t i = 0; i < act->count; i++) {
		const Berm__Wire__PhaseChange *change = act->records[i]->phase_change;

		assert_true(world.count < array_size(world.words));
		world.holds_lock[world.count] = held;
		snprintf(world.words[world.count++], sizeof(world.words[0]), "%s %s %s-%s %u",
			change->trigger ? change->trigger : "(null)", change->result,
			phase_name(change->before), phase_name(change->after),
			(unsigned)change->number);
	}
	return 0;
}

static inline void begin_world(struct groups *groups)
{
	struct error err = {0};

	memset(&world, 0, sizeof(world));
	assert_int_equal(groups_open(in_top("state"), groups, &err), 0);
	groups->now = world_now;
	groups->record = world_record;
	world.groups = groups;
	groups->authority->people[0] = (struct authority_person){.name = "bob",
		.uid = 7,
		.roles = 1U << PACE_BY_OPERATOR | 1U << PACE_BY_KILL_KEY | 1U << PACE_BY_COMMANDER};
	groups->authority->person_count = 1;
}

static inline void make_crew(struct groups *groups, unsigned tier)
{
	const struct group_settings settings = {.tier = tier, .configured = PHASE_COUNT};
	autofree struct group_result *result = calloc(1, sizeof(*result));
	struct error err = {0};

	if (groups_set(groups, "crew", &settings, 7, result, &err) < 0)
		fail_msg("%s", err.text);
	world.count = 0;
}

static inline int act(
	struct groups *groups, unsigned trigger, unsigned to, struct group_result *result)
{
	const struct group_act asked = {
		.event = {.trigger = trigger, .to = to, .reason = "for a test"},
		.uid = 7,
		.role = PACE_AUTHORITY_COUNT};
	struct error err = {0};

	return groups_act(groups, "crew", &asked, result, &err);
}

static inline unsigned phase_now(struct groups *groups)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct error err = {0};

	if (groups_look(groups, "crew", group, &err) < 0)
		fail_msg("%s", err.text);
	return group->phase;
}

static inline unsigned phase_kept(struct groups *groups)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct error err = {0};

	if (group_read(groups, "crew", group, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return group->phase;
}

static inline bool settle(struct groups *groups, unsigned *ret_phase)
{
	static const struct group_patience patience = {100, 100};
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct error err = {0};
	bool waits = false;

	if (groups_settle(groups, "crew", &patience, group, &waits, &err) < 0)
		fail_msg("%s", err.text);
	*ret_phase = group->phase;
	return waits;
}

static inline int suspect(struct groups *groups, const char *agent, struct group_result *result)
{
	const struct group_finding finding = {agent, PACE_BREAKER, {100, 100}};
	struct error err = {0};

	return groups_suspect(groups, "crew", &finding, result, &err);
}

/* In alternate at 0, explained: back by itself after 2 hours. */
static inline void return_later(struct groups *groups, struct group_result *result)
{
	begin_world(groups);
	make_crew(groups, 3);
	assert_int_equal(suspect(groups, ALPHA, result), 0);
	assert_int_equal(act(groups, PACE_EXPLAINED, PHASE_COUNT, result), 0);
	world.count = 0;
}
