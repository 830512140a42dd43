/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Read a whole file of at most limit_bytes into a new NUL-terminated buffer (caller frees).
 * Regular files and pipes; -EFBIG over the limit, -EISDIR for a directory. ret_length may be NULL.
 */
int io_read_file(int dir_fd, const char *path, size_t limit_bytes, char **ret_data,
	size_t *ret_length, struct error *err) must_check;
/* The same from an open descriptor, from its current offset. name is used in messages only. */
int io_read_fd(int fd, const char *name, size_t limit_bytes, char **ret_data, size_t *ret_length,
	struct error *err) must_check;
/* Write all bytes, through EINTR and short writes. */
int io_write_all(int fd, const void *data, size_t length) must_check;
/* Open, write the whole string in one write(2), close: for procfs, sysfs and cgroupfs files. */
int io_write_file(int dir_fd, const char *path, const char *text, struct error *err) must_check;
/* Read exactly length bytes; -EPIPE at end of file, since a peer that dies must never read as
 * success. */
int io_read_exact(int fd, void *data, size_t length) must_check;
