/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-file.h"

#include "base/number.h"
#include "base/path.h"
#include "daemon/operator-file.h"
#include "policy/keys.h"

#include <string.h>

#define LOG_BYTES_LEAST (256ULL << 20) /* some segments */
#define SINK_BYTES_LEAST (1ULL << 20)

struct reading {
	struct diagnostics d;
	const char *state;
	struct recorder_file *file;
	struct error *err;
	bool no_memory;
};

static void wrong(struct reading *r, const struct node *node, const char *what)
{
	diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at, "%s", what);
}

/* ---- sinks ---- */

/* The index of the node's word among those of a key of the profile's language, or -1. */
static int word_of(struct reading *r, const struct node *node, const char *key)
{
	const char *const *words = key_find(SECTION_SINK, key)->words;
	autotext struct text list = {0};

	for (int i = 0; node->kind == NODE_SCALAR && words[i]; i++)
		if (strcmp(words[i], node->text) == 0)
			return i;
	for (int i = 0; words[i]; i++)
		text_printf(&list, "%s%s", i ? ", " : "", words[i]);
	diagnostics_report(
		&r->d, CODE_UNKNOWN_WORD, node->at, "%s is one of: %s", key, text_string(&list));
	return -1;
}

static uint64_t read_size(
	struct reading *r, const struct node *size, uint64_t least, const char *words)
{
	uint64_t bytes = 0;

	if (size->kind == NODE_SCALAR && number_parse_size(size->text, &bytes) && bytes >= least)
		return bytes;
	diagnostics_report(&r->d, CODE_UNIT, size->at, "%s", words);
	return 0;
}

/* Each place has what it needs and nothing else. */
static bool check_parts(struct reading *r, const struct node *entry, int type)
{
	const struct node *path = node_get(entry, "path"), *command = node_get(entry, "command");
	const struct node *size = node_get(entry, "max_size");

	for (const struct node *part = entry->first; part; part = part->next) {
		if (key_find(SECTION_SINK, part->key) || part == size)
			continue;
		diagnostics_report(&r->d, CODE_UNKNOWN_KEY, part->key_at,
			"unknown key `%s`; a sink has type, format, path, command, max_size",
			part->key);
		return false;
	}
	if ((type == SINK_FILE && !path) || (type == SINK_EXEC && path) ||
		(type == SINK_EXEC) != (command != NULL) || (size && type != SINK_FILE)) {
		diagnostics_report(&r->d, CODE_ONE_OF, entry->at,
			"a file has a path and may have max_size, a program a command, the others "
			"may have the path of a socket");
		return false;
	}
	if (!path || (path->kind == NODE_SCALAR && path_is_normal(path->text)))
		return true;
	wrong(r, path, "path: an absolute path, without . and ..");
	return false;
}

static void add_sink(struct reading *r, const struct node *entry)
{
	const struct node *type_node = node_get(entry, "type"), *path, *command, *size;
	const struct node *format_node = node_get(entry, "format");
	const char *words[OPERATOR_COMMAND_MAX + 1];
	struct sink_target target = {.format = SINK_OCSF};
	int type, format;

	if (entry->kind != NODE_MAPPING || !type_node) {
		wrong(r, entry, "a sink is a mapping with a type: {type: journald}");
		return;
	}
	type = word_of(r, type_node, "type");
	format = format_node ? word_of(r, format_node, "format") : SINK_OCSF;
	if (type < 0 || format < 0 || !check_parts(r, entry, type))
		return;
	path = node_get(entry, "path");
	command = node_get(entry, "command");
	size = node_get(entry, "max_size");
	if (command && !operator_command(&r->d, command, words))
		return;
	target.type = (enum sink_type)type;
	target.format = (enum sink_format)format;
	target.path = path ? path->text : NULL;
	target.command = command ? words : NULL;
	if (size)
		target.max_bytes = read_size(r, size, SINK_BYTES_LEAST,
			"max_size of a file: a size such as 100MiB, at least 1MiB");
	if (r->file->sink_count == RECORDER_FILE_SINKS_MAX)
		diagnostics_report(&r->d, CODE_TOO_BIG, entry->at, "at most %d sinks",
			RECORDER_FILE_SINKS_MAX);
	else if (sink_create(&target, &r->file->sinks[r->file->sink_count], r->err) < 0)
		r->no_memory = true;
	else
		r->file->sink_count++;
}

