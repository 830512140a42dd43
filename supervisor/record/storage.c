/* SPDX-License-Identifier: Apache-2.0 */
#include "record/storage.h"

#include "base/failpoint.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

static int system_open(void *context, int dir, const char *name, int flags, unsigned mode)
{
	/* O_NONBLOCK: a pipe in the place of a segment must not hold up a verifier. */
	int fd = flags & O_CREAT ? failpoint_error("storage.create") : 0;

	(void)context;
	if (fd < 0)
		return fd;
	fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, mode);
	return fd < 0 ? -errno : fd;
}

static void system_close(void *context, int file)
{
	(void)context;
	close(file);
}

static int system_stat(void *context, int file, struct storage_stat *ret_stat)
{
	struct stat st;

	(void)context;
	if (fstat(file, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret_stat = (struct storage_stat){.size = (uint64_t)st.st_size,
		.mode = st.st_mode & 07777,
		.uid = st.st_uid,
		.links = (uint32_t)st.st_nlink};
	return 0;
}

static ssize_t system_read(void *context, int file, void *data, size_t length, uint64_t offset)
{
	size_t done = 0;

	(void)context;
	while (done < length) {
		ssize_t n = pread(file, (char *)data + done, length - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int system_write(void *context, int file, const void *data, size_t length, uint64_t offset)
{
	size_t done = 0;
	int r = failpoint_error("storage.write");
	int half = failpoint_error("storage.half-write");

	(void)context;
	length = half < 0 ? length / 2 : length;
	while (done < length && r == 0) {
		ssize_t n = pwrite(
			file, (const char *)data + done, length - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return r == 0 ? half : r;
}

static int system_sync(void *context, int file)
{
	int r = failpoint_error("storage.sync");

	(void)context;
	return r == 0 && fdatasync(file) < 0 ? -errno : r;
}

static int system_sync_dir(void *context, int dir)
{
	int r = failpoint_error("storage.sync-dir");

	(void)context;
	return r == 0 && fsync(dir) < 0 ? -errno : r;
}

static int system_rename(void *context, int dir, const char *from, const char *to)
{
	int r = failpoint_error("storage.rename");

	(void)context;
	return r == 0 && renameat(dir, from, dir, to) < 0 ? -errno : r;
}

static int system_remove(void *context, int dir, const char *name)
{
	int r = failpoint_error("storage.remove");

	(void)context;
	return r == 0 && unlinkat(dir, name, 0) < 0 ? -errno : r;
}

static int system_truncate(void *context, int file, uint64_t size)
{
	int r = failpoint_error("storage.truncate");

	(void)context;
	return r == 0 && ftruncate(file, (off_t)size) < 0 ? -errno : r;
}

static int system_reserve(void *context, int file, uint64_t offset, uint64_t length)
{
	int r = failpoint_error("storage.reserve");

	(void)context;
	if (r < 0)
		return r;
	do
		r = fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Locks of the open file description (fcntl(2), F_OFD_SETLK): unlike flock(2) they can be asked for
 * without being taken, so that a reader never gets into a recorder's way. */
static int system_lock(void *context, int file)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)context;
	return fcntl(file, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int system_is_locked(void *context, int file)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	(void)context;
	if (fcntl(file, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

static int system_list(
	void *context, int dir, int (*each)(void *data, const char *name), void *data)
{
	/* A description of its own, since fdopendir(3) takes it and moves its offset. */
	autoclose int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int r = 0;
	DIR *d;

	(void)context;
	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	take_fd(&fd);
	do {
		errno = 0;
		entry = readdir(d);
		if (!entry)
			r = -errno;
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = each(data, entry->d_name);
	} while (entry && r == 0);
	closedir(d);
	return r;
}

static const struct storage_ops system_ops = {
	.open = system_open,
	.close = system_close,
	.stat = system_stat,
	.read = system_read,
	.write = system_write,
	.sync = system_sync,
	.sync_dir = system_sync_dir,
	.rename = system_rename,
	.remove = system_remove,
	.truncate = system_truncate,
	.reserve = system_reserve,
	.lock = system_lock,
	.is_locked = system_is_locked,
	.list = system_list,
};

const struct storage storage_system = {.ops = &system_ops};

int storage_create(const struct storage *s, int dir, const char *name, int flags, unsigned mode)
{
	int r = s->ops->remove(s->context, dir, name);

	/* O_EXCL: neither a link to another file nor one that others have open is written to. */
	return r < 0 && r != -ENOENT
		       ? r
		       : s->ops->open(s->context, dir, name, flags | O_CREAT | O_EXCL, mode);
}

static int replace(const struct storage *s, int dir, const char *const names[2], unsigned mode,
	const void *data, size_t length)
{
	int file = storage_create(s, dir, names[0], O_WRONLY, mode), r;

	if (file < 0)
		return file;
	r = s->ops->write(s->context, file, data, length, 0);
	failpoint("replace.written");
	if (r == 0)
		r = s->ops->sync(s->context, file);
	s->ops->close(s->context, file);
	failpoint("replace.synced");
	if (r == 0)
		r = s->ops->rename(s->context, dir, names[0], names[1]);
	failpoint("replace.named");
	if (r == 0)
		r = s->ops->sync_dir(s->context, dir);
	return r;
}

int storage_replace(const struct storage *s, int dir, const char *name, unsigned mode,
	const void *data, size_t length)
{
	char temporary[NAME_MAX + 1];
	const char *const names[] = {temporary, name};

	if (snprintf(temporary, sizeof(temporary), "%s.new", name) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	return replace(s, dir, names, mode, data, length);
}

int storage_replace_alone(const struct storage *s, int dir, const char *name, unsigned mode,
	const void *data, size_t length)
{
	char temporary[NAME_MAX + 1];
	const char *const names[] = {temporary, name};
	uint32_t random[2];

	randombytes_buf(random, sizeof(random));
	if (snprintf(temporary, sizeof(temporary), "%s.%08x%08x.new", name, random[0], random[1]) >=
		(int)sizeof(temporary))
		return -ENAMETOOLONG;
	return replace(s, dir, names, mode, data, length);
}
