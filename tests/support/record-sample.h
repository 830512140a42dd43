/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records of every body, filled with what a hostile tool would choose. Include after test.h. */

#include "record/export.h"
#include "record/recorder.h"

#include <jansson.h>
#include <string.h>

#include "base/own.h"

#define BYTES(string)                                                                              \
	{                                                                                          \
		.len = sizeof(string) - 1, .data = bytes_of(string)                                \
	}

static inline uint8_t *bytes_of(const char *string)
{
	union {
		const char *in;
		uint8_t *out;
	} u = {string};

	return u.out;
}

/* Everything that a line, a terminal, JSON or CEF could be broken with. */
static const char hostile[] = "/tmp/a|b=c\\d\"e\n\r\x1b[31m\x80\xff\xe2\x80\xae,%s{}<x>/last\x07";

/* A record of each body, filled with what a hostile tool would choose. */
struct sample {
	Berm__Wire__Record record;
	Berm__Wire__Evidence evidence;
	Berm__Wire__DecisionChain chain;
	Berm__Wire__RecordRule rule;
	ProtobufCBinaryData argv[2];
	ProtobufCBinaryData *target;
	union {
		ProtobufCMessage base;
		Berm__Wire__SegmentHead head;
		Berm__Wire__Seal seal;
		Berm__Wire__Opened opened;
		Berm__Wire__Loss loss;
		Berm__Wire__ClockStep step;
		Berm__Wire__Retention retention;
		Berm__Wire__Trouble trouble;
		Berm__Wire__RunStart start;
		Berm__Wire__RunEnd end;
		Berm__Wire__Denial denial;
		Berm__Wire__Trip trip;
		Berm__Wire__PostureChange posture;
		Berm__Wire__PhaseChange phase;
		Berm__Wire__Approval approval;
		Berm__Wire__ExecActivity exec;
		Berm__Wire__FileActivity file;
		Berm__Wire__NetworkActivity network;
	} body;
};

static uint8_t address[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7};
static char run_name[] = "01JD7Y-run", agent_name[] = "agent\x1b=|\\", key_name[] = "fs.deny",
	    file_name[] = "/etc/a|b=c.yaml", by_name[] = "landlock";

static inline const ProtobufCFieldDescriptor *body_field(unsigned index)
{
	const ProtobufCMessageDescriptor *type = &berm__wire__record__descriptor;

	for (unsigned i = 0; i < type->n_fields; i++) {
		if ((type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && index-- == 0)
			return &type->fields[i];
	}
	return NULL;
}

/* False behind the last body. operation: of those bodies that have one. */
static inline bool sample_make(
	struct sample *s, unsigned index, const char *operation, const ProtobufCBinaryData *target)
{
	const ProtobufCFieldDescriptor *field = body_field(index);
	const ProtobufCMessageDescriptor *type = field ? field->descriptor : NULL;
	char **place;

	if (!field)
		return false;
	memset(s, 0, sizeof(*s));
	berm__wire__record__init(&s->record);
	berm__wire__evidence__init(&s->evidence);
	berm__wire__decision_chain__init(&s->chain);
	berm__wire__record_rule__init(&s->rule);
	protobuf_c_message_init(type, &s->body.base);
	s->record.body_case = (Berm__Wire__Record__BodyCase)field->id;
	*(ProtobufCMessage **)(void *)((char *)&s->record + field->offset) = &s->body.base;
	s->record.has_sequence = s->record.has_timestamp = true;
	s->record.sequence = 812;
	s->record.timestamp = 1795378443118000000LL;
	s->record.run = run_name;
	s->record.agent_id = agent_name;
	s->record.has_enforcement = true;
	s->record.enforcement = RECORD_ENFORCED_LANDLOCK | RECORD_ENFORCED_NOTIFY;
	s->record.evidence = &s->evidence;
	s->record.chain = &s->chain;
	s->evidence.has_pid = s->evidence.has_program = true;
	s->evidence.pid = 4121;
	s->evidence.program = (ProtobufCBinaryData)BYTES("/usr/bin/node");
	s->rule.key = key_name;
	s->rule.file = file_name;
	s->rule.by = by_name;
	s->rule.line = 14;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *member = &type->fields[i];
		char *at = (char *)&s->body + member->offset;

		if (member->type == PROTOBUF_C_TYPE_BYTES &&
			member->label == PROTOBUF_C_LABEL_OPTIONAL) {
			*(protobuf_c_boolean *)((char *)&s->body + member->quantifier_offset) = 1;
			*(ProtobufCBinaryData *)(void *)at = *target;
		}
		if (strcmp(member->name, "rule") == 0 && member->type == PROTOBUF_C_TYPE_MESSAGE)
			*(Berm__Wire__RecordRule **)(void *)at = &s->rule;
		if (strcmp(member->name, "operation") == 0) {
			union {
				const char *in;
				char *out;
			} u = {operation};

			place = (char **)(void *)at;
			*place = u.out;
		}
	}
	if (s->record.body_case == BERM__WIRE__RECORD__BODY_NETWORK)
		s->body.network.address =
			(ProtobufCBinaryData){.len = sizeof(address), .data = address};
	if (s->record.body_case == BERM__WIRE__RECORD__BODY_EXEC) {
		s->argv[0] = s->argv[1] = *target;
		s->body.exec.argv = s->argv;
		s->body.exec.n_argv = 2;
	}
	return true;
}

static const char *const operations[] = {"read", "open", "write", "create", "delete", "rename",
	"exec", "connect", "bind", "send", "syscall", "socket", "odd\x1b\noperation"};

static inline void one_line(const char *line)
{
	size_t length = strlen(line);

	assert_true(length > 1 && line[length - 1] == '\n');
	for (size_t i = 0; i + 1 < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			fail_msg("byte %zu is %02x: %s", i, (unsigned char)line[i], line);
	assert_null(strstr(line, "\xe2\x80\xae"));
}

static inline json_t *parse(const char *line)
{
	json_error_t error;
	json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fail_msg("%s: %s", error.text, line);
	return json;
}

/* Go through all bodies and operations. */
#define FOR_EACH(s, target)                                                                        \
	for (unsigned o_ = 0; o_ < array_size(operations); o_++)                                   \
		for (unsigned b_ = 0; sample_make(&(s), b_, operations[o_], &(target)); b_++)

static const uint8_t sample_hash[32] = {1, 2, 3};
static const struct export_place place = {sample_hash, sample_hash, "coding-agent|x", "build=host"};

static inline json_int_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("%s is not a number", key);
	return json_integer_value(value);
}

static inline const char *string(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		fail_msg("%s is not a string", key);
	return json_string_value(value);
}
