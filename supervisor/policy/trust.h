/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/arena.h"
#include "policy/diagnostics.h"

#include <sys/types.h>

/* True where a file of that owner may be read: the owner is root or trusted_uid. */
bool trust_owner(uid_t owner, uid_t trusted_uid);

/* 0 where nobody but root and trusted_uid can make the absolute path lead elsewhere: each directory
 * and each symbolic link on the way, also those that a link leads through, is theirs, and no
 * directory is writable by others but a sticky one. Nothing is said about the file at its end. In a
 * user namespace as trust_read(). -EPERM; as lstat(2). */
int trust_way(const char *path, uid_t trusted_uid, struct error *err) must_check;

/* Read a profile file that nobody but root and trusted_uid can change: a regular file of theirs,
 * not writable by group or others, in directories that are (up to /) theirs and not writable by
 * others either, or sticky. A symbolic link on the way is followed when it is theirs. In a user
 * namespace the owners that it does not know count as root, since root's own files look like that
 * there. ret_linked: the last component of path is a symbolic link. Errors, all with text: -ENOENT;
 * -EPERM for a file that others can change; -EFBIG; else as open(2). */
int trust_read(struct arena *arena, const char *path, uid_t trusted_uid,
	struct source_file **ret_file, bool *ret_linked, struct error *err) must_check;

/* Open a program that is to be executed with this process's rights: a regular file at an absolute
 * path without links, that nobody but root and trusted_uid can change or put another one in the
 * place of; rules as trust_read(). A descriptor (O_PATH) that the caller owns, or, with text:
 * -ELOOP for a link on the way, -EPERM for what others can change, -EINVAL for no regular file,
 * else as open(2). */
int trust_program(const char *path, uid_t trusted_uid, struct error *err) must_check;
