/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-cgroup.h"

#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#define CGROUP_FILE "/proc/self/cgroup"
#define CGROUP_BYTES_MAX 65536
#define LEAF "supervisor"

/* The directory of this process's cgroup of version 2, in a new string; NULL where there is none.
 */
static char *own_cgroup(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	autofree char *text = NULL;
	char *line, *path = NULL;
	struct statfs fs;

	if (io_read_file(AT_FDCWD, CGROUP_FILE, CGROUP_BYTES_MAX, &text, NULL, NULL) < 0)
		return NULL;
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!line)
		return NULL;
	line = strchr(line, '/');
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < array_size(roots) && !path; i++)
		if (statfs(roots[i], &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC &&
			asprintf(&path, "%s%s", roots[i], line) < 0)
			return NULL;
	return path;
}

/* What systemd marks a delegated cgroup with (org.freedesktop.systemd1(5), Delegate=). */
static bool is_delegated(const char *path)
{
	static const char *const names[] = {"trusted.delegate", "user.delegate"};
	char value = 0;

	for (size_t i = 0; i < array_size(names); i++)
		if (getxattr(path, names[i], &value, 1) == 1 && value == '1')
			return true;
	return false;
}

int supervisor_cgroup_enter_leaf(struct error *err)
{
	autofree char *own = own_cgroup(), *leaf = NULL, *processes = NULL;

	if (!own || !is_delegated(own))
		return 0;
	leaf = path_join(own, LEAF);
	processes = leaf ? path_join(leaf, "cgroup.procs") : NULL;
	if (!processes)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", leaf);
	/* 0 is whoever writes it. */
	return io_write_file(AT_FDCWD, processes, "0", err);
}
