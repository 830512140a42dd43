/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/groups-internal.h"
#include "daemon/state-file.h"
#include "govern/pace-words.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define LOCK_MS 15000

/* A change while the lock is held. */
struct act {
	struct groups *groups;
	struct group_result *result;
	struct pace_now now;
	unsigned before; /* enum phase, as it was read */
	bool loosens;
	struct group_told told[PACE_STEPS_MAX + 2];
	size_t told_count;
};

static void tell(struct act *act, const struct pace_outcome *outcome, const char *by,
	const char *reason, const uint8_t *key)
{
	struct group_told *told = &act->told[act->told_count++];

	*told = (struct group_told){.outcome = *outcome,
		.by = by,
		.reason = reason,
		.key = key,
		.number = act->result->group.changes};
	act->loosens |= outcome->after < outcome->before || (outcome->actions & PACE_RELEASE);
}

/* What time has brought since the file was written. */
static void settle(struct act *act)
{
	struct pace_outcome outcome = {.result = PACE_CHANGED};

	while (act->told_count < PACE_STEPS_MAX) {
		pace_tick(&act->result->group, &act->now, &outcome);
		if (outcome.result != PACE_CHANGED)
			return;
		tell(act, &outcome, NULL, pace_trigger_words(outcome.trigger), NULL);
		act->result->passed++;
	}
}

static int begin(struct act *act, const char *name, struct error *err)
{
	struct pace_group *group = &act->result->group;
	int r = group_read(act->groups, name, group, err);

	if (r == 0)
		r = groups_now(&act->now, err);
	if (r < 0)
		return r;
	act->before = group->phase;
	settle(act);
	return 0;
}

/* What restricts is in force before anything else is tried; what loosens is told first, so that
 * nothing was ever loosened that the log does not know. */
static int commit(struct act *act, struct error *err)
{
	struct group_result *result = act->result;
	struct error *why = &result->recording;
	int r = 0;

	if (!act->loosens)
		r = group_write(act->groups, &result->group, err);
	if (r < 0)
		return r;
	result->recorded =
		group_tell(act->groups, &result->group, act->told, act->told_count, why) == 0;
	if (!act->loosens)
		return 0;
	if (!result->recorded)
		return error_set(err, why->code, ERROR_INTERNAL,
			"nothing was changed, since it could not be recorded: %s", why->text);
	return group_write(act->groups, &result->group, err);
}

static void refuse(struct act *act, unsigned refusal, const struct pace_event *event)
{
	const struct pace_group *group = &act->result->group;

	act->result->outcome = (struct pace_outcome){.result = PACE_REFUSED,
		.refusal = refusal,
		.before = group->phase,
		.after = group->phase,
		.trigger = event->trigger,
		.authority = event->authority,
		.wanted = event->to};
}

static void act_signed(struct act *act, const struct group_act *asked)
{
	struct group_result *result = act->result;
	const struct authority_statement *s = &asked->signed_words->statement;
	const struct authority_key *key = NULL;
	struct pace_event event = {.trigger = s->trigger,
		.authority = s->role,
		.to = s->to,
		.agent = s->agent[0] ? s->agent : NULL,
		.reason = s->reason,
		.review = s->review};

	result->signature = authority_verify(act->groups->authority, asked->signed_words,
		&result->group, act->now.wall_ms, &key);
	if (result->signature != AUTHORITY_FINE || !key) {
		refuse(act, PACE_NO_AUTHORITY, &event);
		/* Nobody has said it: what the forged words claim is not for the log to repeat. */
		result->outcome.authority = PACE_BY_AGENT;
		tell(act, &result->outcome, NULL, NULL, asked->signed_words->key);
		act->told[act->told_count - 1].refusal = authority_refusal_words(result->signature);
		return;
	}
	snprintf(result->by, sizeof(result->by), "%s", key->name);
	if (event.authority == PACE_BY_OBSERVER)
		event.source = key->name;
	if (s->agent[0])
		groups_agent_name(act->groups, s->agent, result->agent);
	pace_nonce_use(&result->group, key->key, s->nonce, s->signed_ms, act->now.wall_ms);
	pace_apply(&result->group, &act->now, &event, &result->outcome);
	tell(act, &result->outcome, result->by, s->reason, key->key);
}

static void act_source(struct act *act, const struct group_act *asked)
{
	struct group_result *result = act->result;
	const struct authority_source *source =
		authority_source(act->groups->authority, asked->source, asked->uid);
	struct pace_event event = asked->event;

	event.authority = PACE_BY_AGENT;
	event.source = NULL;
	if (!source)
		result->unlisted = "authority.yaml lists no source of that name for this uid";
	else if (!(source->triggers & 1U << event.trigger))
		result->unlisted = "authority.yaml does not list that trigger for this source";
	else {
		event.authority = source->observer ? PACE_BY_OBSERVER : PACE_BY_BERM;
		event.source = source->name;
		snprintf(result->by, sizeof(result->by), "%s", source->name);
	}
	pace_apply(&result->group, &act->now, &event, &result->outcome);
	tell(act, &result->outcome, result->by, event.reason, NULL);
	act->told[act->told_count - 1].refusal = result->unlisted;
}

/* The roles of a person in the order in which they are tried: none that is not needed is used. */
static const enum pace_authority people[] = {PACE_BY_OPERATOR, PACE_BY_SECURITY, PACE_BY_COMMANDER,
	PACE_BY_RISK_OWNER, PACE_BY_KILL_KEY};

static unsigned says_more(enum pace_refusal refusal)
{
	return refusal == PACE_NO_RULE ? 0 : refusal == PACE_NO_AUTHORITY ? 1 : 2;
}

