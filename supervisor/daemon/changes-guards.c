/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/path.h"

#include <string.h>

/* What the profile denies or protects, asked of each name that a commit would touch. A pattern
 * holds for all beneath what it matches, as in the profile (policy/decide.c). */

/* path is changed while it is looked at, and is as it was afterwards. */
static bool matches(const char *pattern, char *path)
{
	for (size_t i = 1;; i++) {
		char end = path[i];
		bool found;

		if (end != '/' && end != '\0')
			continue;
		path[i] = '\0';
		found = path_glob_match(pattern, path);
		path[i] = end;
		if (found || end == '\0')
			return found;
	}
}

static bool guards(const char *pattern, char *absolute, bool whole)
{
	if (path_has_glob(pattern))
		return matches(pattern, absolute);
	return path_is_beneath(absolute, pattern) || (whole && path_is_beneath(pattern, absolute));
}

static bool is_reserved(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, CHANGES_RESERVED, strlen(CHANGES_RESERVED)) == 0)
			return true;
	}
	return false;
}

int changes_guarded(
	const Berm__Wire__ChangeHead *head, const char *path, bool whole, const char **ret_pattern)
{
	autofree char *absolute = path_join(changes_path(&head->workspace), path);

	*ret_pattern = NULL;
	if (!absolute || !absolute[0])
		return -ENOMEM;
	if (is_reserved(path))
		*ret_pattern = CHANGES_RESERVED;
	for (size_t i = 0; i < head->n_guarded && !*ret_pattern; i++)
		if (guards(changes_path(&head->guarded[i]), absolute, whole))
			*ret_pattern = changes_path(&head->guarded[i]);
	return 0;
}

static bool has_patterns(const Berm__Wire__ChangeHead *head)
{
	for (size_t i = 0; i < head->n_guarded; i++)
		if (path_has_glob(changes_path(&head->guarded[i])))
			return true;
	return false;
}

static int look_beneath(const Berm__Wire__ChangeHead *head, int dir, const char *path,
	unsigned depth, const char **ret_pattern)
{
	autoclose int fd = beneath_open(dir, path_last(path), O_RDONLY | O_DIRECTORY);
	struct changes_names names = {0};
	int r = 0, own;

	/* What cannot be looked at has its problem already. */
	if (fd < 0 || depth > CHANGES_DEPTH_MAX)
		return 0;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = own < 0 ? -errno : changes_names_read(own, NULL, &names);
	for (size_t i = 0; r == 0 && !*ret_pattern && i < names.count; i++) {
		autofree char *name = path_join(path, names.items[i]);

		r = name ? changes_guarded(head, name, false, ret_pattern) : -ENOMEM;
		if (r == 0 && !*ret_pattern)
			r = look_beneath(head, fd, name, depth + 1, ret_pattern);
	}
	changes_names_finish(&names);
	return r;
}

int changes_guarded_beneath(
	const Berm__Wire__ChangeHead *head, int dir, const char *path, const char **ret_pattern)
{
	*ret_pattern = NULL;
	return has_patterns(head) ? look_beneath(head, dir, path, 0, ret_pattern) : 0;
}

bool changes_is_reserved(const Berm__Wire__ChangeHead *head, const char *path)
{
	const char *workspace = changes_path(&head->workspace);
	size_t n = strlen(workspace);

	for (size_t i = 0; i < head->n_reserved; i++) {
		const char *reserved = changes_path(&head->reserved[i]);

		if (strncmp(reserved, workspace, n) == 0 && reserved[n] == '/' &&
			strcmp(reserved + n + 1, path) == 0)
			return true;
	}
	return false;
}
