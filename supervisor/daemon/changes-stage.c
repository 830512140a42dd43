/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <dirent.h>
#include <string.h>
#include <sys/xattr.h>

/* Copies of what is to come, made in the staging directory: read with berm's rights, written with
 * the owner's. Nothing is linked or moved out of the overlay's upper directory, whose files belong
 * to the run. */

#define LIST_BYTES 65536
#define ACCESS_ACL "system.posix_acl_access"
#define USER_PREFIX "user."

struct stage {
	struct change_set *set;
	struct error *err;
	unsigned depth;
};

static int failed(const struct stage *s, const char *what, int r)
{
	return error_set(s->err, r, ERROR_REFUSED, "%s: %s", what, strerror(-r));
}

/* What the run made may be closed to the owner of the workspace: with berm's rights. */
static ssize_t read_attribute(struct change_set *set, int from, const char *name, char *value)
{
	ssize_t n;
	int r;

	owner_leave(set);
	n = fgetxattr(from, name, value, LIST_BYTES);
	if (n < 0)
		n = -errno;
	r = owner_enter(set);
	return r < 0 ? r : n;
}

/* The tool's own attributes; never the overlay's, and none that gives rights. */
static int copy_attributes(struct change_set *set, int from, int to)
{
	autofree char *list = malloc(LIST_BYTES), *value = malloc(LIST_BYTES);
	ssize_t length, n;

	if (!list || !value)
		return -ENOMEM;
	length = flistxattr(from, list, LIST_BYTES);
	if (length < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *at = list; at < list + length; at += strlen(at) + 1) {
		if (strncmp(at, USER_PREFIX, strlen(USER_PREFIX)) != 0 ||
			strncmp(at, CHANGES_XATTR_PREFIX, strlen(CHANGES_XATTR_PREFIX)) == 0)
			continue;
		n = read_attribute(set, from, at, value);
		if (n < 0 || fsetxattr(to, at, value, (size_t)n, 0) < 0)
			return n < 0 ? (int)n : -errno;
	}
	return 0;
}

/* A file keeps the group and the access list of the one that it replaces: without them its mode
 * would mean something else. */
static int keep_access(struct change_set *set, int to, const Berm__Wire__Change *change)
{
	autoclose int old = -1;
	char list[4096];
	struct stat st;
	ssize_t n;

	if (!change || !change->old || !S_ISREG(change->old->mode))
		return 0;
	if (fstat(to, &st) < 0)
		return -errno;
	if (st.st_gid != change->old->gid && fchown(to, (uid_t)-1, change->old->gid) < 0)
		return -errno;
	old = beneath_open(set->work_fd, changes_path(&change->path), O_RDONLY | O_NONBLOCK);
	n = old < 0 ? -1 : fgetxattr(old, ACCESS_ACL, list, sizeof(list));
	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP || errno == EACCES ? 0 : -errno;
	return fsetxattr(to, ACCESS_ACL, list, (size_t)n, 0) < 0 ? -errno : 0;
}

/* Runs as the owner. */
static int fill_file(struct change_set *set, int from, int staging, const char *name,
	const struct stat *st, const Berm__Wire__Change *change)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
	autoclose int to = disk_create(set->disk, staging, name, 0600);
	int r = to < 0 ? to : disk_copy(set->disk, from, to, (uint64_t)st->st_size);

	if (r == 0)
		r = copy_attributes(set, from, to);
	if (r == 0)
		r = keep_access(set, to, change);
	if (r == 0)
		r = disk_chmod(set->disk, to, st->st_mode & 01777);
	if (r == 0 && futimens(to, times) < 0)
		r = -errno;
	return r < 0 ? r : disk_sync(set->disk, to);
}

static int stage_file(struct stage *s, int dir, const char *name, int staging, const char *as,
	const Berm__Wire__Change *change)
{
	autoclose int from = beneath_open(dir, name, O_RDONLY | O_NONBLOCK);
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return failed(s, "open a file that was staged", -errno);
	if (!S_ISREG(st.st_mode) || st.st_mode & (S_ISUID | S_ISGID))
		return failed(s, "a file that was staged is another one now", -ESTALE);
	r = owner_enter(s->set);
	if (r < 0)
		return failed(s, "become the owner of the workspace", r);
	r = fill_file(s->set, from, staging, as, &st, change);
	owner_leave(s->set);
	return r < 0 ? failed(s, "copy a file beside its place", r) : 0;
}

