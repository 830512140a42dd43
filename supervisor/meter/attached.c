/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the programs are still there, asked each second while a run lasts. */
#include "base/own.h"
#include "meter/hooks.h"
#include "meter/internal.h"
#include "meter/note.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* The directory that was opened is still the one that the next start finds. */
static bool is_in_place(const struct meter *m)
{
	struct stat ours, there;

	return fstat(m->pins_fd, &ours) == 0 && stat(m->pins, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

uint64_t meter_links_inode(const struct meter *meter, const char *links)
{
	struct stat st;

	return fstatat(meter->pins_fd, links, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* Whether every link is still pinned, so that it outlives this process. A set that was put in the
 * place of ours has pins of the same names. */
static bool are_pinned(const struct meter *m)
{
	char path[sizeof(m->links) + 64];

	if (m->links_inode == 0 || meter_links_inode(m, m->links) != m->links_inode)
		return false;
	for (size_t i = 0; i < m->link_count; i++) {
		snprintf(path, sizeof(path), "%s/%s", m->links, hook_table[m->hook[i]].name);
		if (faccessat(m->pins_fd, path, F_OK, 0))
			return false;
	}
	return true;
}

static bool are_attached(const struct meter *m)
{
	for (size_t i = 0; i < m->link_count; i++) {
		struct bpf_link_info info = {0};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(m->link_fd[i], &info, &size))
			return false;
		/* Links to functions cannot be detached while somebody holds them; those to a
		 * cgroup can, and can get another program. */
		if (info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id == 0)
			return false;
		if (m->note_fd >= 0 && info.prog_id != m->note.link[i].program_id)
			return false;
	}
	return m->link_count > 0;
}

/* The links in a directory, where they serve the maps that this run is in. */
static bool take_over(struct meter *m, const char *name)
{
	struct meter next = {.make = m->make, .note_fd = -1};
	char path[512];
	bool good;

	memset(next.link_fd, -1, sizeof(next.link_fd));
	snprintf(path, sizeof(path), "%s/%s", m->pins, name);
	good = note_read(&next, path) &&
	       memcmp(next.note.map_id, m->note.map_id, sizeof(m->note.map_id)) == 0 &&
	       adopt_links(&next, path);
	if (good) {
		for (size_t i = 0; i < METER_LINKS_MAX; i++) {
			int old = m->link_fd[i];

			m->link_fd[i] = next.link_fd[i];
			next.link_fd[i] = old;
		}
		memcpy(m->hook, next.hook, sizeof(m->hook));
		m->link_count = next.link_count;
		m->note = next.note;
		snprintf(m->links, sizeof(m->links), "%.*s", (int)sizeof(m->links) - 1, name);
		m->links_inode = meter_links_inode(m, name);
	}
	for (size_t i = 0; i < METER_LINKS_MAX; i++)
		own_close(&next.link_fd[i]);
	own_close(&next.note_fd);
	return good;
}

static bool is_complete_set(const struct meter *m, const char *name)
{
	const char *make = meter_make_name(m->make);
	size_t length = strlen(name), end = strlen(make);

	return strncmp(name, "links-", 6) == 0 && strncmp(name, "links-old-", 10) != 0 &&
	       length > end && strcmp(name + length - end, make) == 0;
}

/* Another build has put its programs in place of ours, on the same maps: to hold ours as well would
 * count everything twice. */
static bool follow(struct meter *m)
{
	DIR *listing = fdopendir(openat(m->pins_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	bool found = false;

	while (listing && !found && (entry = readdir(listing)))
		found = is_complete_set(m, entry->d_name) && take_over(m, entry->d_name);
	if (listing)
		closedir(listing);
	return found;
}

static bool is_good(struct meter *m)
{
	return (are_pinned(m) && are_attached(m)) || follow(m);
}

bool meter_attached(struct meter *meter)
{
	bool good;

	if (meter->pins_fd < 0)
		return are_attached(meter);
	if (!is_in_place(meter))
		return false;
	if (is_good(meter))
		return true;
	/* Somebody who holds the lock may be between taking the old away and naming the new. */
	if (flock(meter->pins_fd, LOCK_SH))
		return false;
	good = is_good(meter);
	flock(meter->pins_fd, LOCK_UN);
	return good;
}
