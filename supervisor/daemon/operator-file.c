/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/operator-file.h"

#include "base/path.h"
#include "base/text.h"
#include "policy/trust.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 8

void operator_mapping(struct diagnostics *d, const struct node *mapping,
	const struct operator_part *parts, size_t count, void *context)
{
	const char *names[PARTS_MAX], *near;

	assert(count <= array_size(names));
	for (size_t i = 0; i < count; i++)
		names[i] = parts[i].name;
	for (const struct node *entry = mapping->first; entry; entry = entry->next) {
		size_t i = 0;

		while (i < count && strcmp(parts[i].name, entry->key) != 0)
			i++;
		if (i < count) {
			parts[i].read(context, entry);
			continue;
		}
		near = text_nearest(entry->key, names, count);
		diagnostics_report(d, CODE_UNKNOWN_KEY, entry->key_at,
			"unknown key `%s`%s%s%s; take it out", entry->key,
			near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
	}
}

bool operator_command(
	struct diagnostics *d, const struct node *list, const char *words[OPERATOR_COMMAND_MAX + 1])
{
	size_t count = 0;

	if (list->kind != NODE_LIST || !list->first || list->count > OPERATOR_COMMAND_MAX) {
		diagnostics_report(d, CODE_WRONG_TYPE, list->at,
			"%s: a list of a program and its arguments, at most 32 words: "
			"[/usr/local/bin/program, --word]",
			list->key);
		return false;
	}
	for (const struct node *word = list->first; word; word = word->next) {
		if (word->kind != NODE_SCALAR) {
			diagnostics_report(d, CODE_WRONG_TYPE, word->at,
				"%s: words alone, no lists and no mappings", list->key);
			return false;
		}
		words[count++] = word->text;
	}
	words[count] = NULL;
	if (path_is_normal(words[0]))
		return true;
	diagnostics_report(d, CODE_WRONG_TYPE, list->first->at,
		"%s: name the program by its absolute path", list->key);
	return false;
}

char **operator_command_copy(const char *const *words)
{
	char **copy = calloc(OPERATOR_COMMAND_MAX + 1, sizeof(*copy));

	for (size_t i = 0; copy && words[i]; i++) {
		copy[i] = strdup(words[i]);
		if (!copy[i]) {
			operator_command_free(copy);
			return NULL;
		}
	}
	return copy;
}

void operator_command_free(char **command)
{
	for (size_t i = 0; command && command[i]; i++)
		free(command[i]);
	free(command);
}

static void ignore(void *context, const struct node *node)
{
	(void)context;
	(void)node;
}

static void read_root(struct diagnostics *d, const struct node *root,
	const struct operator_file *file, void *context)
{
	struct operator_part all[PARTS_MAX] = {{"version", ignore}};
	const struct source beginning = {file->path, 1, 1};
	const struct node *version;

	if (!root || node_is_null(root)) {
		diagnostics_report(d, CODE_VERSION, root ? root->at : beginning,
			"the file is empty: write `version: 1`, or remove it");
		return;
	}
	if (root->kind != NODE_MAPPING) {
		diagnostics_report(d, CODE_WRONG_TYPE, root->at,
			"the file must be a mapping that begins with `version: 1`");
		return;
	}
	version = node_get(root, "version");
	if (!version)
		diagnostics_report(
			d, CODE_VERSION, root->at, "`version` is missing: add `version: 1`");
	else if (version->kind != NODE_SCALAR || strcmp(version->text, "1") != 0)
		diagnostics_report(d, CODE_VERSION, version->at,
			"this berm reads version 1 of this file: write `version: 1`");
	assert(file->count < array_size(all));
	memcpy(all + 1, file->parts, file->count * sizeof(all[0]));
	operator_mapping(d, root, all, file->count + 1, context);
}

static int tell_first(const struct diagnostics *d, const char *path, struct error *err)
{
	const char *words = text_string(d->out);

	if (!*words)
		return error_set(err, -EINVAL, ERROR_INPUT, "%s cannot be read", path);
	if (d->errors == 1)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "%.*s", (int)strcspn(words, "\n"), words);
	return error_set(err, -EINVAL, ERROR_INPUT, "%.*s (the first of %u errors)",
		(int)strcspn(words, "\n"), words, d->errors);
}

int operator_file_read(
	const struct operator_file *file, struct diagnostics *d, void *context, struct error *err)
{
	autoarena struct arena arena = {0};
	struct source_file *source = NULL;
	struct node *root = NULL;
	bool linked;
	int r;

	if (file->optional && faccessat(AT_FDCWD, file->path, F_OK, AT_EACCESS) < 0 &&
		(errno == ENOENT || errno == ENOTDIR))
		return 0;
	r = trust_read(&arena, file->path, file->owner, &source, &linked, err);
	if (r < 0)
		return r;
	d->files = source;
	r = document_parse(&arena, d, source, &root);
	if (r == 0)
		read_root(d, root, file, context);
	/* What was read of it goes with the arena. */
	d->files = NULL;
	if (r == -ENOMEM)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	return r < 0 || d->errors ? tell_first(d, file->path, err) : 0;
}
