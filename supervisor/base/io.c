/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <fcntl.h>
#include <string.h>

int io_read_fd(int fd, const char *name, size_t limit_bytes, char **ret_data, size_t *ret_length,
	struct error *err)
{
	autofree char *data = NULL;
	size_t used = 0, capacity = 0;

	for (;;) {
		ssize_t n;

		if (used + 1 >= capacity) {
			size_t more = capacity ? capacity * 2 : 4096;
			char *grown = realloc(data, more);

			if (!grown)
				return error_errno(err, "read %s", name);
			data = grown;
			capacity = more;
		}
		n = read(fd, data + used, capacity - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "read %s", name);
		if (n == 0)
			break;
		used += (size_t)n;
		if (used > limit_bytes)
			return error_set(err, -EFBIG, ERROR_INPUT, "%s is larger than %zu bytes",
				name, limit_bytes);
	}
	data[used] = '\0';
	if (ret_length)
		*ret_length = used;
	*ret_data = take_ptr(&data);
	return 0;
}

int io_read_file(int dir_fd, const char *path, size_t limit_bytes, char **ret_data,
	size_t *ret_length, struct error *err)
{
	autoclose int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return error_errno(err, "open %s", path);
	return io_read_fd(fd, path, limit_bytes, ret_data, ret_length, err);
}

int io_write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length > 0) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

int io_write_file(int dir_fd, const char *path, const char *text, struct error *err)
{
	autoclose int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = strlen(text);
	ssize_t n;

	if (fd < 0)
		return error_errno(err, "open %s", path);
	do
		n = write(fd, text, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, "write %s", path);
	if ((size_t)n != length)
		return error_set(err, -EIO, ERROR_INTERNAL, "write %s: short write", path);
	return 0;
}

int io_read_exact(int fd, void *data, size_t length)
{
	char *at = data;

	while (length > 0) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		at += n;
		length -= (size_t)n;
	}
	return 0;
}
