/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schema.h"

#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "policy/keys.h"

#define SIZE_PATTERN "^(0|[1-9][0-9]*)(KiB|MiB|GiB|TiB)?$"
#define DURATION_PATTERN "^(0|[1-9][0-9]*)(ms|s|m|h|d)$"
#define PERCENT_PATTERN "^(0|[1-9][0-9]*)%$"
#define PORTS_PATTERN "^[1-9][0-9]*(-[1-9][0-9]*)?$"

/* Lines and two blanks a level, for the file in the source tree; compact is valid JSON. */
static void json_indent(struct text *out, const char *compact)
{
	unsigned depth = 0;
	bool quoted = false;

	for (const char *c = compact; *c; c++) {
		bool opens = !quoted && (*c == '{' || *c == '[');
		bool closes = !quoted && (*c == '}' || *c == ']');
		bool empty = opens && (c[1] == '}' || c[1] == ']');

		if (closes)
			text_printf(out, "\n%*s", (int)(2 * --depth), "");
		text_append(out, c, 1);
		if (quoted && *c == '\\')
			text_append(out, ++c, 1);
		else if (*c == '"')
			quoted = !quoted;
		if (empty)
			text_append(out, ++c, 1);
		else if (opens || (!quoted && *c == ','))
			text_printf(out, "\n%*s", (int)(2 * (depth += opens)), "");
		else if (!quoted && *c == ':')
			text_puts(out, " ");
	}
	text_puts(out, "\n");
}

/* "fs.read[]" becomes "fs-read-entry": a name that needs no escape in a reference. */
static void section_name(enum section_id section, struct text *out)
{
	for (const char *c = sections[section].path; *c; c++) {
		if (c[0] == '[' && c[1] == ']')
			text_puts(out, "-entry");
		else if (*c != ']')
			text_append(out, isalnum((unsigned char)*c) || *c == '_' ? c : "-", 1);
	}
}

static void print_reference(struct json *j, const char *key, enum section_id section)
{
	autotext struct text name = {0}, pointer = {0};

	section_name(section, &name);
	text_printf(&pointer, "#/definitions/%s", text_string(&name));
	json_object_begin(j, key);
	json_put_string(j, "$ref", text_string(&pointer));
	json_object_end(j);
}

static void print_pattern(struct json *j, const char *key, const char *pattern)
{
	json_object_begin(j, key);
	json_put_string(j, "type", "string");
	if (pattern)
		json_put_string(j, "pattern", pattern);
	json_object_end(j);
}

static void print_words(struct json *j, const char *key, const char *const *words)
{
	json_object_begin(j, key);
	json_array_begin(j, "enum");
	for (; *words; words++)
		json_put_string(j, NULL, *words);
	json_array_end(j);
	json_object_end(j);
}

static void print_type(struct json *j, const char *type, bool or_null)
{
	if (!or_null) {
		json_put_string(j, "type", type);
		return;
	}
	json_array_begin(j, "type");
	json_put_string(j, NULL, type);
	json_put_string(j, NULL, "null");
	json_array_end(j);
}

/* A list is empty where nothing follows its key. */
static void print_list(struct json *j, bool or_null)
{
	print_type(j, "array", or_null);
	if (!or_null)
		json_put_u64(j, "minItems", 1);
}

static void print_number(struct json *j, const struct key *key, const char *type, uint64_t divisor)
{
	json_put_string(j, "type", type);
	if (key->least / divisor > 0 || divisor == 1)
		json_put_u64(j, "minimum", key->least / divisor);
	else
		json_put_u64(j, "exclusiveMinimum", 0);
	if (key->most)
		json_put_u64(j, "maximum", key->most / divisor);
}

static void print_entries(struct json *j, const struct key *key)
{
	const char *pattern = contents[key->content].pattern;

	print_list(j, true);
	json_object_begin(j, "items");
	json_array_begin(j, "anyOf");
	/* Programs have no content of their own: a bare entry is a path. */
	if (key->type == VALUE_EXEC_RULES)
		pattern = contents[CONTENT_PATH].pattern;
	print_pattern(j, NULL, pattern);
	print_reference(j, NULL, key->of);
	json_array_end(j);
	json_object_end(j);
}

static void print_map(struct json *j, const struct key *key)
{
	print_type(j, "object", true);
	if (key->type == VALUE_REMOVE_MAP) {
		json_object_begin(j, "additionalProperties");
		print_list(j, true);
		json_object_end(j);
		return;
	}
	json_object_begin(j, "propertyNames");
	if (contents[key->content].pattern)
		json_put_string(j, "pattern", contents[key->content].pattern);
	json_object_end(j);
	if (key->type == VALUE_STRING_MAP) {
		print_pattern(j, "additionalProperties", NULL);
	} else if (key->type == VALUE_OBJECT_MAP) {
		print_reference(j, "additionalProperties", key->of);
	} else {
		json_object_begin(j, "additionalProperties");
		print_type(j, "object", true);
		print_reference(j, "additionalProperties", key->of);
		json_object_end(j);
	}
}

static void print_any_of_size(struct json *j)
{
	json_array_begin(j, "anyOf");
	json_object_begin(j, NULL);
	json_put_string(j, "type", "integer");
	json_put_u64(j, "minimum", 0);
	json_object_end(j);
	print_pattern(j, NULL, SIZE_PATTERN);
	json_array_end(j);
}

