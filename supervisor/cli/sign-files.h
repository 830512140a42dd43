/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/minisign.h"

/* The files of keys and signatures of `berm profile sign` and `verify`. */

#define SIGN_KEYS_DIRECTORY "/etc/berm/trusted-keys"
#define SIGN_KEYS_MAX 256

/* The text of a small regular file (caller frees). -ENOENT where there is none. */
int sign_read(const char *path, char **ret_text, size_t *ret_length, struct error *err) must_check;
/* The secret key in a file of the caller's or root's that nobody else can use, in memory that is
 * never swapped out nor dumped; sodium_free() it, which wipes it. */
int sign_read_secret(
	const char *path, struct minisign_secret **ret_secret, struct error *err) must_check;
/* Draw a key: path (0600) and path.pub; neither may be there. */
int sign_new_key(const char *path, struct minisign_key *ret_key, struct error *err) must_check;
/* The text of a signature by that key. -EBADMSG: the key's halves do not belong together. */
int sign_make(const struct minisign_secret *secret, const void *data, size_t length,
	const char *comment, struct text *out, struct error *err) must_check;
/* Write a file in one step, in the place of what may be there. */
int sign_write(const char *path, const struct text *text, struct error *err) must_check;
/* The keys of every *.pub in a directory that nobody but root and uid can change, in a new array
 * (caller frees). -ENOENT where the directory is not there. */
int sign_trusted_keys(const char *directory, uid_t uid, struct minisign_key **ret_keys,
	size_t *ret_count, struct error *err) must_check;
/* What the profile in these bytes calls itself (caller frees); NULL where it is no profile. */
char *sign_profile_name(const char *path, const char *data, size_t length);
