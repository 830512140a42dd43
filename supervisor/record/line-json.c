/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"
#include "record/line.h"

#include <string.h>
#include <time.h>

void line_json_time(struct json *j, const char *key, int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
	long rest = (long)(ns % 1000000000 + (ns % 1000000000 < 0) * 1000000000);
	char words[64];
	struct tm t;

	if (!gmtime_r(&seconds, &t) || t.tm_year > 8099) {
		json_put_null(j, key);
		return;
	}
	snprintf(words, sizeof(words), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", t.tm_year + 1900,
		t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, rest);
	json_put_string(j, key, words);
}

static void put_bytes_or_null(struct json *j, const char *key, const ProtobufCBinaryData *bytes)
{
	if (bytes->len)
		export_json_bytes(j, key, bytes);
	else
		json_put_null(j, key);
}

static void put_rule(struct json *j, const Berm__Wire__RecordRule *rule)
{
	export_json_string(j, "rule", rule ? rule->key : NULL);
	export_json_string(j, "file", rule && rule->file && rule->file[0] ? rule->file : NULL);
	if (rule && rule->has_line && rule->line)
		json_put_u64(j, "line", rule->line);
	else
		json_put_null(j, "line");
	export_json_string(j, "by", rule ? rule->by : NULL);
}

static void put_hash(struct json *j, const char *key, const uint8_t *hash)
{
	if (hash)
		export_json_hex(j, key, hash, EXPORT_HASH_BYTES);
	else
		json_put_null(j, key);
}

/* The operation and what it is about, in the words of the line. */
static void put_line(struct json *j, const struct line *line)
{
	json_put_string(j, "verdict", line->verdict);
	json_put_string(j, "area", line->area);
	json_put_bool(j, "denied", line->denied);
	json_put_string(j, "operation", text_string(&line->operation));
	json_put_string(j, "detail", line->more.length ? text_string(&line->more) : NULL);
}

void line_json(struct json *j, const Berm__Wire__Record *record, const struct export_place *place)
{
	const Berm__Wire__Evidence *evidence = record->evidence;
	struct export_event event;
	struct line line;

	export_event_fill(&event, record, place);
	line_fill(&line, record);
	json_put_u64(j, "sequence", record->sequence);
	line_json_time(j, "time", record->timestamp);
	json_put_string(j, "kind", line_kind(record));
	put_line(j, &line);
	export_json_string(j, "run", record->run);
	export_json_string(j, "agent", record->agent_id);
	export_json_string(j, "group", record->group);
	put_bytes_or_null(j, "target", &event.object);
	put_rule(j, event.rule);
	json_put_u64(j, "count", event.count);
	if (record->body_case == BERM__WIRE__RECORD__BODY_DENIAL)
		export_json_string(j, "id", record->denial->id);
	else
		json_put_null(j, "id");
	if (evidence)
		put_bytes_or_null(j, "program", &evidence->program);
	else
		json_put_null(j, "program");
	if (evidence && evidence->has_pid)
		json_put_u64(j, "pid", evidence->pid);
	else
		json_put_null(j, "pid");
	put_hash(j, "previous_entry_hash", place ? place->previous_hash : NULL);
	put_hash(j, "entry_hash", place ? place->hash : NULL);
	export_json_record(j, "record", record);
	j->out->failed |= line.operation.failed || line.more.failed;
	line_finish(&line);
	export_event_finish(&event);
}
