/* SPDX-License-Identifier: Apache-2.0 */
#include "record/canonical.h"

#include <endian.h>
#include <string.h>

/* Record, body, rule: one level more than there is today. */
#define DEPTH_MAX 4

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_LENGTH = 2 };

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

/* What a Record was seen to have. */
struct seen {
	struct record_view view;
	uint32_t fields; /* bit n: field n, of those before the bodies */
};

/* sequence, timestamp and boot_ns; and with them all else that the recorder alone writes. */
#define ALWAYS_FIELDS 0xEU
#define ENVELOPE_FIELDS 0x7FEU

/* A field with its value, as it is on the wire. */
struct value {
	const ProtobufCFieldDescriptor *field;
	uint64_t number; /* of a varint or fixed64 */
	struct cursor bytes;
};

/* A varint of at most 64 bits in its shortest form. */
static bool read_varint(struct cursor *c, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (c->at == c->end)
			return false;
		byte = *c->at++;
		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (!(byte & 0x80)) {
			/* A last byte of zero adds nothing: a longer way to write the same. */
			if (byte == 0 && shift > 0)
				return false;
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool is_enum_value(const ProtobufCEnumDescriptor *type, uint64_t number)
{
	for (unsigned i = 0; i < type->n_values; i++)
		if (type->values[i].value >= 0 && (uint64_t)type->values[i].value == number)
			return true;
	return false;
}

static bool read_bytes(struct cursor *c, struct cursor *ret_bytes)
{
	uint64_t length;

	if (!read_varint(c, &length) || length > (uint64_t)(c->end - c->at))
		return false;
	*ret_bytes = (struct cursor){c->at, c->at + length};
	c->at += length;
	return true;
}

static bool walk(
	const ProtobufCMessageDescriptor *type, struct cursor c, struct seen *seen, unsigned depth);

static bool read_value(struct cursor *c, unsigned wire, struct value *v, unsigned depth)
{
	const ProtobufCFieldDescriptor *field = v->field;

	/* Types that record.proto does not use are refused: tests/unit/test-record-canonical.c
	 * checks that it uses no others. */
	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return wire == WIRE_VARINT && read_varint(c, &v->number) && v->number <= 1;
	case PROTOBUF_C_TYPE_UINT32:
		return wire == WIRE_VARINT && read_varint(c, &v->number) && v->number <= UINT32_MAX;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
		return wire == WIRE_VARINT && read_varint(c, &v->number);
	case PROTOBUF_C_TYPE_ENUM:
		return wire == WIRE_VARINT && read_varint(c, &v->number) &&
		       is_enum_value(field->descriptor, v->number);
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		if (wire != WIRE_FIXED64 || c->end - c->at < 8)
			return false;
		memcpy(&v->number, c->at, 8);
		v->number = le64toh(v->number);
		c->at += 8;
		return true;
	case PROTOBUF_C_TYPE_STRING:
		return wire == WIRE_LENGTH && read_bytes(c, &v->bytes) &&
		       !memchr(v->bytes.at, '\0', (size_t)(v->bytes.end - v->bytes.at));
	case PROTOBUF_C_TYPE_BYTES:
		return wire == WIRE_LENGTH && read_bytes(c, &v->bytes);
	case PROTOBUF_C_TYPE_MESSAGE:
		return wire == WIRE_LENGTH && read_bytes(c, &v->bytes) &&
		       walk(field->descriptor, v->bytes, NULL, depth + 1);
	default:
		return false;
	}
}

static void keep(struct seen *seen, const struct value *v)
{
	struct record_view *view = &seen->view;

	seen->fields |= v->field->id < 32 ? 1U << v->field->id : 0;
	switch (v->field->id) {
	case 1:
		view->sequence = v->number;
		break;
	case 2:
		view->timestamp = (int64_t)v->number;
		break;
	case 3:
		view->boot_ns = v->number;
		break;
	case 7:
		view->run_sequence = v->number;
		break;
	default:
		break;
	}
	if (v->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		view->body = v->field->id;
		view->body_bytes = v->bytes.at;
		view->body_length = (size_t)(v->bytes.end - v->bytes.at);
	}
}

static bool walk(
	const ProtobufCMessageDescriptor *type, struct cursor c, struct seen *seen, unsigned depth)
{
	const ProtobufCFieldDescriptor *fields = type->fields;
	unsigned at = 0;
	bool oneof_seen = false;

	if (depth >= DEPTH_MAX)
		return false;
	while (c.at < c.end) {
		struct value v = {0};
		uint64_t tag;

		if (!read_varint(&c, &tag))
			return false;
		/* Descriptors are in order of the numbers, and so must the fields be. */
		while (at < type->n_fields && fields[at].id < tag >> 3)
			at++;
		if (at == type->n_fields || fields[at].id != tag >> 3)
			return false;
		v.field = &fields[at];
		if (v.field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			if (oneof_seen)
				return false;
			oneof_seen = true;
		}
		if (!read_value(&c, tag & 7, &v, depth))
			return false;
		if (v.field->label != PROTOBUF_C_LABEL_REPEATED)
			at++;
		if (seen)
			keep(seen, &v);
	}
	return !seen || oneof_seen;
}

bool canonical_is(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length)
{
	return walk(type, (struct cursor){bytes, bytes + length}, NULL, 0);
}

bool record_view_read(const uint8_t *bytes, size_t length, struct record_view *ret_view)
{
	struct seen seen = {0};

	if (!walk(&berm__wire__record__descriptor, (struct cursor){bytes, bytes + length}, &seen,
		    0) ||
		(seen.fields & ALWAYS_FIELDS) != ALWAYS_FIELDS)
		return false;
	*ret_view = seen.view;
	return true;
}

bool record_part_read(const uint8_t *bytes, size_t length, struct record_part *ret_part)
{
	struct seen seen = {0};

	if (!walk(&berm__wire__record__descriptor, (struct cursor){bytes, bytes + length}, &seen,
		    0) ||
		(seen.fields & ENVELOPE_FIELDS) != 0)
		return false;
	*ret_part = (struct record_part){bytes, length, seen.view.body};
	return true;
}
