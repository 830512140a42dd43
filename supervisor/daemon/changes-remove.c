/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <dirent.h>
#include <string.h>

/* Removes whatever a tool left behind. What a directory's mode forbids its owner is allowed first,
 * and depth costs no descriptors: what lies deep is moved up and removed from there. */

#define LEVELS_MAX 64

struct removal {
	const struct changes_disk *disk;
	int top; /* borrowed while it is read */
	unsigned moved;
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int changes_open_closed(const struct changes_disk *d, int dir, const char *name, struct stat *ret)
{
	autoclose int path = beneath_open(dir, name, O_PATH | O_DIRECTORY);
	char own[32];
	int fd, r = 0;

	if (path < 0 || fstat(path, ret) < 0)
		return -errno;
	if ((ret->st_mode & S_IRWXU) != S_IRWXU)
		r = disk_chmod(d, path, (ret->st_mode & 07777) | S_IRWXU);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", path);
	fd = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return r < 0 ? r : -errno;
}

static int remove_one(struct removal *w, int dir, const char *name, unsigned depth);

/* Takes fd. All that can go goes; the first failure is returned. */
static int remove_names(struct removal *w, int fd, unsigned depth)
{
	DIR *stream = fdopendir(fd);
	struct dirent *entry;
	int first = 0;

	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	if (depth == 0)
		w->top = dirfd(stream);
	while ((entry = readdir(stream))) {
		int r = is_dots(entry->d_name)
				? 0
				: remove_one(w, dirfd(stream), entry->d_name, depth + 1);

		if (first == 0)
			first = r;
	}
	closedir(stream);
	return first;
}

static int move_up(struct removal *w, int dir, const char *name)
{
	char as[32];
	int r;

	do {
		snprintf(as, sizeof(as), ".deep-%u", w->moved++);
		r = disk_rename(w->disk, dir, name, w->top, as, RENAME_NOREPLACE);
	} while (r == -EEXIST);
	return r;
}

/* What somebody else removed meanwhile is gone, too. */
static int remove_one(struct removal *w, int dir, const char *name, unsigned depth)
{
	int r = disk_unlink(w->disk, dir, name, 0), fd;
	struct stat st;

	if (r == 0 || r == -ENOENT)
		return 0;
	if (r != -EISDIR && r != -EPERM)
		return r;
	fd = changes_open_closed(w->disk, dir, name, &st);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd == -ENOTDIR ? r : fd;
	if (depth > LEVELS_MAX) {
		close(fd);
		return move_up(w, dir, name);
	}
	r = remove_names(w, fd, depth);
	if (r < 0)
		return r;
	r = disk_unlink(w->disk, dir, name, AT_REMOVEDIR);
	return r == -ENOENT ? 0 : r;
}

int disk_remove_tree(const struct changes_disk *d, int dir, const char *name)
{
	struct removal w = {.disk = d, .top = -1};
	unsigned before;
	int r;

	/* What was moved up may lie behind what was read already. */
	do {
		before = w.moved;
		r = remove_one(&w, dir, name, 0);
	} while (r == -ENOTEMPTY && w.moved > before);
	return r;
}