static void read_sinks(void *context, const struct node *sinks)
{
	struct reading *r = context;

	if (node_is_null(sinks))
		return;
	if (sinks->kind != NODE_LIST) {
		wrong(r, sinks, "sinks: a list of mappings: [{type: journald}]");
		return;
	}
	for (const struct node *entry = sinks->first; entry && !r->no_memory; entry = entry->next)
		add_sink(r, entry);
}

/* ---- the anchor ---- */

static void read_anchor_directory(void *context, const struct node *node)
{
	struct reading *r = context;

	if (node->kind != NODE_SCALAR || !path_is_normal(node->text)) {
		wrong(r, node, "directory: an absolute path, without . and ..");
		return;
	}
	/* Whoever puts back an older copy of the state directory would put it back too. */
	if (path_is_beneath(node->text, r->state)) {
		diagnostics_report(&r->d, CODE_PATH, node->at,
			"directory: it is in %s, beside the log; name one that who can write the "
			"log "
			"cannot change, best on another host",
			r->state);
		return;
	}
	r->file->anchor_directory = strdup(node->text);
	r->no_memory |= !r->file->anchor_directory;
}

static void read_anchor_command(void *context, const struct node *node)
{
	struct reading *r = context;
	const char *words[OPERATOR_COMMAND_MAX + 1] = {0};

	if (!operator_command(&r->d, node, words))
		return;
	r->file->anchor_command = operator_command_copy(words);
	r->no_memory |= !r->file->anchor_command;
}

static void read_anchor_required(void *context, const struct node *node)
{
	struct reading *r = context;
	bool yes = node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "true") == 0;

	if (!yes && (node->kind != NODE_SCALAR || !node->plain || strcmp(node->text, "false") != 0))
		diagnostics_report(&r->d, CODE_BOOL, node->at, "required: true or false");
	r->file->anchor_required = yes;
}

static void read_anchor(void *context, const struct node *anchor)
{
	struct reading *r = context;
	static const struct operator_part keys[] = {
		{"directory", read_anchor_directory},
		{"command", read_anchor_command},
		{"required", read_anchor_required},
	};

	if (anchor->kind != NODE_MAPPING) {
		wrong(r, anchor,
			"anchor: a mapping with directory, command or both: {directory: "
			"/mnt/witness}");
		return;
	}
	operator_mapping(&r->d, anchor, keys, array_size(keys), r);
	if (!node_get(anchor, "directory") && !node_get(anchor, "command"))
		diagnostics_report(&r->d, CODE_MISSING_KEY, anchor->at,
			"anchor: it has neither directory nor command: add one, or take anchor "
			"out");
}

/* ---- the file ---- */

static void read_max_size(void *context, const struct node *size)
{
	struct reading *r = context;

	r->file->max_bytes = read_size(
		r, size, LOG_BYTES_LEAST, "max_size: a size such as 20GiB, at least 256MiB");
}

static const struct operator_part parts[] = {
	{"sinks", read_sinks},
	{"max_size", read_max_size},
	{"anchor", read_anchor},
};

int recorder_file_read(const char *state, uid_t owner, struct recorder_file *ret_file,
	struct text *diagnostics, struct error *err)
{
	autorecorderfile struct recorder_file file = {0};
	autofree char *path = path_join(state, RECORDER_FILE);
	struct reading r = {.d = {.out = diagnostics}, .state = state, .file = &file, .err = err};
	struct operator_file what = {
		.owner = owner, .parts = parts, .count = array_size(parts), .optional = true};
	int result;

	if (!path)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	what.path = path;
	result = operator_file_read(&what, &r.d, &r, err);
	if (r.no_memory)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (result < 0)
		return result;
	*ret_file = file;
	file = (struct recorder_file){0};
	return 0;
}

void recorder_file_finish(struct recorder_file *file)
{
	for (int i = 0; i < file->sink_count; i++)
		sink_destroy(file->sinks[i]);
	operator_command_free(file->anchor_command);
	free(file->anchor_directory);
	*file = (struct recorder_file){0};
}

bool recorder_file_has_anchor(const struct recorder_file *file)
{
	return file->anchor_directory || file->anchor_command;
}
