/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <string.h>
#include <sys/xattr.h>

/* What the kernel's overlay says of a name by attributes (fs/overlayfs/overlayfs.h). */

#define XATTR_LIST_BYTES 65536

int changes_opaque(int fd)
{
	static const char *const known[] = {
		"opaque", "origin", "impure", "nlink", "uuid", "upper", "protattr"};
	autofree char *list = malloc(XATTR_LIST_BYTES);
	ssize_t length = list ? flistxattr(fd, list, XATTR_LIST_BYTES) : -1;
	char value = 0;

	if (length < 0)
		return list && errno == ENOTSUP ? 0 : -errno;
	for (const char *at = list; at < list + length; at += strlen(at) + 1) {
		const char *name = at + strlen(CHANGES_XATTR_PREFIX);
		bool found = false;

		if (strncmp(at, CHANGES_XATTR_PREFIX, strlen(CHANGES_XATTR_PREFIX)) != 0)
			continue;
		/* The tool's own of that name: the kernel escapes them, and lets nobody set others
		 * through the overlay. */
		found = strncmp(name, "overlay.", strlen("overlay.")) == 0;
		for (size_t i = 0; i < array_size(known) && !found; i++)
			found = strcmp(name, known[i]) == 0;
		if (!found)
			return -EBADMSG;
		if (strcmp(name, "opaque") == 0 && fgetxattr(fd, at, &value, 1) < 0)
			return -errno;
	}
	return value;
}

bool changes_was_there(int dir, const char *name)
{
	autoclose int fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY);

	return fd >= 0 && fgetxattr(fd, CHANGES_XATTR_PREFIX "origin", NULL, 0) >= 0;
}

const char *changes_trouble(int r)
{
	static const struct {
		int code;
		const char *words;
	} rows[] = {
		{-EACCES, "its mode keeps its owner from reading it"},
		{-EBADMSG, "it has an attribute of the overlay that berm does not know"},
		{-E2BIG, "it has more attributes than can be looked at"},
	};

	for (size_t i = 0; r < 0 && i < array_size(rows); i++)
		if (rows[i].code == r)
			return rows[i].words;
	return r < 0 ? "it cannot be looked at" : NULL;
}
