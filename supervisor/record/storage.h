/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All that the recorder asks of a disk, so that tests can take its place (tests/support/
 * fake-disk.h). Handles are descriptors in the real one. Everything returns 0 (or a count, or a
 * handle) or a negative errno; EINTR and short transfers are dealt with beneath. */
struct storage_stat {
	uint64_t size;
	uint32_t mode;
	uint32_t uid;
	uint32_t links; /* 0: its name is gone */
};

struct storage_ops {
	/* flags as of openat(2); O_CLOEXEC and O_NOFOLLOW are added. */
	int (*open)(void *context, int dir, const char *name, int flags, unsigned mode);
	void (*close)(void *context, int file);
	/* -EINVAL where it is not a regular file. */
	int (*stat)(void *context, int file, struct storage_stat *ret_stat);
	/* Up to length bytes; less only at the end of the file. */
	ssize_t (*read)(void *context, int file, void *data, size_t length, uint64_t offset);
	/* All of it, or an error after which any part may be written. */
	int (*write)(void *context, int file, const void *data, size_t length, uint64_t offset);
	/* Content and size of a file to the disk (fdatasync(2)). A failure is final: the kernel may
	 * forget what it could not write, and a second call then succeeds. */
	int (*sync)(void *context, int file);
	/* Names of a directory to the disk. */
	int (*sync_dir)(void *context, int dir);
	int (*rename)(void *context, int dir, const char *from, const char *to);
	int (*remove)(void *context, int dir, const char *name);
	int (*truncate)(void *context, int file, uint64_t size);
	/* Blocks for that range, beyond the end of the file too, without making it longer;
	 * -EOPNOTSUPP where the file system cannot. */
	int (*reserve)(void *context, int file, uint64_t offset, uint64_t length);
	/* Keep others out until the handle is closed; -EWOULDBLOCK where another one does. */
	int (*lock)(void *context, int file);
	/* 1 where another handle has that lock, 0 where none has; takes nothing itself. */
	int (*is_locked)(void *context, int file);
	/* Each name in the directory, in no order; stops at the first error of the callback. */
	int (*list)(void *context, int dir, int (*each)(void *data, const char *name), void *data);
};

struct storage {
	const struct storage_ops *ops;
	void *context; /* borrowed; unused by the real one */
};

/* What open() or stat() say of a name that is a link, a directory, a socket, a pipe or a device. */
static inline bool storage_is_no_file(int error)
{
	return error == -ELOOP || error == -EISDIR || error == -ENXIO || error == -ENODEV ||
	       error == -EINVAL;
}

/* The system calls themselves. */
extern const struct storage storage_system;

/* Make a new file under a name that nobody may need any more: what bears it, of whatever kind, is
 * taken away first. Returns a handle. */
int storage_create(
	const struct storage *s, int dir, const char *name, int flags, unsigned mode) must_check;
/* Make a file under a temporary name, full of these bytes, and give it its name when it is on the
 * disk: after a power loss it is there whole or as it was before. */
int storage_replace(const struct storage *s, int dir, const char *name, unsigned mode,
	const void *data, size_t length) must_check;
/* The same where others may do it at that moment too: the last one's stays, whole. What a killed
 * one left has a name of its own, which ends in ".new" and which nothing takes away. */
int storage_replace_alone(const struct storage *s, int dir, const char *name, unsigned mode,
	const void *data, size_t length) must_check;
