/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/calls.h"
#include "policy/read.h"

#include "base/number.h"
#include "base/pattern.h"

#include <inttypes.h>
#include <string.h>

const char *reader_where(struct reader *r)
{
	size_t used = 0;

	r->where[0] = '\0';
	for (unsigned i = 0; i < r->depth && used < sizeof(r->where); i++)
		used += (size_t)snprintf(r->where + used, sizeof(r->where) - used, "%s%s",
			i && strcmp(r->trail[i], "[]") != 0 ? "." : "", r->trail[i]);
	return r->where;
}

void *reader_alloc(struct reader *r, size_t size)
{
	void *p = arena_alloc(r->arena, size);

	r->no_memory |= !p;
	return p;
}

char *reader_copy(struct reader *r, const char *text)
{
	char *copy = arena_string(r->arena, text);

	r->no_memory |= !copy;
	return copy;
}

void *reader_grow(struct reader *r, void *items, size_t count, size_t size, struct source at)
{
	void *grown;

	if (count >= READ_ENTRIES_MAX) {
		if (count == READ_ENTRIES_MAX)
			diagnostics_report(r->d, CODE_TOO_BIG, at, "`%s` has more than %d entries",
				reader_where(r), READ_ENTRIES_MAX);
		return NULL;
	}
	grown = arena_grow(r->arena, items, count, size);
	r->no_memory |= !grown;
	return grown;
}

static const char *kind_words(const struct node *node)
{
	static const char *const words[] = {
		[NODE_SCALAR] = "one value", [NODE_LIST] = "a list", [NODE_MAPPING] = "a mapping"};

	return node_is_null(node) ? "nothing" : words[node->kind];
}

static void wrong_type(struct reader *r, const struct node *node, const char *wanted)
{
	diagnostics_report(r->d, CODE_WRONG_TYPE, node->at, "`%s` wants %s, this is %s",
		reader_where(r), wanted, kind_words(node));
}

bool value_is_list(struct reader *r, const struct node *node, enum value_type type)
{
	if (node->kind == NODE_LIST || node_is_null(node))
		return true;
	if (node->kind == NODE_SCALAR)
		diagnostics_report(r->d, CODE_WRONG_TYPE, node->at, "`%s` wants %s; write [%s]",
			reader_where(r), value_type_words(type), node->text);
	else
		wrong_type(r, node, value_type_words(type));
	return false;
}

bool value_is_mapping(struct reader *r, const struct node *node, enum value_type type)
{
	if (node->kind == NODE_MAPPING || node_is_null(node))
		return true;
	wrong_type(r, node, value_type_words(type));
	return false;
}

/* Text that YAML readers take for something else than a string where it is not quoted. */
static bool reads_as_other_type(const char *text)
{
	static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
	const char *at = text + (*text == '-' || *text == '+');
	size_t digits;

	for (size_t i = 0; i < array_size(words); i++) {
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	if (strcasecmp(at, ".inf") == 0 || strcasecmp(text, ".nan") == 0)
		return true;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'o') && text[2])
		return text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0';
	digits = strspn(at, "0123456789");
	at += digits;
	if (*at == '.')
		digits += strspn(++at, "0123456789"), at += strspn(at, "0123456789");
	if (!digits)
		return false;
	if (*at == 'e' || *at == 'E') {
		at++;
		at += *at == '-' || *at == '+';
		return *at && at[strspn(at, "0123456789")] == '\0';
	}
	return *at == '\0';
}

static bool check_line(struct reader *r, const struct node *node, enum content content)
{
	if (content == CONTENT_TEXT || content == CONTENT_VALUE || !strpbrk(node->text, "\n\t"))
		return true;
	diagnostics_report(
		r->d, CODE_LINE, node->at, "`%s` must be one line without tabs", reader_where(r));
	return false;
}

/* The node is text of one line where its content wants that. */
static bool check_text(struct reader *r, const struct node *node, enum content content)
{
	if (node->kind != NODE_SCALAR) {
		wrong_type(r, node, contents[content].words);
		return false;
	}
	if (node_is_null(node) || (node->text[0] == '\0' && content != CONTENT_VALUE)) {
		diagnostics_report(r->d, CODE_EMPTY, node->at,
			"an empty entry in `%s`: it wants %s", reader_where(r),
			contents[content].words);
		return false;
	}
	if (node->plain && reads_as_other_type(node->text)) {
		diagnostics_report(r->d, CODE_WRONG_TYPE, node->at,
			"`%s` wants %s, and YAML does not read %s as text; quote it: \"%s\"",
			reader_where(r), contents[content].words, node->text, node->text);
		return false;
	}
	return check_line(r, node, content);
}

