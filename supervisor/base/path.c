/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <fnmatch.h>
#include <string.h>

bool path_is_normal(const char *path)
{
	const char *at = path;

	if (at[0] != '/')
		return false;
	if (at[1] == '\0')
		return true;
	while (*at == '/') {
		size_t n = strcspn(++at, "/");

		if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += n;
	}
	return true;
}

char *path_normalise(const char *path)
{
	autofree char *out = NULL;
	size_t used = 0;

	if (path[0] != '/')
		return NULL;
	out = malloc(strlen(path) + 2);
	if (!out)
		return NULL;
	for (const char *at = path; *at;) {
		size_t n;

		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n == 2 && at[0] == '.' && at[1] == '.')
			return NULL;
		if (n > 0 && !(n == 1 && at[0] == '.')) {
			out[used++] = '/';
			memcpy(out + used, at, n);
			used += n;
		}
		at += n;
	}
	if (used == 0)
		out[used++] = '/';
	out[used] = '\0';
	return take_ptr(&out);
}

bool path_is_beneath(const char *path, const char *base)
{
	size_t n = strlen(base);

	if (n == 1 && base[0] == '/')
		return path[0] == '/';
	return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

char *path_join(const char *base, const char *name)
{
	char *out = NULL;
	const char *slash = strcmp(base, "/") == 0 ? "" : "/";

	return asprintf(&out, "%s%s%s", base, slash, name) < 0 ? NULL : out;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || (slash == path && path[1] == '\0'))
		return NULL;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

const char *path_last(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

unsigned path_depth(const char *path)
{
	unsigned depth = 0;

	for (const char *at = path; *at;) {
		at += strspn(at, "/");
		depth += *at != '\0';
		at += strcspn(at, "/");
	}
	return depth;
}

bool path_has_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

#define SEGMENT_MAX 255

static bool segment_match(
	const char *pattern, size_t pattern_length, const char *name, size_t length)
{
	char p[SEGMENT_MAX + 1], n[SEGMENT_MAX + 1];

	if (pattern_length > SEGMENT_MAX || length > SEGMENT_MAX)
		return false;
	memcpy(p, pattern, pattern_length);
	p[pattern_length] = '\0';
	memcpy(n, name, length);
	n[length] = '\0';
	return fnmatch(p, n, FNM_NOESCAPE) == 0;
}

/* Iterative with one level of backtracking to the last "**": linear times depth, no blow-up. */
bool path_glob_match(const char *pattern, const char *path)
{
	const char *star = NULL, *resume = NULL;

	for (;;) {
		size_t pn, nn;

		pattern += strspn(pattern, "/");
		path += strspn(path, "/");
		pn = strcspn(pattern, "/");
		nn = strcspn(path, "/");
		if (pn == 2 && pattern[0] == '*' && pattern[1] == '*') {
			star = pattern += pn;
			resume = path;
			continue;
		}
		if (pn == 0 && nn == 0)
			return true;
		if (pn > 0 && nn > 0 && segment_match(pattern, pn, path, nn)) {
			pattern += pn;
			path += nn;
			continue;
		}
		if (!star || *resume == '\0')
			return false;
		resume += strcspn(resume, "/");
		resume += strspn(resume, "/");
		pattern = star;
		path = resume;
	}
}
