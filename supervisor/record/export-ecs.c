/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Elastic Common Schema, nested form. event.outcome is the producer's view: a denial that worked is
 * a success of type "denied" (event.outcome in the field reference). */

#define ECS_VERSION "8.17.0"
#define SECOND_NS 1000000000LL
#define MILLISECOND_NS 1000000LL

static void put_time(struct json *j, const char *key, int64_t wall_ns)
{
	int64_t second = wall_ns / SECOND_NS, rest = wall_ns % SECOND_NS;
	char text[64];
	struct tm tm;
	time_t when;

	if (rest < 0) {
		second--;
		rest += SECOND_NS;
	}
	when = (time_t)second;
	if (!gmtime_r(&when, &tm) || tm.tm_year + 1900 < 0 || tm.tm_year + 1900 > 9999) {
		json_put_string(j, key, "1970-01-01T00:00:00.000Z");
		return;
	}
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(rest / MILLISECOND_NS));
	json_put_string(j, key, text);
}

static void put_words(struct json *j, const char *key, const char *const words[2])
{
	json_array_begin(j, key);
	for (size_t i = 0; i < 2 && words[i]; i++)
		json_put_string(j, NULL, words[i]);
	json_array_end(j);
}

static void put_event(struct json *j, const struct export_event *e)
{
	json_object_begin(j, "event");
	json_put_string(j, "kind", e->finding ? "alert" : "event");
	put_words(j, "category", e->kind->ecs_category);
	put_words(j, "type", e->kind->ecs_type);
	json_put_string(j, "action", e->kind->action);
	json_put_string(
		j, "outcome", e->error && e->decision != EXPORT_DENIED ? "failure" : "success");
	json_put_string(j, "provider", "berm");
	json_put_u64(j, "sequence", e->record->sequence);
	json_put_u64(j, "severity", e->severity);
	json_object_end(j);
}

static void put_process(struct json *j, const struct export_event *e)
{
	const Berm__Wire__Evidence *evidence = e->record->evidence;
	bool starts = e->kind->class_uid == 1007 && e->object.len && e->exit_code < 0;
	const ProtobufCBinaryData *program = starts     ? &e->object
					     : evidence ? &evidence->program
							: NULL;

	json_object_begin(j, "process");
	if (evidence && evidence->has_pid)
		json_put_u64(j, "pid", evidence->pid);
	if (program && program->len) {
		ProtobufCBinaryData name = export_last(program);

		export_json_bytes(j, "executable", program);
		export_json_bytes(j, "name", &name);
	}
	if (e->argc) {
		json_array_begin(j, "args");
		for (size_t i = 0; i < e->argc; i++)
			export_json_bytes(j, NULL, &e->argv[i]);
		json_array_end(j);
	}
	if (e->exit_code >= 0)
		json_put_u64(j, "exit_code", (uint64_t)e->exit_code);
	if (evidence && evidence->has_parent_pid) {
		json_object_begin(j, "parent");
		json_put_u64(j, "pid", evidence->parent_pid);
		json_object_end(j);
	}
	json_object_end(j);
}

static void put_destination(struct json *j, const struct export_event *e)
{
	char address[64];
	bool known = export_address(&e->address, address);

	json_object_begin(j, "destination");
	if (known) {
		json_put_string(j, "address", address);
		json_put_string(j, "ip", address);
	} else {
		export_json_bytes(j, "address", &e->object);
	}
	export_json_bytes(j, "domain", &e->host_name);
	if (e->port)
		json_put_u64(j, "port", e->port);
	json_object_end(j);
}

static void put_rule(struct json *j, const struct export_event *e)
{
	autotext struct text place = {0};

	if (!e->rule || !e->rule->key)
		return;
	export_rule_place(e->rule, &place);
	j->out->failed |= place.failed;
	json_object_begin(j, "rule");
	export_json_string(j, "name", e->rule->key);
	json_put_string(j, "id", text_string(&place));
	json_object_end(j);
}

/* All hashes of an event are in related.hash, to be searched for; which is whose, in a label. */
static void put_related(struct json *j, const struct export_event *e)
{
	const Berm__Wire__RunEnd *end = export_end_with_outputs(e->record);

	if (!end)
		return;
	json_object_begin(j, "related");
	json_array_begin(j, "hash");
	for (size_t i = 0; i < end->n_outputs; i++) {
		const Berm__Wire__OutputHash *output = end->outputs[i];

		if (output->has_digest)
			export_json_hex(j, NULL, output->digest.data, output->digest.len);
	}
	json_array_end(j);
	json_object_end(j);
}

static void put_output_labels(struct json *j, const struct export_event *e)
{
	const Berm__Wire__RunEnd *end = export_end_with_outputs(e->record);

	if (!end)
		return;
	json_array_begin(j, "outputs");
	for (size_t i = 0; i < end->n_outputs; i++) {
		autotext struct text words = {0};

		export_put_output(&words, end->outputs[i]);
		j->out->failed |= words.failed;
		json_put_string(j, NULL, text_string(&words));
	}
	json_array_end(j);
}

static void put_labels(struct json *j, const struct export_event *e)
{
	const Berm__Wire__Record *r = e->record;
	autotext struct text count = {0};

	text_printf(&count, "%" PRIu64, e->count);
	j->out->failed |= count.failed;
	json_object_begin(j, "labels"); /* keywords only */
	if (r->run)
		export_json_string(j, "run", r->run);
	if (r->agent_id)
		export_json_string(j, "agent", r->agent_id);
	if (r->group)
		export_json_string(j, "group", r->group);
	if (e->place->profile)
		export_json_string(j, "profile", e->place->profile);
	json_put_string(j, "count", text_string(&count));
	put_output_labels(j, e);
	json_object_end(j);
}

void export_ecs(const struct export_event *e, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	put_time(&j, "@timestamp", e->record->timestamp);
	json_object_begin(&j, "ecs");
	json_put_string(&j, "version", ECS_VERSION);
	json_object_end(&j);
	json_put_string(&j, "message", text_string(&e->words));
	put_event(&j, e);
	put_process(&j, e);
	if (e->kind->class_uid == 1001) {
		ProtobufCBinaryData name = export_last(&e->object);

		json_object_begin(&j, "file");
		export_json_bytes(&j, "path", &e->object);
		export_json_bytes(&j, "name", &name);
		json_object_end(&j);
	}
	if (e->kind->class_uid == 4001)
		put_destination(&j, e);
	put_rule(&j, e);
	if (e->place->host) {
		json_object_begin(&j, "host");
		export_json_string(&j, "name", e->place->host);
		json_object_end(&j);
	}
	put_related(&j, e);
	put_labels(&j, e);
	json_object_end(&j);
}
