/* SPDX-License-Identifier: Apache-2.0 */
#include "facts-text.h"

#include "base/own.h"

#include <stdbool.h>
#include <string.h>

static const char *line_now;

static void give_up(const char *why)
{
	fprintf(stderr, "facts: %s: %s\n", line_now, why);
	abort();
}

static void *need(void *allocated)
{
	if (!allocated)
		give_up("out of memory");
	return allocated;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (*end || end == text)
		give_up("not a number");
	return value;
}

static int kind_number(const char *word)
{
	static const struct {
		const char *word;
		int kind;
	} kinds[] = {
		{"regular", BERM__WIRE__FILE_KIND__FILE_REGULAR},
		{"directory", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
		{"symlink", BERM__WIRE__FILE_KIND__FILE_SYMLINK},
		{"socket", BERM__WIRE__FILE_KIND__FILE_SOCKET},
		{"device", BERM__WIRE__FILE_KIND__FILE_DEVICE},
		{"other", BERM__WIRE__FILE_KIND__FILE_OTHER},
		{"absent", BERM__WIRE__FILE_KIND__FILE_ABSENT},
	};

	for (size_t i = 0; i < array_size(kinds); i++)
		if (strcmp(kinds[i].word, word) == 0)
			return kinds[i].kind;
	give_up("unknown kind");
	return 0;
}

static void *grown(void *items, size_t *count, size_t size)
{
	return need(realloc(items, (*count + 1) * size));
}

/* "32*ab": so many bytes of one value. */
static void set_bytes(ProtobufCBinaryData *bytes, const char *value)
{
	unsigned count, byte;

	if (sscanf(value, "%u*%x", &count, &byte) != 2 || count > 4096) {
		give_up("no COUNT*BYTE");
		return;
	}
	free(bytes->data);
	bytes->data = need(malloc(count));
	memset(bytes->data, (int)byte, count);
	bytes->len = count;
}

static void set_field(ProtobufCMessage *message, const char *name, const char *value)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
	char *at = (char *)message;

	if (!field) {
		give_up("no such field");
		return;
	}
	at += field->offset;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t *count = (size_t *)(void *)((char *)message + field->quantifier_offset);
		char ***items = (char ***)(void *)at;

		*items = grown(*items, count, sizeof(**items));
		(*items)[(*count)++] = need(strdup(value));
	} else if (field->type == PROTOBUF_C_TYPE_STRING) {
		char **string = (char **)(void *)at;

		if (*string != (const char *)field->default_value)
			free(*string);
		*string = need(strdup(value));
	} else if (field->type == PROTOBUF_C_TYPE_BOOL) {
		*(protobuf_c_boolean *)(void *)at = (protobuf_c_boolean)number(value);
	} else if (field->type == PROTOBUF_C_TYPE_UINT64) {
		*(uint64_t *)(void *)at = number(value);
	} else if (field->type == PROTOBUF_C_TYPE_UINT32) {
		*(uint32_t *)(void *)at = (uint32_t)number(value);
	} else if (field->type == PROTOBUF_C_TYPE_BYTES) {
		set_bytes((ProtobufCBinaryData *)(void *)at, value);
	} else if (field->type == PROTOBUF_C_TYPE_ENUM) {
		*(int *)(void *)at = kind_number(value);
	} else {
		give_up("a field of a type that this reader does not know");
	}
}

static void set_fields(ProtobufCMessage *message, char **rest)
{
	char *word;

	while ((word = strtok_r(NULL, " ", rest))) {
		char *equals = strchr(word, '=');

		if (!equals) {
			give_up("expected name=value");
			return;
		}
		*equals = '\0';
		set_field(message, word, equals + 1);
	}
}

static Berm__Wire__PathFact *path_fact(unsigned line, char **rest)
{
	Berm__Wire__PathFact *fact = need(malloc(sizeof(*fact)));
	char *path = strtok_r(NULL, " ", rest);
	bool absent;

	berm__wire__path_fact__init(fact);
	fact->path = need(strdup(path ? path : ""));
	fact->kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	fact->dev = 8;
	fact->ino = line;
	fact->mode = 0755;
	fact->links = 1;
	set_fields(&fact->base, rest);
	absent = fact->kind == BERM__WIRE__FILE_KIND__FILE_ABSENT;
	if (absent)
		fact->dev = fact->ino = fact->mode = fact->links = 0;
	if (absent && !fact->deepest_kind)
		fact->deepest_kind = BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	if (!absent && !*fact->resolved && !*fact->deepest_existing)
		fact->resolved = need(strdup(fact->path));
	if (*fact->resolved && !fact->resolved_kind)
		fact->resolved_kind = fact->kind == BERM__WIRE__FILE_KIND__FILE_SYMLINK
					      ? BERM__WIRE__FILE_KIND__FILE_DIRECTORY
					      : fact->kind;
	return fact;
}

static void add_line(Berm__Wire__HostFacts *facts, unsigned line, char *text)
{
	char *rest = NULL, *word = strtok_r(text, " ", &rest), *value;

	if (!word || *word == '#')
		return;
	if (strcmp(word, "path") == 0) {
		facts->paths = grown(facts->paths, &facts->n_paths, sizeof(*facts->paths));
		facts->paths[facts->n_paths++] = path_fact(line, &rest);
	} else if (strcmp(word, "glob") == 0) {
		Berm__Wire__GlobFact *glob = need(malloc(sizeof(*glob)));

		berm__wire__glob_fact__init(glob);
		value = strtok_r(NULL, " ", &rest);
		glob->pattern = need(strdup(value ? value : ""));
		set_fields(&glob->base, &rest);
		facts->globs = grown(facts->globs, &facts->n_globs, sizeof(*facts->globs));
		facts->globs[facts->n_globs++] = glob;
	} else if (strcmp(word, "match") == 0 && facts->n_globs) {
		Berm__Wire__GlobFact *glob = facts->globs[facts->n_globs - 1];

		glob->matches = grown(glob->matches, &glob->n_matches, sizeof(*glob->matches));
		glob->matches[glob->n_matches++] = path_fact(line, &rest);
	} else {
		value = strtok_r(NULL, " ", &rest);
		set_field(&facts->base, word, value ? value : "");
	}
}

Berm__Wire__HostFacts *facts_from_text(const char *text)
{
	Berm__Wire__HostFacts *facts = need(malloc(sizeof(*facts)));
	autofree char *copy = need(strdup(text));
	char *rest = copy, *line;
	unsigned number_of_line = 0;

	berm__wire__host_facts__init(facts);
	while ((line = strsep(&rest, "\n"))) {
		line_now = line;
		add_line(facts, ++number_of_line, line);
	}
	return facts;
}
