/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/group-backup.h"
#include "govern/pace-table.h"
#include "govern/pace-words.h"

#include <string.h>

/* What is in force with a kill waits for nobody who holds the lock. */
#define EMERGENCY_LOCK_MS 400

static void refuse(struct group_change *act, unsigned refusal, const struct pace_event *event)
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

static void act_signed(struct group_change *act, const struct group_act *asked)
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
		group_change_add(act, &result->outcome, NULL, NULL, asked->signed_words->key);
		act->told[act->told_count - 1].refusal = authority_refusal_words(result->signature);
		return;
	}
	snprintf(result->by, sizeof(result->by), "%s", key->name);
	if (event.authority == PACE_BY_OBSERVER)
		event.source = key->name;
	if (s->agent[0])
		groups_agent_name(act->groups, s->agent, result->agent);
	memcpy(act->nonce, s->nonce, sizeof(act->nonce));
	pace_nonce_use(&result->group, key->key, s->nonce, s->signed_ms, act->now.wall_ms);
	pace_apply(&result->group, &act->now, &event, &result->outcome);
	group_change_add(act, &result->outcome, result->by, s->reason, key->key);
}

static void act_source(struct group_change *act, const struct group_act *asked)
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
	group_change_add(act, &result->outcome, result->by, event.reason, NULL);
	act->told[act->told_count - 1].refusal = result->unlisted;
}

/* The roles of a person in the order in which they are tried: none that is not needed is used. */
static const enum pace_authority people[] = {PACE_BY_OPERATOR, PACE_BY_SECURITY, PACE_BY_COMMANDER,
	PACE_BY_RISK_OWNER, PACE_BY_KILL_KEY};

static unsigned says_more(enum pace_refusal refusal)
{
	return refusal == PACE_NO_RULE ? 0 : refusal == PACE_NO_AUTHORITY ? 1 : 2;
}

static void act_person(struct group_change *act, const struct group_act *asked)
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
	group_change_add(act, &result->outcome, result->by, event.reason, NULL);
	act->told[act->told_count - 1].refusal = result->unlisted;
}

/* Whether it may bring the group into emergency at once. */
static bool is_kill(const struct group_act *asked)
{
	unsigned evidence = PACE_EVIDENCE | 1U << PACE_KILL;

	if (asked->signed_words)
		return asked->signed_words->statement.to == PHASE_EMERGENCY &&
		       (evidence & 1U << asked->signed_words->statement.trigger);
	return evidence & 1U << asked->event.trigger;
}

/* Whatever else happens, nothing gets looser by it. */
static bool only_restricts(const struct group_act *asked)
{
	unsigned trigger =
		asked->signed_words ? asked->signed_words->statement.trigger : asked->event.trigger;

	return (PACE_SUSPICIONS | PACE_EVIDENCE | 1U << PACE_KILL | 1U << PACE_DECLARED) &
	       1U << trigger;
}

static int begin(struct group_change *act, const struct group_act *asked, unsigned lock_ms,
	struct error *err)
{
	const struct group_patience patience = {lock_ms, GROUP_TELL_MS};
	struct error why = {0};
	int r = group_change_begin(act, &patience, only_restricts(asked), &why);

	/* A file that cannot be read is no state that anything could follow. */
	if (r < 0 && act->lock < 0 && lock_ms == EMERGENCY_LOCK_MS)
		return group_change_begin_alone(act, &why, err);
	return r < 0 ? error_set(err, r, why.kind, "%s", why.text) : 0;
}

static int try(struct group_change *act, const struct group_act *asked, unsigned lock_ms,
	struct error *err)
{
	struct group_act named = *asked;
	char id[AGENT_ID_BYTES + 1];
	int r;

	*act->result = (struct group_result){0};
	r = begin(act, asked, lock_ms, err);
	named.event.agent = NULL;
	if (r == 0 && asked->agent && !asked->signed_words) {
		r = group_agent(act->groups, act->name, asked->agent, id, act->result->agent, err);
		named.event.agent = id;
	}
	if (r < 0)
		return r;
	if (asked->signed_words)
		act_signed(act, asked);
	else if (asked->source)
		act_source(act, &named);
	else
		act_person(act, &named);
	return 0;
}

/* It came to no emergency, and something else without the lock is nothing. */
static bool is_in_vain(const struct group_change *act)
{
	return act->alone && act->result->outcome.result != PACE_REFUSED &&
	       act->result->group.phase != PHASE_EMERGENCY;
}

int groups_act(struct groups *groups, const char *name, const struct group_act *asked,
	struct group_result *ret_result, struct error *err)
{
	autochange struct group_change act = {
		.groups = groups, .name = name, .result = ret_result, .lock = -1};
	int r = try(&act, asked, is_kill(asked) ? EMERGENCY_LOCK_MS : GROUP_LOCK_MS, err);

	if (r == 0 && is_in_vain(&act)) {
		group_change_end(&act);
		act = (struct group_change){
			.groups = groups, .name = name, .result = ret_result, .lock = -1};
		r = try(&act, asked, GROUP_LOCK_MS, err);
	}
	return r < 0 ? r : group_change_commit(&act, err);
}

int groups_suspect(struct groups *groups, const char *name, const struct group_finding *finding,
	struct group_result *ret_result, struct error *err)
{
	autochange struct group_change act = {
		.groups = groups, .name = name, .result = ret_result, .lock = -1};
	const struct pace_event event = {.trigger = finding->trigger,
		.authority = PACE_BY_BERM,
		.to = PHASE_COUNT,
		.agent = finding->agent};
	int r;

	*ret_result = (struct group_result){0};
	r = group_change_begin(&act, &finding->patience, true, err);
	if (r < 0)
		return r;
	groups_agent_name(groups, finding->agent, ret_result->agent);
	pace_apply(&ret_result->group, &act.now, &event, &ret_result->outcome);
	group_change_add(&act, &ret_result->outcome, NULL, NULL, NULL);
	return group_change_commit(&act, err);
}

int groups_settle(struct groups *groups, const char *name, const struct group_patience *patience,
	struct pace_group *ret_group, bool *ret_waits, struct error *err)
{
	autofree struct group_result *result = NULL;
	autochange struct group_change act = {.groups = groups, .name = name, .lock = -1};
	struct error ignored = {0};
	bool due = false;
	int r = group_look(groups, name, ret_group, &due, err);

	*ret_waits = due;
	if (r == 0)
		group_backup_look(groups, ret_group);
	if (r < 0 || !due)
		return r;
	result = calloc(1, sizeof(*result));
	if (!result)
		return 0;
	act.result = result;
	/* Where it cannot be written down, what was seen holds. */
	if (group_change_begin(&act, patience, false, &ignored) < 0 ||
		group_change_commit(&act, &ignored) < 0)
		return 0;
	*ret_group = result->group;
	*ret_waits = act.left_waiting;
	return 0;
}