static bool name_is_good(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return name[n] == '\0' && n >= 1 && n <= 63;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool env_name_is_good(const char *name, bool pattern)
{
	size_t n = strspn(name, pattern ? LETTERS DIGITS "_*?" : LETTERS DIGITS "_");

	return name[n] == '\0' && n >= 1 && n <= 255 && !strchr(DIGITS, name[0]);
}

static const char *check_name(struct reader *r, const struct node *node, enum content content)
{
	bool good = content == CONTENT_PROFILE ? name_is_good(node->text) || strchr(node->text, '/')
					       : name_is_good(node->text);

	if (content == CONTENT_TOOL)
		good = strlen(node->text) <= 128 &&
		       node->text[strspn(node->text, LETTERS DIGITS "_./-")] == '\0';
	if (good)
		return node->text;
	diagnostics_report(r->d, CODE_NAME, node->at, "`%s` is not %s%s", node->text,
		contents[content].words,
		content == CONTENT_PROFILE && strchr(node->text, '.')
			? "; a file beside this one begins with ./"
			: "");
	return NULL;
}

static const char *check_env_name(struct reader *r, const struct node *node, enum content content)
{
	if (env_name_is_good(node->text, content == CONTENT_ENV_PATTERN))
		return node->text;
	diagnostics_report(r->d, CODE_ENV_NAME, node->at, "`%s` is not %s", node->text,
		contents[content].words);
	return NULL;
}

static void report_unknown_name(
	struct reader *r, const struct node *node, const char *what, const char *nearest)
{
	if (node->text[0] == '@')
		diagnostics_report(r->d, CODE_UNKNOWN_NAME, node->at,
			"names have no @ here; write `%s`", node->text + 1);
	else
		diagnostics_report(r->d, CODE_UNKNOWN_NAME, node->at, "unknown %s `%s`%s%s%s", what,
			node->text, nearest ? "; did you mean `" : "", nearest ? nearest : "",
			nearest ? "`?" : "");
}

static const char *check_syscall(struct reader *r, const struct node *node)
{
	if (calls_find(node->text))
		return node->text;
	report_unknown_name(r, node, "system call", calls_nearest(node->text));
	return NULL;
}

static const char *check_group(struct reader *r, const struct node *node)
{
	enum calls_group group;

	if (calls_group_find(node->text, &group))
		return node->text;
	report_unknown_name(r, node, "group of system calls", calls_group_nearest(node->text));
	return NULL;
}

#define FAMILIES_MAX 64

static const char *check_family(struct reader *r, const struct node *node)
{
	const struct calls_family *family = calls_family_find(node->text), *all;
	const char *names[FAMILIES_MAX];
	size_t count = 0, total;

	if (family && family->nameable)
		return node->text;
	if (family) {
		diagnostics_report(r->d, CODE_UNKNOWN_NAME, node->at,
			"sockets of family `%s` cannot be allowed: %s", family->name,
			family->reason);
		return NULL;
	}
	all = calls_families(&total);
	for (size_t i = 0; i < total && count < FAMILIES_MAX; i++) {
		if (all[i].nameable)
			names[count++] = all[i].name;
	}
	report_unknown_name(r, node, "socket family", text_nearest(node->text, names, count));
	return NULL;
}

static const char *check_expression(struct reader *r, const struct node *node)
{
	struct pattern *pattern = NULL;
	struct error err = {0};
	int result = pattern_create(node->text, &pattern, &err);

	pattern_destroy(pattern);
	if (result == 0)
		return node->text;
	r->no_memory |= result == -ENOMEM;
	if (result != -ENOMEM)
		diagnostics_report(r->d, CODE_EXPRESSION, node->at, "`%s` cannot be used: %s",
			node->text, err.text);
	return NULL;
}

const char *value_string(struct reader *r, const struct node *node, enum content content)
{
	if (!check_text(r, node, content))
		return NULL;
	switch (content) {
	case CONTENT_LINE:
	case CONTENT_TEXT:
	case CONTENT_COUNT:
		return node->text;
	case CONTENT_VALUE:
	case CONTENT_TEST:
		return value_expanded(r, node);
	case CONTENT_NAME:
	case CONTENT_PROFILE:
	case CONTENT_TOOL:
		return check_name(r, node, content);
	case CONTENT_PATH:
		return value_path(r, node, false);
	case CONTENT_PATH_GLOB:
		return value_path(r, node, true);
	case CONTENT_HOST:
		return value_host(r, node);
	case CONTENT_CIDR:
		return value_cidr(r, node);
	case CONTENT_LISTEN:
		return value_listen(r, node);
	case CONTENT_SYSCALL:
		return check_syscall(r, node);
	case CONTENT_SYSCALL_GROUP:
		return check_group(r, node);
	case CONTENT_SOCKET_FAMILY:
		return check_family(r, node);
	case CONTENT_ENV_NAME:
	case CONTENT_ENV_PATTERN:
		return check_env_name(r, node, content);
	case CONTENT_EXPRESSION:
		return check_expression(r, node);
	}
	return NULL;
}

bool value_bool(struct reader *r, const struct node *node, bool *ret_value)
{
	if (node->kind != NODE_SCALAR) {
		wrong_type(r, node, "true or false");
		return false;
	}
	if (node->plain && strcmp(node->text, "true") == 0) {
		*ret_value = true;
	} else if (node->plain && strcmp(node->text, "false") == 0) {
		*ret_value = false;
	} else {
		diagnostics_report(r->d, CODE_BOOL, node->at,
			"`%s`: booleans are true or false, without quotes; this is %s%s%s",
			reader_where(r), node->plain ? "" : "\"", node->text,
			node->plain ? "" : "\"");
		return false;
	}
	return true;
}

bool value_word(
	struct reader *r, const struct node *node, const struct key *key, unsigned *ret_index)
{
	autotext struct text list = {0};
	const char *nearest;
	unsigned count = 0;

	if (node->kind != NODE_SCALAR || node_is_null(node)) {
		wrong_type(r, node, "a word");
		return false;
	}
	for (; key->words[count]; count++) {
		if (strcmp(key->words[count], node->text) == 0) {
			*ret_index = count;
			return true;
		}
		text_printf(&list, "%s%s", count ? ", " : "", key->words[count]);
	}
	nearest = text_nearest(node->text, key->words, count);
	diagnostics_report(r->d, CODE_UNKNOWN_WORD, node->at, "`%s` can be %s; this is `%s`%s%s%s",
		reader_where(r), text_string(&list), node->text, nearest ? "; did you mean `" : "",
		nearest ? nearest : "", nearest ? "`?" : "");
	return false;
}
