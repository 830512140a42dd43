/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agents.h"
#include "daemon/groups-internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

static bool has_risk_owner(const struct authority *authority)
{
	unsigned roles = 0;

	for (size_t i = 0; i < authority->person_count; i++)
		roles |= authority->people[i].roles;
	for (size_t i = 0; i < authority->key_count; i++)
		roles |= authority->keys[i].roles;
	return roles & 1U << PACE_BY_RISK_OWNER;
}

/* Naming the first one while nothing has happened is as making the group with it: agents can be of
 * a group only when it is there. */
static bool differs(const struct pace_group *group, const char *wanted, const char *is)
{
	return wanted && strcmp(wanted, is) != 0 && (is[0] || group->phase != PHASE_PRIMARY);
}

/* Who is asked for: less than before is enforced afterwards, or by somebody else. */
static bool widens(const struct pace_group *group, const struct group_settings *s)
{
	return s->tier > group->tier ||
	       (s->configured != PHASE_COUNT && s->configured < group->configured) ||
	       differs(group, s->backup, group->backup) ||
	       differs(group, s->contingency, group->contingency) ||
	       s->window_ms > group->window_ms;
}

static int check_settings(const struct group_settings *s, struct error *err)
{
	if (s->tier > 3)
		return error_set(err, -EINVAL, ERROR_INPUT, "a tier is 1, 2 or 3");
	if (s->window_ms &&
		(s->window_ms < PACE_WINDOW_MIN_MS || s->window_ms > PACE_WINDOW_MAX_MS))
		return error_set(
			err, -EINVAL, ERROR_INPUT, "a window is between 1s and 1h (60m) long");
	return 0;
}

static void set(struct pace_group *group, const struct group_settings *s)
{
	if (s->tier)
		group->tier = s->tier;
	if (s->configured != PHASE_COUNT)
		group->configured = s->configured;
	if (s->backup)
		snprintf(group->backup, sizeof(group->backup), "%s", s->backup);
	if (s->contingency)
		snprintf(group->contingency, sizeof(group->contingency), "%s", s->contingency);
	if (s->window_ms)
		group->window_ms = s->window_ms;
}

/* Settings keep ids: an agent that gets the name later is another one. */
static int find_agents(const struct groups *groups, const char *name, struct group_settings *s,
	char ids[2][AGENT_ID_BYTES + 1], struct error *err)
{
	const char **words[] = {&s->backup, &s->contingency};

	for (size_t i = 0; i < array_size(words); i++) {
		int r;

		if (!*words[i] || !**words[i])
			continue;
		r = group_agent(groups, name, *words[i], ids[i], NULL, err);
		if (r < 0)
			return r;
		*words[i] = ids[i];
	}
	return 0;
}

/* Nothing waits in it for as long as its tier says. */
static bool is_calm(const struct pace_group *group)
{
	return group->phase == PHASE_PRIMARY && !pace_is_undecided(group) &&
	       group->isolated_count == 0 && !group->all_isolated;
}

/* A floor above the phase is a declaration of that phase. */
static unsigned who_may_restrict(unsigned to)
{
	static const unsigned roles[PHASE_COUNT] = {
		[PHASE_PRIMARY] = AUTHORITY_ROLES,
		[PHASE_ALTERNATE] = AUTHORITY_ROLES,
		[PHASE_CONTINGENCY] = 1U << PACE_BY_SECURITY | 1U << PACE_BY_COMMANDER,
		[PHASE_EMERGENCY] = 1U << PACE_BY_COMMANDER | 1U << PACE_BY_KILL_KEY,
	};

	return roles[to];
}