static void act_person(struct act *act, const struct group_act *asked)
{
	struct group_result *result = act->result;
	const struct authority_person *person =
		authority_person(act->groups->authority, asked->uid);
	struct pace_group before = result->group;
	struct pace_event event = asked->event;
	bool tried = false;

	event.source = NULL;
	for (size_t i = 0; person && i < array_size(people); i++) {
		struct pace_outcome outcome;

		if (!(person->roles & 1U << people[i]) ||
			(asked->role != PACE_AUTHORITY_COUNT && asked->role != people[i]))
			continue;
		event.authority = people[i];
		result->group = before;
		pace_apply(&result->group, &act->now, &event, &outcome);
		/* Where none of them may, the first one that says more than that is told. */
		if (!tried || outcome.result != PACE_REFUSED ||
			says_more(outcome.refusal) > says_more(result->outcome.refusal))
			result->outcome = outcome;
		tried = true;
		if (outcome.result != PACE_REFUSED)
			break;
	}
	if (!tried) {
		event.authority = PACE_BY_AGENT;
		pace_apply(&result->group, &act->now, &event, &result->outcome);
		result->unlisted = person ? "authority.yaml does not list that role for this uid"
					  : "authority.yaml does not list this uid";
	}
	if (person)
		snprintf(result->by, sizeof(result->by), "%s", person->name);
	tell(act, &result->outcome, result->by, event.reason, NULL);
	act->told[act->told_count - 1].refusal = result->unlisted;
}

int groups_act(struct groups *groups, const char *name, const struct group_act *asked,
	struct group_result *ret_result, struct error *err)
{
	struct act act = {.groups = groups, .result = ret_result};
	struct group_act named = *asked;
	char id[AGENT_ID_BYTES + 1];
	autounlock int lock = -1;
	int r;

	*ret_result = (struct group_result){0};
	lock = state_lock(groups->state_fd, LOCK_MS, err);
	if (lock < 0)
		return lock;
	r = begin(&act, name, err);
	named.event.agent = NULL;
	if (r == 0 && asked->agent && !asked->signed_words) {
		r = group_agent(groups, name, asked->agent, id, ret_result->agent, err);
		named.event.agent = id;
	}
	if (r < 0)
		return r;
	if (asked->signed_words)
		act_signed(&act, asked);
	else if (asked->source)
		act_source(&act, &named);
	else
		act_person(&act, &named);
	return commit(&act, err);
}

int groups_suspect(struct groups *groups, const char *name, const struct group_finding *finding,
	struct group_result *ret_result, struct error *err)
{
	struct act act = {.groups = groups, .result = ret_result};
	const struct pace_event event = {.trigger = finding->trigger,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = finding->agent};
	autounlock int lock = -1;
	int r;

	*ret_result = (struct group_result){0};
	lock = state_lock(groups->state_fd, finding->lock_ms, err);
	if (lock < 0)
		return lock;
	r = begin(&act, name, err);
	if (r < 0)
		return r;
	groups_agent_name(groups, finding->agent, ret_result->agent);
	pace_apply(&ret_result->group, &act.now, &event, &ret_result->outcome);
	tell(&act, &ret_result->outcome, NULL, NULL, NULL);
	return commit(&act, err);
}

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

static int may_set(struct act *act, const struct group_settings *settings, bool is_new, uid_t uid,
	struct error *err)
{
	const struct authority *authority = act->groups->authority;
	const struct authority_person *person = authority_person(authority, uid);
	unsigned risk_owner = 1U << PACE_BY_RISK_OWNER;

	if (!person)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"uid %u may not set groups: authority.yaml does not list it",
			(unsigned)uid);
	snprintf(act->result->by, sizeof(act->result->by), "%s", person->name);
	act->result->outcome.authority = PACE_BY_OPERATOR;
	if (is_new || !widens(&act->result->group, settings) || !has_risk_owner(authority))
		return 0;
	act->result->outcome.authority = PACE_BY_RISK_OWNER;
	if (person->roles & risk_owner)
		return 0;
	return error_set(err, -EPERM, ERROR_REFUSED,
		"%s may not set this: a higher tier, a less restrictive floor, a longer window and "
		"other agents for backup and contingency need the risk owner",
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

static void make_group(struct act *act, const char *name, const struct group_settings *settings)
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
	struct act act = {.groups = groups, .result = ret_result};
	struct group_settings settings = *wanted;
	char ids[2][AGENT_ID_BYTES + 1];
	struct pace_group *group = &ret_result->group;
	autotext struct text words = {0};
	autounlock int lock = -1;
	bool is_new;
	int r = check_settings(wanted, err);

	*ret_result = (struct group_result){0};
	if (r < 0)
		return r;
	lock = state_lock(groups->state_fd, LOCK_MS, err);
	if (lock < 0)
		return lock;
	r = begin(&act, name, err);
	is_new = r == -ENOENT;
	if (is_new)
		r = groups_now(&act.now, err);
	if (r == 0)
		r = find_agents(groups, name, &settings, ids, err);
	if (r == 0)
		r = may_set(&act, &settings, is_new, uid, err);
	if (r < 0)
		return r;
	if (is_new)
		make_group(&act, name, &settings);
	act.loosens |= widens(group, &settings);
	set(group, &settings);
	words_of_settings(group, &words);
	ret_result->outcome.result = PACE_NOTED;
	ret_result->outcome.before = ret_result->outcome.after = group->phase;
	ret_result->outcome.wanted = group->configured;
	ret_result->outcome.trigger = PACE_CONFIGURED;
	tell(&act, &ret_result->outcome, ret_result->by, text_string(&words), NULL);
	/* A floor that is more restrictive holds at once. */
	settle(&act);
	return commit(&act, err);
}
