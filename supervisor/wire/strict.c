/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/strict.h"

#include "base/own.h"

#include <string.h>

#define NEST_MAX 8
#define VARINT_BITS 7

/* ---- bytes ---- */

/* Encoding, "Message Structure" of the Protocol Buffers documentation. */
enum wire_type { WIRE_VARINT = 0, WIRE_EIGHT = 1, WIRE_BYTES = 2, WIRE_FOUR = 5, WIRE_NONE = 8 };

struct walk {
	const uint8_t *at, *end;
};

static bool take_varint(struct walk *walk, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && walk->at < walk->end; shift += VARINT_BITS) {
		uint8_t byte = *walk->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*ret_value = value;
		/* The last of ten bytes has one bit. */
		return (byte || shift == 0) && (shift < 63 || byte == 1);
	}
	return false;
}

static bool take_bytes(struct walk *walk, uint64_t length, struct walk *ret_inside)
{
	if (length > (uint64_t)(walk->end - walk->at))
		return false;
	*ret_inside = (struct walk){walk->at, walk->at + length};
	walk->at += length;
	return true;
}

/* The value that follows a tag; *ret_inside is what a WIRE_BYTES has. */
static bool take_value(struct walk *walk, enum wire_type wire, struct walk *ret_inside)
{
	uint64_t value;

	switch (wire) {
	case WIRE_VARINT:
		return take_varint(walk, &value);
	case WIRE_BYTES:
		return take_varint(walk, &value) && take_bytes(walk, value, ret_inside);
	case WIRE_EIGHT:
		return take_bytes(walk, 8, ret_inside);
	case WIRE_FOUR:
		return take_bytes(walk, 4, ret_inside);
	case WIRE_NONE:
		break;
	}
	return false;
}

static enum wire_type type_of(const ProtobufCFieldDescriptor *field)
{
	if (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED)
		return WIRE_BYTES;
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_FOUR;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_EIGHT;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		return WIRE_VARINT;
	}
	return WIRE_NONE;
}

static bool is_plain(const ProtobufCMessageDescriptor *type, struct walk walk,
	struct message_bounds *bounds, unsigned depth);

/* One field behind its tag. again: the field before was the same one. */
static bool field_is_plain(const ProtobufCFieldDescriptor *field, enum wire_type wire, bool again,
	struct walk *walk, struct message_bounds *bounds, unsigned depth)
{
	bool packed = field->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
	bool many = field->label == PROTOBUF_C_LABEL_REPEATED && !packed;
	struct walk inside = {0};

	if (type_of(field) != wire || !take_value(walk, wire, &inside) || (again && !many))
		return false;
	if (many && bounds->repeated-- == 0)
		return false;
	/* Each of its elements has a byte at least, and nothing of its own. */
	if (packed && (size_t)(inside.end - inside.at) > bounds->repeated)
		return false;
	return field->type != PROTOBUF_C_TYPE_MESSAGE ||
	       (depth + 1 < NEST_MAX && is_plain(field->descriptor, inside, bounds, depth + 1));
}

static bool is_plain(const ProtobufCMessageDescriptor *type, struct walk walk,
	struct message_bounds *bounds, unsigned depth)
{
	uint64_t tag, last = 0;

	while (walk.at < walk.end) {
		const ProtobufCFieldDescriptor *field;
		struct walk inside;
		uint64_t number;

		if (!take_varint(&walk, &tag) || tag > UINT32_MAX)
			return false;
		number = tag >> 3;
		if (number == 0 || number < last)
			return false;
		field = protobuf_c_message_descriptor_get_field(type, (unsigned)number);
		if (field && !field_is_plain(field, (enum wire_type)(tag & 7), number == last,
				     &walk, bounds, depth))
			return false;
		if (!field && (!bounds->may_grow || bounds->repeated-- == 0 ||
				      !take_value(&walk, (enum wire_type)(tag & 7), &inside)))
			return false;
		last = number;
	}
	return true;
}

bool message_is_plain(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
	struct message_bounds bounds)
{
	return is_plain(type, (struct walk){bytes, bytes + length}, &bounds, 0);
}

/* ---- messages ---- */

/* A field that is not known might be a limit. */
static bool has_unknown(const ProtobufCMessage *message, unsigned depth)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	if (message->n_unknown_fields || depth == NEST_MAX)
		return true;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const char *at = (const char *)message + field->offset;
		const ProtobufCMessage *const *inner;
		size_t count = 1;

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
			*(const uint32_t *)((const char *)message + field->quantifier_offset) !=
				field->id)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			count = *(const size_t *)((const char *)message + field->quantifier_offset);
			inner = *(const ProtobufCMessage *const *const *)at;
		} else {
			inner = (const ProtobufCMessage *const *)at;
		}
		for (size_t n = 0; n < count; n++)
			if (inner[n] && has_unknown(inner[n], depth + 1))
				return true;
	}
	return false;
}

bool message_is_as_written(const ProtobufCMessage *message, const uint8_t *bytes, size_t length)
{
	autofree uint8_t *again = NULL;

	if (has_unknown(message, 0) || protobuf_c_message_get_packed_size(message) != length)
		return false;
	again = malloc(length + 1);
	return again && protobuf_c_message_pack(message, again) == length &&
	       memcmp(again, bytes, length) == 0;
}

void *message_read(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length,
	struct message_bounds bounds)
{
	ProtobufCMessage *message = NULL;

	if (message_is_plain(type, bytes, length, bounds))
		message = protobuf_c_message_unpack(type, NULL, length, bytes);
	if (!message || bounds.may_grow || message_is_as_written(message, bytes, length))
		return message;
	protobuf_c_message_free_unpacked(message, NULL);
	return NULL;
}
