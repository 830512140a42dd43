/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-trace.h"

#include "record/line.h"

#include <inttypes.h>
#include <string.h>

#define WORDS_BYTES 400

/* The names are those of MASO's decision trace; what berm cannot know is null. What it knows on top
 * is under "berm". */

static void put_hex(struct json *j, const char *key, const uint8_t *bytes, size_t length)
{
	autotext struct text hex = {0};

	for (size_t i = 0; i < length; i++)
		text_printf(&hex, "%02x", bytes[i]);
	json_put_string(j, key, length ? text_string(&hex) : NULL);
}

static void put_nulls(struct json *j, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_put_null(j, keys[i]);
}

/* A string that somebody chose. */
static void put_safe(struct json *j, const char *key, const char *string)
{
	autotext struct text safe = {0};

	if (string)
		text_escape(&safe, string, strlen(string), WORDS_BYTES);
	json_put_string(j, key, string ? text_string(&safe) : NULL);
}

static void put_subject(struct json *j, const Berm__Wire__Record *first)
{
	const Berm__Wire__DecisionChain *chain = first->chain;
	struct line line;

	line_fill(&line, first);
	json_object_begin(j, "subject");
	if (first->body_case == BERM__WIRE__RECORD__BODY_RUN_START)
		json_put_string(j, "description", text_string(&line.object));
	else
		json_put_null(j, "description");
	put_hex(j, "input_hash", chain && chain->has_input_hash ? chain->input_hash.data : NULL,
		chain && chain->has_input_hash ? chain->input_hash.len : 0);
	json_put_null(j, "risk_classification");
	json_object_end(j);
	line_finish(&line);
}

void trace_json_begin(struct trace *t, const struct log_item *first, struct text *out)
{
	const Berm__Wire__Record *record = first->record;
	const Berm__Wire__RunStart *start =
		record->body_case == BERM__WIRE__RECORD__BODY_RUN_START ? record->run_start : NULL;

	t->j = (struct json){.out = out};
	json_object_begin(&t->j, NULL);
	put_safe(&t->j, "trace_id", t->run);
	put_safe(&t->j, "workflow_id", record->group);
	put_safe(&t->j, "workflow_name", start ? start->profile : NULL);
	line_json_time(&t->j, "timestamp", record->timestamp);
	put_safe(&t->j, "accountable_human",
		record->chain ? record->chain->accountable_human : NULL);
	put_subject(&t->j, record);
	json_array_begin(&t->j, "agent_chain");
}

void trace_json_item(struct trace *t, const struct log_item *item, struct text *out)
{
	const Berm__Wire__Record *record = item->record;
	autotext struct text action = {0};
	struct json *j = &t->j;
	struct line line;

	j->out = out;
	line_fill(&line, record);
	text_printf(&action, "%s %s %s", line.verdict, text_string(&line.operation),
		text_string(&line.object));
	json_object_begin(j, NULL);
	put_safe(j, "agent_id", record->agent_id);
	json_put_string(j, "action", text_string(&action));
	json_array_begin(j, "evidence");
	json_object_begin(j, NULL);
	line_json(j, record, &item->place);
	json_object_end(j);
	json_array_end(j);
	json_put_null(j, "confidence");
	json_object_begin(j, "chain_entry_ref");
	json_put_u64(j, "sequence", record->sequence);
	put_hex(j, "entry_hash", item->place.hash, EXPORT_HASH_BYTES);
	json_object_end(j);
	json_object_end(j);
	line_finish(&line);
}

static void put_evaluation(struct json *j)
{
	static const char *const judge[] = {
		"agent_id", "verdict", "criteria_applied", "oisspec_version"};
	static const char *const conflict[] = {
		"detected", "resolution", "precedence_rule", "escalated_to_human"};

	json_object_begin(j, "evaluation");
	json_object_begin(j, "tactical_judge");
	put_nulls(j, judge, array_size(judge));
	json_object_end(j);
	json_array_begin(j, "domain_judges");
	json_array_end(j);
	json_object_begin(j, "inter_judge_conflict");
	put_nulls(j, conflict, array_size(conflict));
	json_object_end(j);
	json_put_null(j, "strategic_evaluator");
	json_put_null(j, "meta_evaluation");
	json_object_end(j);
}

static void put_resolution(struct json *j, const struct trace *t)
{
	const Berm__Wire__Approval *approval = t->approval ? t->approval->approval : NULL;
	bool human = approval && approval->approver;

	json_object_begin(j, "resolution");
	put_safe(j, "outcome", t->end ? t->end->run_end->outcome : NULL);
	put_safe(j, "human_decision", human ? approval->answer : NULL);
	json_put_null(j, "human_reasoning");
	if (human)
		line_json_time(j, "human_decision_timestamp", t->approval->timestamp);
	else
		json_put_null(j, "human_decision_timestamp");
	json_object_end(j);
	json_object_begin(j, "regulatory_mapping");
	json_put_null(j, "explainability_standard");
	/* Whole, with nothing lost, in a log that is as it was recorded. */
	json_put_bool(j, "decision_traceable",
		t->start && t->end && t->lost == 0 && t->check->pinned && t->check->result.pass);
	json_put_bool(j, "human_oversight_documented", human);
	json_object_end(j);
}

static void put_record(struct json *j, const char *key, const Berm__Wire__Record *record)
{
	if (!record) {
		json_put_null(j, key);
		return;
	}
	json_object_begin(j, key);
	line_json(j, record, NULL);
	json_object_end(j);
}

void trace_json_end(struct trace *t, struct text *out)
{
	const struct verify_result *r = &t->check->result;
	const Berm__Wire__Record *any = t->start ? t->start : t->end;
	struct json *j = &t->j;

	j->out = out;
	json_array_end(j);
	put_evaluation(j);
	put_resolution(j, t);
	json_object_begin(j, "berm");
	put_safe(j, "run", t->run);
	put_hex(j, "profile_digest", any ? any->profile_digest.data : NULL,
		any && any->has_profile_digest ? any->profile_digest.len : 0);
	put_record(j, "start", t->start);
	put_record(j, "end", t->end);
	json_put_u64(j, "records", t->decisions);
	json_put_u64(j, "execs", t->execs);
	json_put_u64(j, "files", t->files);
	json_put_u64(j, "connections", t->networks);
	json_put_u64(j, "lost", t->lost);
	if (t->check->pinned)
		json_put_string(j, "check", r->pass ? "PASS" : "FAIL");
	else
		json_put_null(j, "check");
	json_put_string(j, "check_reason", t->check->pinned ? verify_reason_word(r->reason) : NULL);
	json_object_end(j);
	json_object_end(j);
	text_puts(out, "\n");
}
