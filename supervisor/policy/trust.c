/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/trust.h"

#include "base/io.h"
#include "base/path.h"
#include "policy/document.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define OVERFLOW_UID 65534
#define LINKS_MAX 40 /* as the kernel follows */

/* The first line of /proc/self/uid_map covers every uid in the initial namespace only. */
static bool in_user_namespace(void)
{
	autofree char *map = NULL;
	unsigned long inside, outside, count;

	if (io_read_file(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL, NULL) < 0)
		return false;
	return sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 && count != UINT32_MAX;
}

bool trust_owner(uid_t owner, uid_t trusted_uid)
{
	return owner == 0 || owner == trusted_uid || (owner == OVERFLOW_UID && in_user_namespace());
}

static int refuse(struct error *err, const char *path, const char *why)
{
	return error_set(err, -EPERM, ERROR_INPUT, "%s %s, so somebody else could choose the walls",
		path, why);
}

static int check_directory(const char *path, uid_t trusted_uid, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return error_errno(err, "look at %s", path);
	if (!trust_owner(st.st_uid, trusted_uid))
		return refuse(err, path, "belongs to another user");
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
		return refuse(err, path, "is a directory that others can write to");
	return 0;
}

/* Every directory from the one that holds path up to /: whoever can rename one can replace the
 * file. */
static int check_directories(const char *path, uid_t trusted_uid, struct error *err)
{
	char parent[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(parent))
		return error_set(err, -ENAMETOOLONG, ERROR_INPUT, "%s is too long", path);
	memcpy(parent, path, n + 1);
	while (n > 1) {
		char *slash = strrchr(parent, '/');
		int r;

		slash[slash == parent] = '\0';
		n = strlen(parent);
		r = check_directory(parent, trusted_uid, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A link chooses the file as much as its content does. */
static int check_link(const char *path, uid_t trusted_uid, bool *ret_linked, struct error *err)
{
	autofree char *folder = NULL, *real = NULL, *inside = NULL;
	struct stat st;

	*ret_linked = false;
	if (lstat(path, &st) < 0)
		return errno == ENOENT
			       ? error_set(err, -ENOENT, ERROR_INPUT, "%s does not exist", path)
			       : error_errno(err, "open %s", path);
	if (!S_ISLNK(st.st_mode))
		return 0;
	*ret_linked = true;
	if (!trust_owner(st.st_uid, trusted_uid))
		return refuse(err, path, "is a link of another user");
	folder = strchr(path, '/') ? path_parent(path) : strdup(".");
	real = folder ? realpath(folder, NULL) : NULL;
	inside = real ? path_join(real, "x") : NULL;
	if (!inside)
		return error_errno(err, "look at %s", path);
	return check_directories(inside, trusted_uid, err);
}

static int check_way(const char *path, uid_t trusted_uid, unsigned links, struct error *err);

/* One link of the way: where it leads, and the rest of the way from there. */
static int follow(
	const char *path, size_t end, uid_t trusted_uid, unsigned links, struct error *err)
{
	char link[PATH_MAX], target[PATH_MAX], next[PATH_MAX];
	size_t parent = end;
	ssize_t n;
	int length;

	snprintf(link, sizeof(link), "%.*s", (int)end, path);
	n = readlink(link, target, sizeof(target));
	if (n < 0)
		return error_errno(err, "look at %s", link);
	while (parent > 0 && path[parent - 1] != '/')
		parent--;
	length = snprintf(next, sizeof(next), "%.*s%.*s%s", target[0] == '/' ? 0 : (int)parent,
		path, (int)n, target, path + end);
	if (links == 0 || n >= (ssize_t)sizeof(target) || length >= (int)sizeof(next))
		return error_set(err, -ELOOP, ERROR_INPUT, "%s leads too far", link);
	return check_way(next, trusted_uid, links - 1, err);
}

static int check_way(const char *path, uid_t trusted_uid, unsigned links, struct error *err)
{
	int r = check_directory("/", trusted_uid, err);

	for (size_t end = 1; r == 0 && path[end - 1];) {
		char part[PATH_MAX];
		struct stat st;

		end += strcspn(path + end, "/");
		if (end >= sizeof(part))
			return error_set(err, -ENAMETOOLONG, ERROR_INPUT, "%s is too long", path);
		snprintf(part, sizeof(part), "%.*s", (int)end, path);
		if (lstat(part, &st) < 0)
			return error_errno(err, "look at %s", part);
		if (S_ISLNK(st.st_mode))
			return trust_owner(st.st_uid, trusted_uid)
				       ? follow(path, end, trusted_uid, links, err)
				       : refuse(err, part, "is a link of another user");
		if (!path[end])
			return 0;
		r = check_directory(part, trusted_uid, err);
		end++;
	}
	return r;
}

int trust_way(const char *path, uid_t trusted_uid, struct error *err)
{
	if (path[0] != '/')
		return error_set(err, -EINVAL, ERROR_INPUT, "%s is no absolute path", path);
	return check_way(path, trusted_uid, LINKS_MAX, err);
}

static int check_file(
	int fd, const char *path, uid_t trusted_uid, bool *ret_of_root, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "look at %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, ERROR_INPUT, "%s is not a regular file", path);
	if (!trust_owner(st.st_uid, trusted_uid))
		return refuse(err, path, "belongs to another user");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(err, path, "is writable by others (chmod go-w)");
	*ret_of_root = trust_owner(st.st_uid, 0);
	return 0;
}

static int keep(struct arena *arena, const char *path, const char *real, const char *data,
	struct source_file *file)
{
	file->name = arena_string(arena, path);
	file->real = arena_string(arena, real);
	file->data = arena_copy(arena, data, file->length);
	return file->name && file->real && file->data ? 0 : -ENOMEM;
}

int trust_read(struct arena *arena, const char *path, uid_t trusted_uid,
	struct source_file **ret_file, bool *ret_linked, struct error *err)
{
	struct source_file *file = arena_alloc(arena, sizeof(*file));
	autofree char *real = NULL, *data = NULL;
	autoclose int fd = -1;
	int r;

	if (!file)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	r = check_link(path, trusted_uid, ret_linked, err);
	if (r < 0)
		return r;
	real = realpath(path, NULL);
	if (!real)
		return error_errno(err, "open %s", path);
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return error_errno(err, "open %s", path);
	r = check_file(fd, path, trusted_uid, &file->of_root, err);
	if (r == 0)
		r = check_directories(real, trusted_uid, err);
	if (r == 0)
		r = io_read_fd(fd, path, DOCUMENT_BYTES_MAX, &data, &file->length, err);
	if (r < 0)
		return r;
	if (keep(arena, path, real, data, file) < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	*ret_file = file;
	return 0;
}

int trust_program(const char *path, uid_t trusted_uid, struct error *err)
{
	autofree char *real = realpath(path, NULL);
	autoclose int fd = -1;
	bool of_root;
	int r;

	if (!real)
		return error_errno(err, "open %s", path);
	if (strcmp(real, path) != 0)
		return error_set(err, -ELOOP, ERROR_REFUSED,
			"%s: it or a directory on the way to it is a link now", path);
	fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, "open %s", path);
	r = check_file(fd, path, trusted_uid, &of_root, err);
	if (r == 0)
		r = check_directories(path, trusted_uid, err);
	return r < 0 ? r : take_fd(&fd);
}
