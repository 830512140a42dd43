/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/act.h"
#include "daemon/groups-internal.h"
#include "govern/pace-words.h"

#include <string.h>

#define DURABLE_MS 5000

static const char *const result_names[PACE_RESULT_COUNT] = {
	[PACE_CHANGED] = "changed",
	[PACE_ASKED] = "asked",
	[PACE_NOTED] = "noted",
	[PACE_REFUSED] = "refused",
};

static char *words_of(const char *text)
{
	return text && text[0] ? (char *)(uintptr_t)text : NULL;
}

static void fill(Berm__Wire__PhaseChange *body, const struct group_told *told, char **actions)
{
	const struct pace_outcome *o = &told->outcome;

	body->has_before = body->has_after = body->has_number = true;
	body->before = o->before;
	body->after = o->after;
	body->number = told->number;
	body->trigger = words_of(pace_trigger_name(o->trigger));
	body->authority = words_of(pace_authority_name(o->authority));
	body->result = words_of(result_names[o->result]);
	body->has_wanted = o->wanted < PHASE_COUNT;
	body->wanted = o->wanted;
	body->by = words_of(told->by);
	body->agent_id = words_of(o->agent);
	body->refusal = words_of(told->refusal);
	if (told->reason && told->reason[0]) {
		body->has_reason = true;
		body->reason.data = (uint8_t *)(uintptr_t)told->reason;
		body->reason.len = strlen(told->reason);
	}
	if (told->key) {
		body->has_signature_key = true;
		body->signature_key.data = (uint8_t *)(uintptr_t)told->key;
		body->signature_key.len = AUTHORITY_KEY_BYTES;
	}
	body->actions = actions;
	for (unsigned bit = 1; bit < PACE_ACTIONS_ALL; bit <<= 1)
		if (o->actions & bit)
			actions[body->n_actions++] = words_of(pace_action_name(bit));
}

/* One record and what it borrows. */
struct told_record {
	Berm__Wire__Record record;
	Berm__Wire__PhaseChange body;
	char *actions[32];
	struct text refusal;
	char agent[GROUP_AGENT_WORDS];
};

static void make_record(const struct groups *groups, const struct pace_group *group,
	const struct group_told *told, struct told_record *made)
{
	berm__wire__record__init(&made->record);
	berm__wire__phase_change__init(&made->body);
	fill(&made->body, told, made->actions);
	if (told->outcome.agent[0]) {
		groups_agent_name(groups, told->outcome.agent, made->agent);
		made->body.agent = words_of(made->agent);
	}
	if (told->outcome.result == PACE_REFUSED && !told->refusal) {
		pace_refusal_write(&made->refusal, group, &told->outcome);
		made->body.refusal = words_of(text_string(&made->refusal));
	}
	made->record.body_case = BERM__WIRE__RECORD__BODY_PHASE_CHANGE;
	made->record.phase_change = &made->body;
}

int group_tell(const struct groups *groups, const struct pace_group *group,
	const struct group_told *told, size_t count, struct error *err)
{
	autofree struct told_record *made = calloc(count + 1, sizeof(*made));
	autofree const Berm__Wire__Record **records = calloc(count + 1, sizeof(const void *));
	const struct act act = {
		.state = groups->state, .group = group->name, .records = records, .count = count};
	int r;

	if (!made || !records)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the record");
	for (size_t i = 0; i < count; i++) {
		make_record(groups, group, &told[i], &made[i]);
		records[i] = &made[i].record;
	}
	r = act_record(&act, DURABLE_MS, err);
	for (size_t i = 0; i < count; i++)
		text_finish(&made[i].refusal);
	return r;
}
