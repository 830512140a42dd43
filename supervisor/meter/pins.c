/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/pins.h"

#include "meter/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

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

int pins_open(const char *directory, struct error *err)
{
	char maps[512];
	int fd;

	if (mkdir(directory, 0700) && errno != EEXIST)
		return error_errno(err, "make %s", directory);
	snprintf(maps, sizeof(maps), "%s/maps", directory);
	if (mkdir(maps, 0700) && errno != EEXIST)
		return error_errno(err, "make %s", maps);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, "open %s", directory);
	/* Two that start at once must not both attach. */
	if (flock(fd, LOCK_EX)) {
		int r = error_errno(err, "lock %s", directory);

		close(fd);
		return r;
	}
	return fd;
}

bool meter_attached(const struct meter *meter)
{
	for (size_t i = 0; i < meter->link_count; i++) {
		struct bpf_link_info info = {0};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(meter->link_fd[i], &info, &size))
			return false;
		/* Links to functions cannot be detached while somebody holds them; those to a
		 * cgroup can. */
		if (info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == 0)
			return false;
	}
	return meter->link_count > 0;
}

uint64_t meter_skipped(const struct meter *meter)
{
	uint64_t skipped = 0;

	for (size_t i = 0; i < meter->link_count; i++) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);

		if (meter->program_fd[i] >= 0 &&
			bpf_obj_get_info_by_fd(meter->program_fd[i], &info, &size) == 0)
			skipped += info.recursion_misses;
	}
	return skipped;
}
