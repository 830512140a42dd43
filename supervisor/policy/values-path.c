/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include "base/path.h"

#include <limits.h>
#include <string.h>

static const struct variable {
	const char *name;
	size_t offset; /* in struct profile_variables */
	bool path;     /* its value must be a path by itself */
} variables[] = {
	{"HOME", offsetof(struct profile_variables, home), true},
	{"WORKDIR", offsetof(struct profile_variables, workdir), true},
	{"TMPDIR", offsetof(struct profile_variables, tmpdir), true},
	{"STATE", offsetof(struct profile_variables, state), true},
	{"RUN_ID", offsetof(struct profile_variables, run_id), false},
	{"UID", offsetof(struct profile_variables, uid), false},
};

static void report_unknown(struct reader *r, const struct node *node, const char *name)
{
	const char *names[array_size(variables)], *nearest;

	for (size_t i = 0; i < array_size(variables); i++)
		names[i] = variables[i].name;
	nearest = text_nearest(name, names, array_size(variables));
	diagnostics_report(r->d, CODE_DOLLAR, node->at, "unknown variable ${%s}%s%s%s", name,
		nearest ? "; did you mean ${" : "", nearest ? nearest : "", nearest ? "}?" : "");
}

/* The value of a variable, good to stand in a path; NULL (reported) otherwise. */
static const char *value_of(
	struct reader *r, const struct node *node, const struct variable *variable)
{
	const char *fields = (const char *)&r->request->variables;
	const char *value = *(const char *const *)(const void *)(fields + variable->offset);
	autofree char *normal = NULL;

	if (!value || !*value) {
		diagnostics_report(r->d, CODE_UNSET_VARIABLE, node->at,
			"${%s} has no value in this run", variable->name);
		return NULL;
	}
	if (!variable->path && !strchr(value, '/'))
		return value;
	normal = variable->path ? path_normalise(value) : NULL;
	if (normal)
		return reader_copy(r, normal);
	diagnostics_report(r->d, CODE_PATH, node->at, "the value of ${%s} is not %s: %s",
		variable->name, variable->path ? "an absolute path without `..`" : "one word",
		value);
	return NULL;
}

/* Read "${NAME}" at text; its value, or NULL (reported). ret_end receives what follows it. */
static const char *read_variable(
	struct reader *r, const struct node *node, const char *text, const char **ret_end)
{
	size_t n = text[1] == '{' ? strcspn(text + 2, "}") : 0;
	char name[32];

	if (text[1] != '{' || text[2 + n] != '}') {
		diagnostics_report(r->d, CODE_DOLLAR, node->at,
			"`$` stands before a variable in braces only: ${HOME}");
		return NULL;
	}
	*ret_end = text + 2 + n + 1;
	if (n >= sizeof(name))
		n = sizeof(name) - 1;
	memcpy(name, text + 2, n);
	name[n] = '\0';
	for (size_t i = 0; i < array_size(variables); i++) {
		if (strcmp(variables[i].name, name) == 0)
			return value_of(r, node, &variables[i]);
	}
	report_unknown(r, node, name);
	return NULL;
}

/* The text with its variables replaced. ret_globbed: one of their values held a glob character. */
static const char *expand(struct reader *r, const struct node *node, bool *ret_globbed)
{
	autotext struct text out = {0};
	const char *at = node->text;

	*ret_globbed = false;
	if (!strchr(at, '$'))
		return at;
	while (*at) {
		size_t n = strcspn(at, "$");
		const char *value;

		text_append(&out, at, n);
		at += n;
		if (*at != '$')
			break;
		value = read_variable(r, node, at, &at);
		if (!value)
			return NULL;
		*ret_globbed |= path_has_glob(value);
		text_puts(&out, value);
		if (out.length > DOCUMENT_SCALAR_BYTES_MAX) {
			diagnostics_report(r->d, CODE_TOO_BIG, node->at,
				"longer than 64 KiB once its variables are replaced");
			return NULL;
		}
	}
	if (out.failed) {
		r->no_memory = true;
		return NULL;
	}
	return reader_copy(r, text_string(&out));
}

const char *value_expanded(struct reader *r, const struct node *node)
{
	bool globbed;

	return expand(r, node, &globbed);
}

/* "**" is a segment of its own or it would quietly mean "*". */
static bool stars_stand_alone(const char *path)
{
	for (const char *at = strstr(path, "**"); at; at = strstr(at + 2, "**")) {
		if (at == path || at[-1] != '/' || (at[2] != '/' && at[2] != '\0'))
			return false;
	}
	return true;
}

static const char *glob_problem(const char *written, bool glob, bool globbed)
{
	if (!path_has_glob(written))
		return NULL;
	if (!glob)
		return "globs are understood in fs.deny, fs.protect and fs.canaries only; a grant "
		       "covers what is beneath it";
	if (globbed)
		return "a variable's value holds a glob character itself, so it cannot stand in a "
		       "pattern";
	if (!stars_stand_alone(written))
		return "`**` stands alone between two slashes";
	return NULL;
}

static bool has_dot_dot(const char *path)
{
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 2 && at[0] == '.' && at[1] == '.')
			return true;
		at += n + (at[n] == '/');
	}
	return false;
}

static const char *path_problem(const char *path)
{
	if (path[0] == '~')
		return "does not begin with /; write ${HOME} instead of ~";
	if (path[0] != '/')
		return "does not begin with / or a variable such as ${WORKDIR}";
	if (has_dot_dot(path))
		return "has a component `..`, which links can turn into anything";
	if (strlen(path) >= PATH_MAX)
		return "is longer than 4095 bytes";
	return NULL;
}

const char *value_path(struct reader *r, const struct node *node, bool glob)
{
	bool globbed = false;
	const char *text = expand(r, node, &globbed), *problem;
	autofree char *normal = NULL;

	if (!text)
		return NULL;
	problem = glob_problem(node->text, glob, globbed);
	if (problem) {
		diagnostics_report(r->d, CODE_GLOB, node->at, "`%s`: %s", node->text, problem);
		return NULL;
	}
	problem = path_problem(text);
	if (problem) {
		diagnostics_report(r->d, CODE_PATH, node->at, "path `%s` %s", node->text, problem);
		return NULL;
	}
	if (path_is_normal(text))
		return text;
	normal = path_normalise(text);
	r->no_memory |= !normal;
	return normal ? reader_copy(r, normal) : NULL;
}