static void print_ports(struct json *j)
{
	print_list(j, false);
	json_object_begin(j, "items");
	json_array_begin(j, "anyOf");
	json_object_begin(j, NULL);
	json_put_string(j, "type", "integer");
	json_put_u64(j, "minimum", 1);
	json_put_u64(j, "maximum", UINT16_MAX);
	json_object_end(j);
	print_pattern(j, NULL, PORTS_PATTERN);
	json_array_end(j);
	json_object_end(j);
}

/* A mapping with the keys of a section, or nothing at all, or (with words) one of them. */
static void print_object_or(struct json *j, const struct key *key)
{
	json_array_begin(j, "anyOf");
	print_reference(j, NULL, key->of);
	json_object_begin(j, NULL);
	json_put_string(j, "type", "null");
	json_object_end(j);
	if (key->words)
		print_words(j, NULL, key->words);
	json_array_end(j);
}

static void print_words_member(struct json *j, const struct key *key)
{
	json_array_begin(j, "enum");
	for (const char *const *word = key->words; *word; word++)
		json_put_string(j, NULL, *word);
	json_array_end(j);
}

/* The members of a schema for one value, inside an object that is open. */
static void print_value(struct json *j, const struct key *key)
{
	const char *pattern = contents[key->content].pattern;

	switch (key->type) {
	case VALUE_VERSION:
		json_put_u64(j, "const", 1);
		break;
	case VALUE_STRING:
		json_put_string(j, "type", "string");
		if (pattern)
			json_put_string(j, "pattern", pattern);
		break;
	case VALUE_BOOL:
		json_put_string(j, "type", "boolean");
		break;
	case VALUE_COUNT:
		print_number(j, key, "integer", 1);
		break;
	case VALUE_CPU:
		print_number(j, key, "number", 100);
		break;
	case VALUE_SIZE:
		print_any_of_size(j);
		break;
	case VALUE_DURATION:
	case VALUE_PERCENT:
		json_put_string(j, "type", "string");
		json_put_string(j, "pattern",
			key->type == VALUE_PERCENT ? PERCENT_PATTERN : DURATION_PATTERN);
		break;
	case VALUE_WORD:
		print_words_member(j, key);
		break;
	case VALUE_STRING_LIST:
	case VALUE_COMMAND:
		print_list(j, key->type == VALUE_STRING_LIST);
		print_pattern(j, "items", pattern);
		break;
	case VALUE_WORD_LIST:
		print_list(j, true);
		print_words(j, "items", key->words);
		break;
	case VALUE_PORT_LIST:
		print_ports(j);
		break;
	case VALUE_STRING_MAP:
	case VALUE_REMOVE_MAP:
	case VALUE_OBJECT_MAP:
	case VALUE_OBJECT_MAP_MAP:
		print_map(j, key);
		break;
	case VALUE_OBJECT:
	case VALUE_WORD_OR_OBJECT:
		print_object_or(j, key);
		break;
	case VALUE_OBJECT_LIST:
	case VALUE_NETWORK_RULES:
		print_list(j, true);
		print_reference(j, "items", key->of);
		break;
	case VALUE_PATH_RULES:
	case VALUE_EXEC_RULES:
		print_entries(j, key);
		break;
	case VALUE_TYPE_COUNT:
		break;
	}
}

static void print_key(struct json *j, const struct key *key)
{
	autotext struct text description = {0};

	text_puts(&description, key->help);
	if (key->default_text)
		text_printf(&description, " Default: %s.", key->default_text);
	if (key->example)
		text_printf(&description, " Example: `%s: %s`.", key->name, key->example);
	if (key->flags & KEY_PENDING)
		text_printf(&description, " Checked only: a run needs %s for it.", key->needs);
	json_object_begin(j, key->name);
	json_put_string(j, "description", text_string(&description));
	print_value(j, key);
	json_object_end(j);
}

static void print_section(struct json *j, enum section_id id)
{
	bool required = false;

	json_put_string(j, "type", "object");
	json_put_string(j, "description", sections[id].help);
	json_put_bool(j, "additionalProperties", false);
	json_object_begin(j, "properties");
	for (const struct key *key = sections[id].keys; key->name; key++) {
		if (key->flags & KEY_OPERATOR)
			continue;
		print_key(j, key);
		required |= (key->flags & KEY_REQUIRED) != 0;
	}
	json_object_end(j);
	if (!required)
		return;
	json_array_begin(j, "required");
	for (const struct key *key = sections[id].keys; key->name; key++)
		if (key->flags & KEY_REQUIRED)
			json_put_string(j, NULL, key->name);
	json_array_end(j);
}

void profile_schema_print(struct text *out)
{
	autotext struct text compact = {0};
	struct json j = {.out = &compact};

	json_object_begin(&j, NULL);
	json_put_string(&j, "$schema", "http://json-schema.org/draft-07/schema#");
	json_put_string(&j, "$id", "urn:berm:profile:1");
	json_put_string(&j, "title", "Berm profile, version 1");
	json_put_string(&j, "$comment",
		"Generated from the key table of berm; see docs/profile-reference.md.");
	print_section(&j, SECTION_TOP);
	json_object_begin(&j, "definitions");
	for (unsigned id = SECTION_TOP + 1; id < SECTION_COUNT; id++) {
		autotext struct text name = {0};

		section_name((enum section_id)id, &name);
		json_object_begin(&j, text_string(&name));
		print_section(&j, (enum section_id)id);
		json_object_end(&j);
	}
	json_object_end(&j);
	json_object_end(&j);
	if (compact.failed)
		out->failed = true;
	else
		json_indent(out, text_string(&compact));
}