/* 1: agents are of a group of that name, which was there when they came to it. */
static int was_there(const struct groups *groups, const char *name, struct error *err)
{
	autoagents struct agents agents = AGENTS_NONE;
	Berm__Wire__Agent **list = NULL;
	size_t count = 0, damaged = 0;
	int r = agents_open(groups->state, &agents, err);

	if (r == 0)
		r = agents_list(&agents, false, &list, &count, &damaged, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = strcmp(list[i]->group, name) == 0;
	agents_free_list(list, count);
	return r;
}

/* Whether it takes the risk owner, where anybody is one. */
static int is_theirs(struct group_change *act, const struct group_settings *settings, bool is_new,
	struct error *err)
{
	if (!has_risk_owner(act->groups->authority))
		return 0;
	return is_new ? was_there(act->groups, act->name, err)
		      : widens(&act->result->group, settings);
}

static int may_set(struct group_change *act, const struct group_settings *settings, bool is_new,
	uid_t uid, struct error *err)
{
	const struct pace_group *group = &act->result->group;
	const struct authority_person *person = authority_person(act->groups->authority, uid);
	int theirs;

	if (!person)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"uid %u may not set groups: authority.yaml does not list it",
			(unsigned)uid);
	snprintf(act->result->by, sizeof(act->result->by), "%s", person->name);
	if (!is_new && settings->tier && settings->tier != group->tier && !is_calm(group))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"the tier says how long a way back takes: it is set in primary, while "
			"nobody of the group is held");
	if (!is_new && settings->configured != PHASE_COUNT && settings->configured > group->phase &&
		!(person->roles & who_may_restrict(settings->configured)))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s may not set this: at least %s is as to declare it, which needs %s",
			person->name, phase_name(settings->configured),
			settings->configured == PHASE_EMERGENCY
				? "the incident commander or the kill key"
				: "the security role or the incident commander");
	theirs = is_theirs(act, settings, is_new, err);
	if (theirs < 0)
		return theirs;
	act->result->outcome.authority = theirs ? PACE_BY_RISK_OWNER : PACE_BY_OPERATOR;
	if (!theirs || person->roles & 1U << PACE_BY_RISK_OWNER)
		return 0;
	return error_set(err, -EPERM, ERROR_REFUSED,
		is_new ? "%s may not set this: agents say that the group was there; who makes it "
			 "anew, in primary, is the risk owner"
		       : "%s may not set this: a higher tier, a less restrictive floor, a longer "
			 "window and other agents for backup and contingency need the risk owner",
		person->name);
}

static void words_of_settings(const struct pace_group *group, struct text *out)
{
	text_printf(out, "tier %u, at least %s, window %" PRIu64 " ms", group->tier,
		phase_name(group->configured), group->window_ms);
	if (group->backup[0])
		text_printf(out, ", backup %s", group->backup);
	if (group->contingency[0])
		text_printf(out, ", contingency %s", group->contingency);
}

static void make_group(
	struct group_change *act, const char *name, const struct group_settings *settings)
{
	uint8_t id[PACE_ID_BYTES];

	randombytes_buf(id, sizeof(id));
	pace_group_start(&act->result->group, name, id, settings->tier ? settings->tier : 1,
		settings->configured != PHASE_COUNT ? settings->configured : PHASE_PRIMARY,
		&act->now);
}

int groups_set(struct groups *groups, const char *name, const struct group_settings *wanted,
	uid_t uid, struct group_result *ret_result, struct error *err)
{
	static const struct group_patience patience = {GROUP_LOCK_MS, GROUP_TELL_MS};
	autochange struct group_change act = {
		.groups = groups, .name = name, .result = ret_result, .lock = -1};
	struct group_settings settings = *wanted;
	char ids[2][AGENT_ID_BYTES + 1];
	struct pace_group *group = &ret_result->group;
	autotext struct text words = {0};
	bool is_new;
	int r = check_settings(wanted, err);

	*ret_result = (struct group_result){0};
	if (r < 0)
		return r;
	r = group_change_begin(&act, &patience, false, err);
	is_new = r == -ENOENT && act.is_absent && act.lock >= 0;
	ret_result->outcome = (struct pace_outcome){0};
	if (r == 0 || is_new)
		r = find_agents(groups, name, &settings, ids, err);
	if (r == 0)
		r = may_set(&act, &settings, is_new, uid, err);
	if (r < 0)
		return r;
	if (is_new)
		make_group(&act, name, &settings);
	act.loosens |= !is_new && widens(group, &settings);
	set(group, &settings);
	words_of_settings(group, &words);
	ret_result->outcome.result = PACE_NOTED;
	ret_result->outcome.before = ret_result->outcome.after = group->phase;
	ret_result->outcome.wanted = group->configured;
	ret_result->outcome.trigger = PACE_CONFIGURED;
	group_change_add(&act, &ret_result->outcome, ret_result->by, text_string(&words), NULL);
	/* A floor that is more restrictive holds at once. */
	group_change_floor(&act);
	return group_change_commit(&act, err);
}
