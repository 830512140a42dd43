/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include "daemon/control.h"
#include "daemon/hold.h"
#include "daemon/runs.h"
#include "wire/effects.h"

#include <string.h>

static int ask(const char *words, Berm__Wire__ControlType type, unsigned posture,
	Berm__Wire__RunStatus **ret_status, struct error *err)
{
	Berm__Wire__ControlRequest request;
	char id[RUN_ID_LENGTH + 1];
	autoclose int fd = runs_connect(words, id, err);

	if (fd < 0)
		return fd;
	berm__wire__control_request__init(&request);
	request.version = CONTROL_VERSION;
	request.type = type;
	request.posture = posture;
	return control_ask(fd, &request, ret_status, err);
}

int ask_status(const char *words, Berm__Wire__RunStatus **ret_status, struct error *err)
{
	return ask(words, BERM__WIRE__CONTROL_TYPE__CONTROL_STATUS, 0, ret_status, err);
}

int ask_posture(
	const char *words, unsigned posture, Berm__Wire__RunStatus **ret_status, struct error *err)
{
	return ask(words, BERM__WIRE__CONTROL_TYPE__CONTROL_POSTURE, posture, ret_status, err);
}

void ask_put(struct text *out, ProtobufCBinaryData bytes, size_t max_bytes)
{
	text_escape(out, bytes.data ? (const char *)bytes.data : "", bytes.len, max_bytes);
}

void ask_put_command(struct text *out, const Berm__Wire__RunStatus *status, size_t max_bytes)
{
	autotext struct text whole = {0};

	for (size_t i = 0; i < status->n_command && whole.length <= max_bytes; i++) {
		text_puts(&whole, i ? " " : "");
		text_append(&whole, (const char *)status->command[i].data, status->command[i].len);
	}
	text_escape(out, text_string(&whole), whole.length, max_bytes);
}

void ask_put_time(struct text *out, uint64_t ms)
{
	unsigned long long seconds = ms / 1000;

	if (seconds < 60)
		text_printf(out, "%llus", seconds);
	else if (seconds < 3600)
		text_printf(out, "%llum%llus", seconds / 60, seconds % 60);
	else
		text_printf(out, "%lluh%llum", seconds / 3600, seconds % 3600 / 60);
}

void ask_put_held(struct text *out, const Berm__Wire__RunStatus *status, const char *before)
{
	if (!status->held_on)
		return;
	text_printf(out, "%s%s, ", before, hold_moment(status->held_on));
	ask_put_time(out, status->held_ms);
	if (status->held_approval[0]) {
		text_puts(out, ", approval ");
		text_escape(
			out, status->held_approval, strlen(status->held_approval), RUN_ID_LENGTH);
	}
}

const char *ask_counter_name(uint32_t counter)
{
	const char *name = effect_counter_name(counter);

	return name[0] ? name : "?";
}

static void put_bytes(struct json *j, const char *key, ProtobufCBinaryData bytes)
{
	json_put_string_n(j, key, bytes.data ? (const char *)bytes.data : "", bytes.len);
}

static void json_rule(struct json *j, const Berm__Wire__RunRule *rule, bool with_value)
{
	if (!rule) {
		json_put_null(j, "rule");
		return;
	}
	put_bytes(j, "rule", rule->key);
	if (with_value)
		put_bytes(j, "value", rule->value);
	if (rule->file.len)
		put_bytes(j, "file", rule->file);
	else
		json_put_null(j, "file");
	json_put_u64(j, "line", rule->line);
}

static void json_counters(struct json *j, const Berm__Wire__RunStatus *status)
{
	json_object_begin(j, "counters");
	for (size_t i = 0; i < status->n_counters; i++) {
		const Berm__Wire__RunCounter *c = status->counters[i];

		json_object_begin(j, ask_counter_name(c->counter));
		json_put_u64(j, "value", c->value);
		json_put_u64(j, "refused", c->refused);
		if (c->capped)
			json_put_u64(j, "limit", c->limit);
		else
			json_put_null(j, "limit");
		json_object_end(j);
	}
	json_object_end(j);
}

