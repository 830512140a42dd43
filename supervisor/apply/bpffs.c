/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/bpffs.h"

#include "base/own.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define COMMON "/sys/fs/bpf"
#define COMMON_NAME "berm"
#define OWN_NAME "meter"
#define OTHERS 077

static bool is_bpffs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int open_directory(int parent_fd, const char *path)
{
	int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_roots_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & OTHERS) == 0;
}

/* The host's bpffs can be open to everybody (mode 1777 unless it was mounted with another one): a
 * name that somebody else has taken there is not for us. */
static bool can_use_common(void)
{
	autoclose int fd = open_directory(AT_FDCWD, COMMON);
	autoclose int ours = -1;
	struct stat st;

	if (fd < 0 || !is_bpffs(fd) || fstat(fd, &st) || st.st_uid != 0 ||
		(st.st_mode & 022 && !(st.st_mode & S_ISVTX)))
		return false;
	ours = open_directory(fd, COMMON_NAME);
	return ours == -ENOENT || (ours >= 0 && is_roots_alone(ours));
}

/* What is in the place of our mount before there is one. */
static int check_place(int fd, const char *own, struct error *err)
{
	autofree char *parent = strdup(own);
	struct stat above, here;

	if (!parent)
		return error_errno(err, "a bpffs");
	*strrchr(parent, '/') = '\0';
	if (stat(parent, &above) || fstat(fd, &here))
		return error_errno(err, "look at %s", own);
	if (above.st_dev != here.st_dev || !is_roots_alone(fd))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: a bpffs is to be mounted there, and it is not an empty directory of "
			"root's alone",
			own);
	return 0;
}

static int mount_at(int fd, const char *own, struct error *err)
{
	autoclose int fs_fd = fsopen("bpf", FSOPEN_CLOEXEC);
	autoclose int mount_fd = -1;

	if (fs_fd >= 0 && fsconfig(fs_fd, FSCONFIG_SET_STRING, "mode", "0700", 0) == 0 &&
		fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount_fd = fsmount(fs_fd, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount_fd < 0 ||
		move_mount(mount_fd, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		return error_set(err, -errno, ERROR_UNSUPPORTED, "mount a bpffs at %s: %s", own,
			strerror(errno));
	return 0;
}

/* Whoever holds the lock of the directory below the mount is the one that mounts. */
static int mount_own(const char *own, struct error *err)
{
	autoclose int below_fd = -1, top_fd = -1;
	int r;

	if (mkdir(own, 0700) && errno != EEXIST)
		return error_errno(err, "make %s", own);
	below_fd = open_directory(AT_FDCWD, own);
	if (below_fd < 0)
		return error_set(err, below_fd, ERROR_REFUSED,
			"%s: a bpffs is to be mounted there: %s", own, strerror(-below_fd));
	if (is_bpffs(below_fd))
		return 0;
	r = check_place(below_fd, own, err);
	if (r)
		return r;
	while (flock(below_fd, LOCK_EX))
		if (errno != EINTR)
			return error_errno(err, "lock %s", own);
	top_fd = open_directory(AT_FDCWD, own);
	return top_fd >= 0 && is_bpffs(top_fd) ? 0 : mount_at(below_fd, own, err);
}

static int use_own(const char *own, char *path, size_t capacity, struct error *err)
{
	autoclose int fd = open_directory(AT_FDCWD, own);

	if (fd < 0)
		return error_set(err, fd, ERROR_REFUSED, "%s: %s", own, strerror(-fd));
	if (!is_bpffs(fd) || !is_roots_alone(fd))
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s: the meter's pins are wanted there, and it is not root's alone", own);
	snprintf(path, capacity, "%s/" OWN_NAME, own);
	return 0;
}

int bpffs_find(const char *own, bool mount, char *path, size_t capacity, struct error *err)
{
	autoclose int fd = open_directory(AT_FDCWD, own);
	int r = 0;

	if (fd >= 0 && is_bpffs(fd))
		return use_own(own, path, capacity, err);
	if (can_use_common()) {
		snprintf(path, capacity, COMMON "/" COMMON_NAME);
		return 0;
	}
	if (!mount)
		return -ENOENT;
	r = mount_own(own, err);
	return r ? r : use_own(own, path, capacity, err);
}
