/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/io.h"

#include <linux/openat2.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#define RESOLVE_WITHIN                                                                             \
	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define COPY_CHUNK (1U << 20)

static int ask(const struct changes_disk *d, const struct changes_call *call)
{
	return d && d->before ? d->before(d->context, call) : 0;
}

#define ASK(d, ...) ask(d, &(const struct changes_call){__VA_ARGS__, .to_fd = -1})

/* asked: what was answered. */
#define UNLESS_DONE(asked, call) ((asked) ? ((asked) < 0 ? (asked) : 0) : result(call))

static int result(int r)
{
	return r < 0 ? -errno : 0;
}

int disk_mkdir(const struct changes_disk *d, int dir, const char *name, mode_t mode)
{
	int r = ASK(d, "mkdir", .fd = dir, .name = name);

	return UNLESS_DONE(r, mkdirat(dir, name, mode));
}

int disk_create(const struct changes_disk *d, int dir, const char *name, mode_t mode)
{
	int r = ASK(d, "create", .fd = dir, .name = name), fd;

	if (r < 0)
		return r;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

int disk_symlink(const struct changes_disk *d, const char *to, int dir, const char *name)
{
	int r = ASK(d, "symlink", .fd = dir, .name = name);

	return UNLESS_DONE(r, symlinkat(to, dir, name));
}

int disk_rename(const struct changes_disk *d, int from_dir, const char *from, int to_dir,
	const char *to, unsigned flags)
{
	int r = ask(d, &(const struct changes_call){"rename", from_dir, to_dir, from, to, flags});

	return UNLESS_DONE(r, renameat2(from_dir, from, to_dir, to, flags));
}

int disk_unlink(const struct changes_disk *d, int dir, const char *name, int flags)
{
	int r = ASK(d, "unlink", .fd = dir, .name = name, .flags = (unsigned)flags);

	return UNLESS_DONE(r, unlinkat(dir, name, flags));
}

int disk_chmod(const struct changes_disk *d, int fd, mode_t mode)
{
	int r = ASK(d, "chmod", .fd = fd);
	char own[32];

	/* fchmod(2) takes no descriptor that was opened with O_PATH. */
	snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
	return UNLESS_DONE(r, chmod(own, mode));
}

int disk_sync(const struct changes_disk *d, int fd)
{
	int r = ASK(d, "sync", .fd = fd);

	return UNLESS_DONE(r, fsync(fd));
}

int disk_sync_all(const struct changes_disk *d, int fd)
{
	int r = ASK(d, "sync-all", .fd = fd);

	return UNLESS_DONE(r, syncfs(fd));
}

int disk_write(const struct changes_disk *d, int fd, const void *data, size_t length)
{
	int r = ASK(d, "write", .fd = fd);

	return r < 0 ? r : io_write_all(fd, data, length);
}

/* lseek(2), SEEK_DATA: a file of one terabyte with one byte in it costs one block. */
int disk_copy(const struct changes_disk *d, int from, int to, uint64_t size)
{
	off_t at = 0;
	int r = ASK(d, "copy", .fd = to);

	if (r < 0)
		return r;
	if (ftruncate(to, (off_t)size) < 0)
		return -errno;
	while ((uint64_t)at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || lseek(to, data, SEEK_SET) < 0)
			return -errno;
		if ((uint64_t)hole > size)
			hole = (off_t)size;
		while (data < hole) {
			off_t left = hole - data;
			ssize_t n = sendfile(
				to, from, &data, (size_t)(left < COPY_CHUNK ? left : COPY_CHUNK));

			if (n < 0 && errno != EINTR)
				return -errno;
			if (n == 0)
				return -ESTALE; /* it became shorter */
		}
		at = hole;
	}
	return 0;
}

int beneath_open(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC), .resolve = RESOLVE_WITHIN};

	return (int)syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
}

int beneath_parent(int dir, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return beneath_open(dir, "", O_PATH | O_DIRECTORY);
	if ((size_t)(slash - path) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, (size_t)(slash - path));
	parent[slash - path] = '\0';
	return beneath_open(dir, parent, O_PATH | O_DIRECTORY);
}
