/* SPDX-License-Identifier: Apache-2.0 */
#include "base/failpoint.h"
#include "daemon/act.h"
#include "daemon/groups-internal.h"
#include "govern/pace-words.h"

#include <string.h>

#define ACTIONS_MAX 16
_Static_assert(PACE_ACTIONS_ALL < 1 << ACTIONS_MAX, "each action has its place");

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

unsigned group_told_done(const struct group_told *told)
{
	return told->outcome.actions &
	       (GROUP_BY_FILE | told->started | (told->killed ? told->killed->done : 0));
}

static void fill_actions(
	Berm__Wire__PhaseChange *body, const struct group_told *told, char **actions)
{
	const struct group_killed *killed = told->killed;
	unsigned wanted = told->outcome.actions;
	unsigned done = group_told_done(told);

	body->actions = actions;
	body->required = actions + ACTIONS_MAX;
	body->begun = actions + 2 * ACTIONS_MAX;
	for (unsigned bit = 1; bit < PACE_ACTIONS_ALL; bit <<= 1) {
		if (told->begun & wanted & bit)
			body->begun[body->n_begun++] = words_of(pace_action_name(bit));
		else if (done & bit)
			actions[body->n_actions++] = words_of(pace_action_name(bit));
		else if (wanted & bit)
			body->required[body->n_required++] = words_of(pace_action_name(bit));
	}
	body->has_runs_gone = body->has_runs_left = killed != NULL;
	body->runs_gone = killed ? killed->gone : 0;
	body->runs_left = killed ? killed->left : 0;
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
	body->result = words_of(told->result ? told->result : result_names[o->result]);
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
	fill_actions(body, told, actions);
}

/* One record and what it borrows. */
struct told_record {
	Berm__Wire__Record record;
	Berm__Wire__PhaseChange body;
	char *actions[3 * ACTIONS_MAX];
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

ProtobufCBinaryData group_pack(
	const struct groups *groups, const struct pace_group *group, const struct group_told *told)
{
	ProtobufCBinaryData packed = {0};
	struct told_record made = {0};

	make_record(groups, group, told, &made);
	packed.len = berm__wire__phase_change__get_packed_size(&made.body);
	packed.data = malloc(packed.len + 1);
	if (packed.data)
		berm__wire__phase_change__pack(&made.body, packed.data);
	text_finish(&made.refusal);
	return packed;
}

/* Records of what an earlier change could not tell. What cannot be read was not written by us: the
 * file has a checksum. */
struct earlier {
	Berm__Wire__Record *records;
	size_t count;
};

static void earlier_finish(struct earlier *earlier)
{
	for (size_t i = 0; i < earlier->count; i++)
		berm__wire__phase_change__free_unpacked(earlier->records[i].phase_change, NULL);
	free(earlier->records);
}

static int make_earlier(const struct group_telling *telling, struct earlier *ret_earlier)
{
	ret_earlier->count = 0;
	ret_earlier->records = calloc(telling->before_count + 1, sizeof(*ret_earlier->records));
	if (!ret_earlier->records)
		return -ENOMEM;
	for (size_t i = 0; i < telling->before_count; i++) {
		Berm__Wire__Record *record = &ret_earlier->records[ret_earlier->count];

		berm__wire__record__init(record);
		record->body_case = BERM__WIRE__RECORD__BODY_PHASE_CHANGE;
		record->phase_change = berm__wire__phase_change__unpack(
			NULL, telling->before[i].len, telling->before[i].data);
		ret_earlier->count += record->phase_change != NULL;
	}
	return 0;
}

int group_tell(const struct groups *groups, const struct group_telling *telling, struct error *err)
{
	__attribute__((cleanup(earlier_finish))) struct earlier earlier = {0};
	size_t count = telling->count, n = 0;
	autofree struct told_record *made = calloc(count + 1, sizeof(*made));
	autofree const Berm__Wire__Record **records =
		calloc(count + telling->before_count + 1, sizeof(const void *));
	struct act act = {
		.state = groups->state, .group = telling->group->name, .records = records};
	int r;

	if (!made || !records || make_earlier(telling, &earlier) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for the record");
	for (size_t i = 0; i < earlier.count; i++)
		records[n++] = &earlier.records[i];
	for (size_t i = 0; i < count; i++) {
		make_record(groups, telling->group, &telling->told[i], &made[i]);
		records[n++] = &made[i].record;
	}
	act.count = n;
	failpoint("group.telling");
	r = (groups->record ? groups->record : act_record)(&act, telling->patience_ms, err);
	failpoint("group.told");
	for (size_t i = 0; i < count; i++)
		text_finish(&made[i].refusal);
	return r;
}
