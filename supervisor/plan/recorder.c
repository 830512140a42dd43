/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/keys.h"
#include "policy/pace.h"
#include "policy/recorded.h"

/* Plan.recorder: how the run is recorded and what follows where it cannot be. */

static void add_failure(struct compiler *c, Berm__Wire__Recorder *r)
{
	const struct profile *p = c->profile;
	struct recorded_failure failure = recorded_failure(p);
	const struct phase_rules *rules;

	r->failure_rule = rule_index(c, RULES_RECORDER_ON_FAILURE, 0);
	if (failure.action != RECORDED_PHASE) {
		r->on_failure = failure.action == RECORDED_STOP
					? BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_STOP
					: BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_CONTINUE;
		return;
	}
	rules = pace_rules(p, failure.phase);
	r->on_failure = BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_PHASE;
	r->failure_phase = failure.phase;
	r->failure_posture = pace_posture(rules, failure.phase);
	if (failure.trigger)
		r->failure_rule = rule_index(c, meter_phase_sections[failure.phase].when,
			(size_t)(failure.trigger - rules->when.items));
}

static bool add_sinks(struct compiler *c, Berm__Wire__Recorder *r)
{
	static const Berm__Wire__RecorderSinkType types[SINK_TYPE_COUNT] = {
		[SINK_JOURNALD] = BERM__WIRE__RECORDER_SINK_TYPE__RECORDER_SINK_JOURNALD,
		[SINK_SYSLOG] = BERM__WIRE__RECORDER_SINK_TYPE__RECORDER_SINK_SYSLOG,
	};
	const struct sink_rules *sinks = &c->profile->recorder.sinks;

	for (size_t i = 0; i < sinks->count; i++) {
		Berm__Wire__RecorderSink *sink = malloc(sizeof(*sink));

		if (!sink || !message_push(c, &r->sinks, &r->n_sinks, sink)) {
			free(sink);
			return false;
		}
		berm__wire__recorder_sink__init(sink);
		sink->type = types[sinks->items[i].type];
		sink->format = message_string(
			c, key_find(SECTION_SINK, "format")->words[sinks->items[i].format]);
		sink->rule = rule_index(c, RULES_RECORDER_SINKS, i);
	}
	return true;
}

static bool add_outputs(struct compiler *c, Berm__Wire__Recorder *r)
{
	const struct path_rules *outputs = &c->profile->recorder.outputs;

	for (size_t i = 0; i < outputs->count; i++) {
		Berm__Wire__RecorderOutput *output = malloc(sizeof(*output));

		if (!output || !message_push(c, &r->outputs, &r->n_outputs, output)) {
			free(output);
			return false;
		}
		berm__wire__recorder_output__init(output);
		output->path = message_string(c, outputs->items[i].path);
		output->rule = rule_index(c, RULES_RECORDER_OUTPUTS, i);
	}
	return true;
}

static bool add_redact(struct compiler *c, Berm__Wire__Recorder *r)
{
	const struct string_rules *rules = &c->profile->recorder.redact;

	for (size_t i = 0; i < rules->count; i++) {
		char *text = message_string(c, rules->items[i].text);

		if (message_push(c, &r->redact, &r->n_redact, text))
			continue;
		if (text != protobuf_c_empty_string)
			free(text);
		return false;
	}
	return true;
}

int plan_recorder(struct compiler *c)
{
	static const Berm__Wire__RecorderLevel levels[] = {
		[RECORD_DECISIONS] = BERM__WIRE__RECORDER_LEVEL__RECORDER_DECISIONS,
		[RECORD_ACTIVITY] = BERM__WIRE__RECORDER_LEVEL__RECORDER_ACTIVITY,
		[RECORD_FULL] = BERM__WIRE__RECORDER_LEVEL__RECORDER_FULL,
	};
	Berm__Wire__Recorder *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	berm__wire__recorder__init(r);
	c->plan->recorder = r;
	r->level = levels[recorded_level(c->profile)];
	r->level_rule = rule_index(c, RULES_RECORDER_LEVEL, 0);
	r->keep_ms = recorded_keep_ms(c->profile);
	r->keep_rule = rule_index(c, RULES_RECORDER_KEEP, 0);
	add_failure(c, r);
	return add_redact(c, r) && add_sinks(c, r) && add_outputs(c, r) ? 0 : -ENOMEM;
}

int recorder_level(struct compiler *c)
{
	const Berm__Wire__Recorder *r = c->plan->recorder;

	rule_enforced(c, r->level_rule, "recorder");
	if (r->on_failure == BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_CONTINUE)
		note(c, "%s: where nothing can be recorded the run goes on unrecorded",
			rule_text(c, r->failure_rule));
	if (r->level == BERM__WIRE__RECORDER_LEVEL__RECORDER_DECISIONS)
		return 0;
	if (!meter_sees_all(c))
		return meter_missing(c, r->level_rule,
			"decisions are recorded, but not programs started, files and connections");
	rule_enforced(c, r->level_rule, meter_words(c));
	return 0;
}
