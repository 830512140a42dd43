/* SPDX-License-Identifier: Apache-2.0 */
#include "record/export-internal.h"

#include "base/own.h"

#include <string.h>

/* The record as it is, walked by its description, so that a new field is exported without a line
 * here. Names are those of record.proto; of the decision chain (MASO OB-2.1) every field is there,
 * null where it is not known. */

/* Numbers, not text: written as hex. Every other `bytes` is what a tool or a caller said. */
static const char *const hex_fields[] = {"log_id", "seal_public_key", "next_head_public_key",
	"host_id", "boot_id", "next_public_key", "plan_digest", "digest", "signature_key",
	"address", "profile_digest", "input_hash", "output_hash"};

static bool is_hex(const char *name)
{
	for (size_t i = 0; i < array_size(hex_fields); i++) {
		if (strcmp(hex_fields[i], name) == 0)
			return true;
	}
	return false;
}

static void put_message(struct json *j, const char *key, const ProtobufCMessage *message);

static void put_bytes(
	struct json *j, const char *key, const char *name, const ProtobufCBinaryData *bytes)
{
	if (is_hex(name))
		export_json_hex(j, key, bytes->data, bytes->len);
	else if (bytes->len)
		export_json_bytes(j, key, bytes);
	else
		json_put_string(j, key, "");
}

static void put_enum(
	struct json *j, const char *key, const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

	if (known)
		json_put_string(j, key, known->name);
	else
		json_put_i64(j, key, value);
}

/* One value of a field; member is where it lies. */
static void put_value(
	struct json *j, const char *key, const ProtobufCFieldDescriptor *field, const void *member)
{
	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		json_put_bool(j, key, *(const protobuf_c_boolean *)member);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		json_put_u64(j, key, *(const uint32_t *)member);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		json_put_u64(j, key, *(const uint64_t *)member);
		break;
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		json_put_i64(j, key, *(const int64_t *)member);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		json_put_double(j, key, *(const double *)member);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(j, key, field->descriptor, *(const int *)member);
		break;
	case PROTOBUF_C_TYPE_STRING:
		export_json_string(j, key, *(char *const *)member);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_bytes(j, key, field->name, member);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_message(j, key, *(ProtobufCMessage *const *)member);
		break;
	default:
		json_put_null(j, key);
		break;
	}
}

static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const void *const *)(base + field->offset) != NULL;
	return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
}

static void put_list(
	struct json *j, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	size_t count = *(const size_t *)(base + field->quantifier_offset);
	const char *items = *(const char *const *)(base + field->offset);

	if (count == 0)
		return;
	json_array_begin(j, field->name);
	for (size_t i = 0; i < count; i++)
		put_value(j, NULL, field, items + i * size_of(field));
	json_array_end(j);
}

static void put_message(struct json *j, const char *key, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	bool nulls = type == &berm__wire__decision_chain__descriptor;

	json_object_begin(j, key);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			put_list(j, message, field);
		else if (is_there(message, field))
			put_value(j, field->name, field, (const char *)message + field->offset);
		else if (nulls)
			json_put_null(j, field->name);
	}
	json_object_end(j);
}

static void put_hash(struct json *j, const char *key, const uint8_t *hash)
{
	if (hash)
		export_json_hex(j, key, hash, EXPORT_HASH_BYTES);
}

void export_json_record(struct json *j, const char *key, const Berm__Wire__Record *record)
{
	put_message(j, key, &record->base);
}

void export_jsonl(const struct export_event *e, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	put_hash(&j, "previous_entry_hash", e->place->previous_hash);
	put_hash(&j, "entry_hash", e->place->hash);
	put_message(&j, "record", &e->record->base);
	json_object_end(&j);
}