static void json_lists(struct json *j, const Berm__Wire__RunStatus *status)
{
	json_array_begin(j, "trips");
	for (size_t i = 0; i < status->n_trips; i++) {
		const Berm__Wire__RunTrip *t = status->trips[i];

		json_object_begin(j, NULL);
		json_put_string(j, "kind", ask_trip_word(t));
		json_put_string(j, "counter", effect_counter_name(t->counter));
		json_put_u64(j, "value", t->value);
		json_put_u64(j, "limit", t->limit);
		json_rule(j, t->rule, false);
		json_put_string(j, "posture", posture_name(t->posture));
		json_put_string(j, "phase", phase_name(t->phase));
		json_put_u64(j, "after_ms", t->after_ms);
		json_object_end(j);
	}
	json_array_end(j);
	json_array_begin(j, "denials");
	for (size_t i = 0; i < status->n_denials; i++) {
		const Berm__Wire__RunDenial *d = status->denials[i];

		json_object_begin(j, NULL);
		json_put_string(j, "op", d->operation);
		put_bytes(j, "target", d->target);
		json_rule(j, d->rule, true);
		json_put_u64(j, "count", d->count);
		json_object_end(j);
	}
	json_array_end(j);
}

void ask_json(struct json *j, const char *key, const Berm__Wire__RunStatus *status)
{
	json_object_begin(j, key);
	json_put_string(j, "run", status->run);
	json_put_string(j, "agent", status->agent[0] ? status->agent : NULL);
	json_put_string(j, "agent_id", status->agent_id[0] ? status->agent_id : NULL);
	json_put_string(j, "group", status->group[0] ? status->group : NULL);
	json_array_begin(j, "delegated_by");
	for (size_t i = 0; i < status->n_delegated_by; i++) {
		json_object_begin(j, NULL);
		json_put_string(j, "run", status->delegated_by[i]->run);
		json_put_string(j, "agent", status->delegated_by[i]->agent);
		json_put_string(j, "agent_id", status->delegated_by[i]->agent_id);
		json_object_end(j);
	}
	json_array_end(j);
	put_bytes(j, "profile", status->profile);
	json_array_begin(j, "command");
	for (size_t i = 0; i < status->n_command; i++)
		put_bytes(j, NULL, status->command[i]);
	json_array_end(j);
	json_put_u64(j, "pid", status->pid);
	json_put_u64(j, "uid", status->uid);
	json_put_u64(j, "uptime_ms", status->uptime_ms);
	json_put_string(j, "meter", status->metered ? status->make : NULL);
	json_put_string(j, "posture", posture_name(status->posture));
	json_put_string(j, "phase", phase_name(status->phase));
	if (status->held_on) {
		json_object_begin(j, "held");
		json_put_string(j, "on", hold_moment(status->held_on));
		json_put_u64(j, "waited_ms", status->held_ms);
		json_put_string(
			j, "approval", status->held_approval[0] ? status->held_approval : NULL);
		json_object_end(j);
	} else {
		json_put_null(j, "held");
	}
	json_counters(j, status);
	json_lists(j, status);
	json_put_u64(j, "denials_total", status->denials_total);
	json_object_begin(j, "enforcement");
	for (size_t i = 0; i < status->n_enforcement; i++)
		json_put_string(j, status->enforcement[i]->key, status->enforcement[i]->by);
	json_object_end(j);
	json_array_begin(j, "degraded");
	for (size_t i = 0; i < status->n_degraded; i++)
		json_put_string(j, NULL, status->degraded[i]);
	json_array_end(j);
	json_put_u64(j, "events_lost", status->events_lost);
	json_object_end(j);
}

const char *ask_trip_word(const Berm__Wire__RunTrip *trip)
{
	static const struct {
		Berm__Wire__TripKind kind;
		const char *word;
	} words[] = {
		{BERM__WIRE__TRIP_KIND__TRIP_CAP, "cap"},
		{BERM__WIRE__TRIP_KIND__TRIP_STEP, "step"},
		{BERM__WIRE__TRIP_KIND__TRIP_BREAKER, "breaker"},
		{BERM__WIRE__TRIP_KIND__TRIP_OPERATOR, "operator"},
		{BERM__WIRE__TRIP_KIND__TRIP_METER, "meter"},
		{BERM__WIRE__TRIP_KIND__TRIP_RECORDER, "recorder"},
		{BERM__WIRE__TRIP_KIND__TRIP_GROUP, "group"},
	};

	if (trip->warning)
		return "warning";
	for (size_t i = 0; i < array_size(words); i++)
		if (words[i].kind == trip->kind)
			return words[i].word;
	return "?";
}
