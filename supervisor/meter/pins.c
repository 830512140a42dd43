/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/pins.h"

#include "base/own.h"
#include "meter/hooks.h"
#include "meter/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

void pins_remove(int parent_fd, const char *name)
{
	autoclose int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *entry;
	DIR *listing;

	if (fd < 0)
		return;
	listing = fdopendir(dup(fd));
	if (!listing)
		return;
	while ((entry = readdir(listing)))
		if (entry->d_name[0] != '.')
			unlinkat(fd, entry->d_name, 0);
	closedir(listing);
	unlinkat(parent_fd, name, AT_REMOVEDIR);
}

int pins_put_aside(int parent_fd, const char *name, struct error *err)
{
	char aside[64];

	/* Nobody else has this number while the directory is locked. */
	snprintf(aside, sizeof(aside), "links-old-%d-%s", (int)getpid(), name + strlen("links-"));
	pins_remove(parent_fd, aside);
	if (renameat(parent_fd, name, parent_fd, aside) && errno != ENOENT)
		return error_errno(err, "put %s aside", name);
	return 0;
}

void pins_remove_links(int directory_fd, const char *keep)
{
	DIR *listing = fdopendir(dup(directory_fd));
	struct dirent *entry;

	if (!listing)
		return;
	rewinddir(listing);
	while ((entry = readdir(listing)))
		if (strncmp(entry->d_name, "links-", 6) == 0 &&
			(!keep || strcmp(entry->d_name, keep) != 0))
			pins_remove(directory_fd, entry->d_name);
	closedir(listing);
}

void meter_discard(struct meter *meter)
{
	char links[512];

	if (meter->pins_fd < 0)
		return;
	meter_links_path("", meter->make, "", links, sizeof(links));
	pins_remove(meter->pins_fd, links + 1);
}

int meter_unpin(const char *pin_directory, struct error *err)
{
	autoclose int fd = open(pin_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, "open %s", pin_directory);
	pins_remove_links(fd, NULL);
	pins_remove(fd, "maps");
	if (rmdir(pin_directory))
		return error_errno(err, "remove %s", pin_directory);
	return 0;
}

static int make_directories(const char *directory, const char *maps, struct error *err)
{
	if (mkdir(directory, 0700) && errno != EEXIST)
		return error_errno(err, "make %s", directory);
	if (mkdir(maps, 0700) && errno != EEXIST)
		return error_errno(err, "make %s", maps);
	return 0;
}

int pins_check(int fd, const char *path, struct error *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fstat(fd, &st))
		return error_errno(err, "look at %s", path);
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: the meter's pins are wanted there, and it is on no bpffs", path);
	if (st.st_uid != 0 || st.st_mode & 077)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: the meter's pins are wanted there, and it is not root's alone", path);
	return 0;
}

int pins_open(const char *directory, bool make, struct error *err)
{
	autoclose int fd = -1;
	char maps[512];
	int r;

	snprintf(maps, sizeof(maps), "%s/maps", directory);
	r = make ? make_directories(directory, maps, err) : 0;
	if (r)
		return r;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, "open %s", directory);
	r = pins_check(fd, directory, err);
	if (r)
		return r;
	/* Two that start at once must not both attach. */
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return error_errno(err, "lock %s", directory);
	return take_fd(&fd);
}

int meter_program_of(int link_fd)
{
	struct bpf_link_info info = {0};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(link_fd, &info, &size) ? -1
							     : bpf_prog_get_fd_by_id(info.prog_id);
}

uint64_t meter_skipped(const struct meter *meter)
{
	uint64_t skipped = 0;

	for (size_t i = 0; i < meter->link_count; i++) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		autoclose int fd = meter_program_of(meter->link_fd[i]);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
			skipped += info.recursion_misses;
	}
	return skipped;
}
