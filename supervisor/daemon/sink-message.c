/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sink.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 512     /* of a target, in the line for people */
#define FACILITY_AUDIT 13 /* RFC 5424, table 1: log audit */

enum severity { SEVERITY_ERROR = 3, SEVERITY_WARNING = 4, SEVERITY_INFORMATION = 6 };

/* What is in the record: "denial", "run_start" …, as its field is called. */
static const char *kind_of(const Berm__Wire__Record *record)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
		&berm__wire__record__descriptor, (unsigned)record->body_case);

	return field ? field->name : "record";
}

static enum severity severity_of(const Berm__Wire__Record *record)
{
	switch ((unsigned)record->body_case) {
	case BERM__WIRE__RECORD__BODY_TROUBLE:
	case BERM__WIRE__RECORD__BODY_LOSS:
	case BERM__WIRE__RECORD__BODY_TRIP:
	case BERM__WIRE__RECORD__BODY_PHASE_CHANGE:
	case BERM__WIRE__RECORD__BODY_KILL:
	case BERM__WIRE__RECORD__BODY_AGENT_CHANGE:
	case BERM__WIRE__RECORD__BODY_HALT_CHANGE:
		return SEVERITY_ERROR;
	case BERM__WIRE__RECORD__BODY_DENIAL:
	case BERM__WIRE__RECORD__BODY_POSTURE_CHANGE:
		return SEVERITY_WARNING;
	}
	return SEVERITY_INFORMATION;
}

/* For people: "denial of run 01J…: read /etc/shadow". */
static void put_words(const Berm__Wire__Record *record, struct text *out)
{
	text_puts(out, kind_of(record));
	if (record->run) {
		text_puts(out, " of run ");
		text_escape(out, record->run, strlen(record->run), WORDS_MAX);
	}
	if (record->body_case != BERM__WIRE__RECORD__BODY_DENIAL)
		return;
	text_puts(out, ": ");
	if (record->denial->operation)
		text_escape(out, record->denial->operation, strlen(record->denial->operation),
			WORDS_MAX);
	text_puts(out, " ");
	text_escape(out, (const char *)record->denial->target.data, record->denial->target.len,
		WORDS_MAX);
}

static void put_time(int64_t wall_ns, struct text *out)
{
	time_t seconds = (time_t)(wall_ns / 1000000000);
	char words[32] = "";
	struct tm utc;

	if (wall_ns <= 0 || !gmtime_r(&seconds, &utc) ||
		strftime(words, sizeof(words), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
		text_puts(out, "-");
	else
		text_printf(out, "%s.%06dZ", words, (int)(wall_ns % 1000000000 / 1000));
}

/* RFC 5424, section 6. The line is the message; structured data would need a number of its own. */
static void put_syslog(const Berm__Wire__Record *record, const struct export_place *place,
	const struct text *line, struct text *out)
{
	text_printf(out, "<%u>1 ", FACILITY_AUDIT * 8U + severity_of(record));
	put_time(record->timestamp, out);
	text_puts(out, " ");
	/* 6.2.4: 1 to 255 printable ASCII characters. */
	if (place->host && *place->host &&
		strspn(place->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_") == strlen(place->host) &&
		strlen(place->host) <= 255)
		text_puts(out, place->host);
	else
		text_puts(out, "-");
	text_printf(out, " berm %d %s - ", (int)getpid(), kind_of(record));
	text_append(out, line->data, line->length);
}

/* The native protocol of systemd-journald. No value holds a line feed: all of them are escaped. */
static void put_journal(const Berm__Wire__Record *record, const struct text *line, struct text *out)
{
	text_puts(out, "MESSAGE=");
	put_words(record, out);
	text_printf(out,
		"\nPRIORITY=%u\nSYSLOG_FACILITY=%u\nSYSLOG_IDENTIFIER=berm\n"
		"MESSAGE_ID=5f3c0b6e9d7a4c1e8b2fd0a1c9e7%04x\nBERM_EVENT=%s\n",
		severity_of(record), FACILITY_AUDIT, (unsigned)record->body_case, kind_of(record));
	if (record->run) {
		text_puts(out, "BERM_RUN=");
		text_escape(out, record->run, strlen(record->run), WORDS_MAX);
		text_puts(out, "\n");
	}
	if (record->has_sequence)
		text_printf(out, "BERM_SEQUENCE=%llu\n", (unsigned long long)record->sequence);
	text_puts(out, "BERM_RECORD=");
	text_append(out, line->data, line->length);
	text_puts(out, "\n");
}

void sink_message(const struct sink_target *target, const Berm__Wire__Record *record,
	const struct export_place *place, struct text *out)
{
	static const enum export_format formats[SINK_FORMAT_COUNT] = {
		[SINK_OCSF] = EXPORT_OCSF,
		[SINK_ECS] = EXPORT_ECS,
		[SINK_CEF] = EXPORT_CEF,
		[SINK_JSONL] = EXPORT_JSONL,
	};
	autotext struct text line = {0};

	export_record(formats[target->format], record, place, &line);
	out->failed |= line.failed;
	if (line.failed || line.length == 0)
		return;
	if (target->type == SINK_FILE || target->type == SINK_EXEC) {
		text_append(out, line.data, line.length);
		return;
	}
	line.length -= line.data[line.length - 1] == '\n';
	if (target->type == SINK_SYSLOG)
		put_syslog(record, place, &line, out);
	else
		put_journal(record, &line, out);
}
