/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "record/export.h"

/* Between the files of the exports only. */

#define EXPORT_TEXT_BYTES_MAX 2048 /* of one escaped value */

/* What the event does to the thing it is about, as others call it. */
struct export_kind {
	unsigned class_uid; /* OCSF */
	unsigned activity_id;
	const char *activity;
	const char *ecs_category[2], *ecs_type[2]; /* the second may be NULL */
	const char *action;                        /* "file-open": ECS event.action, CEF name */
};

struct export_class {
	unsigned uid;
	const char *name;
	unsigned category_uid;
	const char *category;
};

enum export_decision { EXPORT_UNDECIDED, EXPORT_ALLOWED, EXPORT_DENIED, EXPORT_APPROVED };

/* A record in the terms that the formats share. Bytes are the record's own; empty = not there. */
struct export_event {
	const Berm__Wire__Record *record;
	const struct export_place *place;
	const struct export_kind *kind;
	const struct export_class *class_;
	enum export_decision decision;
	unsigned severity; /* OCSF: 1 informational, 3 medium, 4 high, 5 critical */
	bool finding;
	ProtobufCBinaryData object, second; /* path, target, new path */
	const ProtobufCBinaryData *argv;
	size_t argc;
	ProtobufCBinaryData address, host_name; /* of a connection */
	uint32_t port, protocol;
	const Berm__Wire__RecordRule *rule;
	uint64_t count;
	uint32_t error;    /* errno */
	int exit_code;     /* -1: none */
	struct text words; /* a sentence for people, escaped */
};

void export_event_fill(struct export_event *event, const Berm__Wire__Record *record,
	const struct export_place *place);
void export_event_finish(struct export_event *event);

/* Append bytes of a tool, safe for a line. */
void export_put(struct text *out, const ProtobufCBinaryData *bytes);
/* A string member made of them; nothing where there are none. */
void export_json_bytes(struct json *j, const char *key, const ProtobufCBinaryData *bytes);
/* A string of ours or of a caller, escaped like one of a tool; null for NULL. */
void export_json_string(struct json *j, const char *key, const char *string);
void export_json_hex(struct json *j, const char *key, const uint8_t *bytes, size_t length);
void export_put_hex(struct text *out, const uint8_t *bytes, size_t length);
/* The address as people write it; false where it is none. */
bool export_address(const ProtobufCBinaryData *address, char ret_text[64]);
/* The last part of a path. */
ProtobufCBinaryData export_last(const ProtobufCBinaryData *path);
/* "file:line" of the rule, or its key. */
void export_rule_place(const Berm__Wire__RecordRule *rule, struct text *out);
/* "mount+landlock" of Record.enforcement. */
void export_enforcement(uint32_t bits, struct text *out);

/* The end of a run that has outputs, or NULL. */
const Berm__Wire__RunEnd *export_end_with_outputs(const Berm__Wire__Record *record);
/* "DIGEST PATH", or "missing PATH" where the state says why there is none; safe for a line. */
void export_put_output(struct text *out, const Berm__Wire__OutputHash *output);

/* The record field by field, as export_jsonl() writes it. */
void export_json_record(struct json *j, const char *key, const Berm__Wire__Record *record);

void export_ocsf(const struct export_event *event, struct text *out);
void export_ecs(const struct export_event *event, struct text *out);
void export_cef(const struct export_event *event, struct text *out);
void export_jsonl(const struct export_event *event, struct text *out);
