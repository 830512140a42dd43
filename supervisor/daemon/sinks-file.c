/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sinks-file.h"

#include "base/number.h"
#include "base/path.h"
#include "policy/document.h"
#include "policy/keys.h"
#include "policy/trust.h"

#include <fcntl.h>
#include <string.h>

#define COMMAND_MAX 64
#define MAX_BYTES_LEAST (256ULL << 20) /* some segments */

struct reading {
	struct diagnostics d;
	struct sink **sinks;
	int count;
	struct error *err;
	uint64_t max_bytes;
};

static void wrong(struct reading *r, const struct node *node, const char *what)
{
	diagnostics_report(&r->d, CODE_WRONG_TYPE, node->at, "%s", what);
}

/* The index of the node's word among those of a key of the profile's language, or -1. */
static int word_of(struct reading *r, const struct node *node, const char *key)
{
	const char *const *words = key_find(SECTION_SINK, key)->words;

	for (int i = 0; node->kind == NODE_SCALAR && words[i]; i++)
		if (strcmp(words[i], node->text) == 0)
			return i;
	diagnostics_report(&r->d, CODE_UNKNOWN_WORD, node->at, "`%s` is none of its words", key);
	return -1;
}

static bool read_command(
	struct reading *r, const struct node *list, const char *words[COMMAND_MAX + 1])
{
	size_t count = 0;

	if (list->kind != NODE_LIST || !list->first || list->count > COMMAND_MAX) {
		wrong(r, list, "command: a list of a program and its arguments");
		return false;
	}
	for (const struct node *word = list->first; word; word = word->next) {
		if (word->kind != NODE_SCALAR) {
			wrong(r, word, "command: words alone");
			return false;
		}
		words[count++] = word->text;
	}
	words[count] = NULL;
	if (path_is_normal(words[0]))
		return true;
	wrong(r, list->first, "command: the program is named by its absolute path");
	return false;
}

static bool is_known(const char *key)
{
	return key_find(SECTION_SINK, key) != NULL;
}

/* Each place has what it needs and nothing else. */
static bool check_parts(struct reading *r, const struct node *entry, int type)
{
	const struct node *path = node_get(entry, "path"), *command = node_get(entry, "command");

	for (const struct node *part = entry->first; part; part = part->next) {
		if (is_known(part->key))
			continue;
		diagnostics_report(
			&r->d, CODE_UNKNOWN_KEY, part->key_at, "unknown key `%s`", part->key);
		return false;
	}
	if ((type == SINK_FILE) == (path != NULL) && (type == SINK_EXEC) == (command != NULL))
		return !path || (path->kind == NODE_SCALAR && path_is_normal(path->text)) ||
		       (wrong(r, path, "path: an absolute path"), false);
	diagnostics_report(&r->d, CODE_ONE_OF, entry->at,
		"a file has a path, a program a command, the others neither");
	return false;
}

static int add_sink(struct reading *r, const struct node *entry)
{
	const struct node *type_node = node_get(entry, "type");
	const struct node *format_node = node_get(entry, "format"), *path, *command;
	const char *words[COMMAND_MAX + 1];
	struct sink_target target = {.format = SINK_OCSF};
	int type, format;

	if (entry->kind != NODE_MAPPING || !type_node) {
		wrong(r, entry, "a sink is a mapping with a type");
		return 0;
	}
	type = word_of(r, type_node, "type");
	format = format_node ? word_of(r, format_node, "format") : SINK_OCSF;
	if (type < 0 || format < 0 || !check_parts(r, entry, type))
		return 0;
	path = node_get(entry, "path");
	command = node_get(entry, "command");
	if (command && !read_command(r, command, words))
		return 0;
	target.type = (enum sink_type)type;
	target.format = (enum sink_format)format;
	target.path = path ? path->text : NULL;
	target.command = command ? words : NULL;
	if (r->count == SINKS_FILE_MAX) {
		diagnostics_report(
			&r->d, CODE_TOO_BIG, entry->at, "at most %d sinks", SINKS_FILE_MAX);
		return 0;
	}
	return sink_create(&target, &r->sinks[r->count], r->err) < 0 ? -ENOMEM : (r->count++, 0);
}

static int read_root(struct reading *r, const struct node *root)
{
	const struct node *version, *sinks, *size;
	int result = 0;

	if (root->kind != NODE_MAPPING) {
		wrong(r, root, "the file must be a mapping");
		return 0;
	}
	version = node_get(root, "version");
	if (!version || version->kind != NODE_SCALAR || strcmp(version->text, "1") != 0)
		diagnostics_report(&r->d, CODE_VERSION, root->at, "version must be 1");
	for (const struct node *entry = root->first; entry; entry = entry->next)
		if (strcmp(entry->key, "version") != 0 && strcmp(entry->key, "sinks") != 0 &&
			strcmp(entry->key, "max_size") != 0)
			diagnostics_report(&r->d, CODE_UNKNOWN_KEY, entry->key_at,
				"unknown key `%s`", entry->key);
	size = node_get(root, "max_size");
	if (size && (size->kind != NODE_SCALAR ||
			    number_parse_size(size->text, &r->max_bytes) == false ||
			    r->max_bytes < MAX_BYTES_LEAST))
		diagnostics_report(&r->d, CODE_UNIT, size->at,
			"max_size: a size such as 20GiB, at least 256MiB");
	sinks = node_get(root, "sinks");
	if (!sinks || node_is_null(sinks))
		return 0;
	if (sinks->kind != NODE_LIST) {
		wrong(r, sinks, "sinks: a list of mappings");
		return 0;
	}
	for (const struct node *entry = sinks->first; entry && result == 0; entry = entry->next)
		result = add_sink(r, entry);
	return result;
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
	if (result == 0 && root)
		result = read_root(r, root);
	if (result == -ENOMEM)
		return error_set(r->err, result, ERROR_INTERNAL, "out of memory");
	if (result == 0 && r->d.errors == 0)
		return 0;
	return error_set(r->err, -EINVAL, ERROR_INPUT, "%s: %u error%s", path, r->d.errors,
		r->d.errors == 1 ? "" : "s");
}

int sinks_file_read(const char *path, uid_t owner, struct sink *ret_sinks[SINKS_FILE_MAX],
	struct text *diagnostics, struct error *err)
{
	autoarena struct arena arena = {0};
	struct reading r = {.d = {.out = diagnostics}, .sinks = ret_sinks, .err = err};
	int result;

	if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0 &&
		(errno == ENOENT || errno == ENOTDIR))
		return 0;
	result = read_file(&r, &arena, path, owner);
	for (int i = 0; result < 0 && i < r.count; i++)
		sink_destroy(ret_sinks[i]);
	return result < 0 ? result : r.count;
}

uint64_t sinks_file_max_bytes(const char *state, uid_t owner)
{
	autoarena struct arena arena = {0};
	autofree char *path = NULL;
	autotext struct text words = {0};
	struct sink *sinks[SINKS_FILE_MAX];
	struct error ignored = {0};
	struct reading r = {.d = {.out = &words}, .sinks = sinks, .err = &ignored};
	int result;

	if (asprintf(&path, "%s/%s", state, SINKS_FILE) < 0 ||
		faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0)
		return 0;
	result = read_file(&r, &arena, path, owner);
	for (int i = 0; i < r.count; i++)
		sink_destroy(sinks[i]);
	return result < 0 ? 0 : r.max_bytes;
}