static int stage_link(struct stage *s, int dir, const char *name, int staging, const char *as)
{
	char to[4096];
	ssize_t n = readlinkat(dir, name, to, sizeof(to));
	int r;

	if (n <= 0 || (size_t)n >= sizeof(to))
		return failed(s, "read a link that was staged", n < 0 ? -errno : -ENAMETOOLONG);
	to[n] = '\0';
	r = owner_enter(s->set);
	if (r == 0) {
		r = disk_symlink(s->set->disk, to, staging, as);
		owner_leave(s->set);
	}
	return r < 0 ? failed(s, "make a link beside its place", r) : 0;
}

static int stage_object(struct stage *s, int dir, const char *name, int staging, const char *as,
	const Berm__Wire__Change *change);

/* Takes fd. */
static int stage_names(struct stage *s, int fd, int staging)
{
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!stream) {
		close(fd);
		return failed(s, "list a directory that was staged", -ENOMEM);
	}
	while (r == 0 && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = stage_object(
				s, dirfd(stream), entry->d_name, staging, entry->d_name, NULL);
	closedir(stream);
	return r;
}

static int close_directory(struct stage *s, int to, mode_t mode)
{
	int r = owner_enter(s->set);

	if (r < 0)
		return r;
	r = disk_chmod(s->set->disk, to, mode & 01777);
	if (r == 0)
		r = disk_sync(s->set->disk, to);
	owner_leave(s->set);
	return r;
}

static int stage_directory(
	struct stage *s, int dir, const char *name, int staging, const char *as, mode_t mode)
{
	autoclose int to = -1;
	int from = beneath_open(dir, name, O_RDONLY | O_DIRECTORY), r;

	if (from < 0)
		return failed(s, "open a directory that was staged", -errno);
	r = s->depth >= CHANGES_DEPTH_MAX ? -ELOOP : owner_enter(s->set);
	if (r == 0) {
		r = disk_mkdir(s->set->disk, staging, as, 0700);
		if (r == 0)
			to = beneath_open(staging, as, O_RDONLY | O_DIRECTORY);
		if (r == 0 && to < 0)
			r = -errno;
		owner_leave(s->set);
	}
	if (r < 0) {
		close(from);
		return failed(s, "make a directory beside its place", r);
	}
	s->depth++;
	r = stage_names(s, from, to);
	s->depth--;
	if (r < 0)
		return r;
	/* One that is to be moved to its place is closed there. */
	r = close_directory(s, to, s->depth ? mode : mode | S_IRWXU);
	return r < 0 ? failed(s, "make a directory beside its place", r) : 0;
}

static int stage_object(struct stage *s, int dir, const char *name, int staging, const char *as,
	const Berm__Wire__Change *change)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(s, "look at what was staged", -errno);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return stage_file(s, dir, name, staging, as, change);
	case S_IFLNK:
		return stage_link(s, dir, name, staging, as);
	case S_IFDIR:
		return stage_directory(s, dir, name, staging, as, st.st_mode);
	default:
		/* Deleted names, sockets, pipes and devices. */
		return 0;
	}
}

/* Asked when the copy is there: it is of what the manifest names, all of it. */
static int check_staged(
	struct stage *s, int parent, const char *last, const Berm__Wire__Change *change)
{
	const char *why;
	int r = identity_check(parent, last, change->staged, false, &why, s->err);

	return r < 0 || !why ? r : failed(s, "what was staged was changed since", -ESTALE);
}

int changes_stage(struct change_set *set, int staging_fd, const char *name,
	const Berm__Wire__Change *change, struct error *err)
{
	autoclose int upper = beneath_open(set->fd, CHANGES_UPPER, O_PATH | O_DIRECTORY);
	autoclose int parent = -1;
	struct stage s = {.set = set, .err = err};
	const char *last;
	int r;

	if (upper >= 0)
		parent = beneath_parent(upper, changes_path(&change->path), &last);
	if (parent < 0)
		return error_errno(err, "open what was staged");
	r = stage_object(&s, parent, last, staging_fd, name, change);
	if (r == 0)
		r = check_staged(&s, parent, last, change);
	if (r < 0) {
		autotext struct text path = {0};

		text_escape(&path, changes_path(&change->path), strlen(changes_path(&change->path)),
			256);
		return error_wrap(err, "%s", text_string(&path));
	}
	return 0;
}
