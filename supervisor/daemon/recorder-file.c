/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-file.h"

#include "base/number.h"
#include "base/path.h"
#include "policy/document.h"
#include "policy/keys.h"
#include "policy/trust.h"

#include <fcntl.h>
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

/* A key of a mapping, and who reads what stands there. */
struct part {
	const char *name;
	void (*read)(struct reading *r, const struct node *node);
};

static void wrong(struct reading *r, const struct node *node, const char *what)
{
	diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at, "%s", what);
}

/* Each entry to its reader; a key that is none of them is told, with the one that may be meant. */
static void read_mapping(
	struct reading *r, const struct node *mapping, const struct part *keys, size_t count)
{
	const char *names[8], *near;

	assert(count <= array_size(names));
	for (size_t i = 0; i < count; i++)
		names[i] = keys[i].name;
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		size_t i = 0;

		while (i < count && strcmp(keys[i].name, entry->key) != 0)
			i++;
		if (i < count) {
			keys[i].read(r, entry);
			continue;
		}
		near = text_nearest(entry->key, names, count);
		diagnostics_report(&r->d, CODE_UNKNOWN_KEY, entry->key_at,
			"unknown key `%s`%s%s%s; take it out", entry->key,
			near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
	}
}

/* False, and told, where it is no list of words with a program first. words: borrowed ones. */
static bool read_command(struct reading *r, const struct node *list,
	const char *words[RECORDER_FILE_COMMAND_MAX + 1])
{
	size_t count = 0;

	if (list->kind != NODE_LIST || !list->first || list->count > RECORDER_FILE_COMMAND_MAX) {
		wrong(r, list,
			"command: a list of a program and its arguments, at most 32 words: "
			"[/usr/local/bin/program, --word]");
		return false;
	}
	for (const struct node *word = list->first; word; word = word->next) {
		if (word->kind != NODE_SCALAR) {
			wrong(r, word, "command: words alone, no lists and no mappings");
			return false;
		}
		words[count++] = word->text;
	}
	words[count] = NULL;
	if (path_is_normal(words[0]))
		return true;
	wrong(r, list->first, "command: name the program by its absolute path");
	return false;
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
	const char *words[RECORDER_FILE_COMMAND_MAX + 1];
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
	if (command && !read_command(r, command, words))
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

static void read_sinks(struct reading *r, const struct node *sinks)
{
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

static void read_anchor_directory(struct reading *r, const struct node *node)
{
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

static void read_anchor_command(struct reading *r, const struct node *node)
{
	const char *words[RECORDER_FILE_COMMAND_MAX + 1] = {0};

	if (!read_command(r, node, words))
		return;
	r->file->anchor_command =
		calloc(RECORDER_FILE_COMMAND_MAX + 1, sizeof(*r->file->anchor_command));
	for (size_t i = 0; r->file->anchor_command && words[i]; i++) {
		r->file->anchor_command[i] = strdup(words[i]);
		r->no_memory |= !r->file->anchor_command[i];
	}
	r->no_memory |= !r->file->anchor_command;
}

static void read_anchor_required(struct reading *r, const struct node *node)
{
	bool yes = node->kind == NODE_SCALAR && node->plain && strcmp(node->text, "true") == 0;

	if (!yes && (node->kind != NODE_SCALAR || !node->plain || strcmp(node->text, "false") != 0))
		diagnostics_report(&r->d, CODE_BOOL, node->at, "required: true or false");
	r->file->anchor_required = yes;
}

static void read_anchor(struct reading *r, const struct node *anchor)
{
	static const struct part keys[] = {
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
	read_mapping(r, anchor, keys, array_size(keys));
	if (!node_get(anchor, "directory") && !node_get(anchor, "command"))
		diagnostics_report(&r->d, CODE_MISSING_KEY, anchor->at,
			"anchor: it has neither directory nor command: add one, or take anchor "
			"out");
}

/* ---- the file ---- */

static void read_version(struct reading *r, const struct node *version)
{
	if (version->kind != NODE_SCALAR || strcmp(version->text, "1") != 0)
		diagnostics_report(&r->d, CODE_VERSION, version->at,
			"this berm reads version 1 of this file: write `version: 1`");
}

static void read_max_size(struct reading *r, const struct node *size)
{
	r->file->max_bytes = read_size(
		r, size, LOG_BYTES_LEAST, "max_size: a size such as 20GiB, at least 256MiB");
}

static void read_root(struct reading *r, const struct node *root, const char *path)
{
	static const struct part keys[] = {
		{"version", read_version},
		{"sinks", read_sinks},
		{"max_size", read_max_size},
		{"anchor", read_anchor},
	};
	const struct source beginning = {path, 1, 1};

	if (!root || node_is_null(root)) {
		diagnostics_report(&r->d, CODE_VERSION, root ? root->at : beginning,
			"the file is empty: write `version: 1`, or remove it");
		return;
	}
	if (root->kind != NODE_MAPPING) {
		wrong(r, root, "the file must be a mapping that begins with `version: 1`");
		return;
	}
	if (!node_get(root, "version"))
		diagnostics_report(
			&r->d, CODE_VERSION, root->at, "`version` is missing: add `version: 1`");
	read_mapping(r, root, keys, array_size(keys));
}

static int tell_first(struct reading *r, const char *path)
{
	const char *words = text_string(r->d.out);

	if (!*words)
		return error_set(r->err, -EINVAL, ERROR_INPUT, "%s cannot be read", path);
	if (r->d.errors == 1)
		return error_set(
			r->err, -EINVAL, ERROR_INPUT, "%.*s", (int)strcspn(words, "\n"), words);
	return error_set(r->err, -EINVAL, ERROR_INPUT, "%.*s (the first of %u errors)",
		(int)strcspn(words, "\n"), words, r->d.errors);
}

static int read_file(struct reading *r, struct arena *arena, const char *path, uid_t owner)
{
	struct source_file *file = NULL;
	struct node *root = NULL;
	bool linked;
	int result = trust_read(arena, path, owner, &file, &linked, r->err);

	if (result < 0)
		return result;
	r->d.files = file;
	result = document_parse(arena, &r->d, file, &root);
	if (result == 0)
		read_root(r, root, file->name);
	if (result == -ENOMEM || r->no_memory)
		return error_set(r->err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return result == 0 && r->d.errors == 0 ? 0 : tell_first(r, path);
}

int recorder_file_read(const char *state, uid_t owner, struct recorder_file *ret_file,
	struct text *diagnostics, struct error *err)
{
	autorecorderfile struct recorder_file file = {0};
	autoarena struct arena arena = {0};
	autofree char *path = path_join(state, RECORDER_FILE);
	struct reading r = {.d = {.out = diagnostics}, .state = state, .file = &file, .err = err};
	int result = 0;

	if (!path)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0 ||
		(errno != ENOENT && errno != ENOTDIR))
		result = read_file(&r, &arena, path, owner);
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
	for (size_t i = 0; file->anchor_command && file->anchor_command[i]; i++)
		free(file->anchor_command[i]);
	free(file->anchor_command);
	free(file->anchor_directory);
	*file = (struct recorder_file){0};
}

bool recorder_file_has_anchor(const struct recorder_file *file)
{
	return file->anchor_directory || file->anchor_command;
}
