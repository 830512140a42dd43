/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of change sets share. */

#include "daemon/changes.h"

#include <fcntl.h>
#include <sys/stat.h>

#define CHANGES_UPPER CHANGES_LAYERS "/upper"
#define CHANGES_WORK CHANGES_LAYERS "/work"
#define CHANGES_HEAD "head"
#define CHANGES_MANIFEST "manifest"
#define CHANGES_JOURNAL "journal"
#define CHANGES_DEPTH_MAX 128
#define CHANGES_XATTR_PREFIX "user.overlay."

/* ---- changes-disk.c: every call that changes a file system ---- */

int disk_mkdir(const struct changes_disk *d, int dir, const char *name, mode_t mode) must_check;
int disk_create(const struct changes_disk *d, int dir, const char *name, mode_t mode) must_check;
int disk_symlink(
	const struct changes_disk *d, const char *to, int dir, const char *name) must_check;
int disk_rename(const struct changes_disk *d, int from_dir, const char *from, int to_dir,
	const char *to, unsigned flags) must_check;
int disk_unlink(const struct changes_disk *d, int dir, const char *name, int flags) must_check;
int disk_chmod(const struct changes_disk *d, int fd, mode_t mode) must_check;
int disk_sync(const struct changes_disk *d, int fd) must_check;
/* All of the file system (syncfs(2)). */
int disk_sync_all(const struct changes_disk *d, int fd) must_check;
int disk_write(const struct changes_disk *d, int fd, const void *data, size_t length) must_check;
/* Copy the data of a file, holes stay holes. */
int disk_copy(const struct changes_disk *d, int from, int to, uint64_t size) must_check;
/* Remove a name and all beneath it, by descriptors, following nothing, crossing no mount. */
int disk_remove_tree(const struct changes_disk *d, int dir, const char *name) must_check;
/* openat2(2) beneath dir: no link, no other file system. -1 and errno. */
int beneath_open(int dir, const char *path, int flags);
/* The parent of a path beneath dir; *ret_name (borrowed) is its last component. */
int beneath_parent(int dir, const char *path, const char **ret_name);

/* ---- changes-file.c ---- */

/* Pack, put a checksum before it, replace the file of that name durably. */
int changes_file_write(const struct changes_disk *d, int dir, const char *name,
	const ProtobufCMessage *message, struct error *err) must_check;
/* *ret is NULL where there is no such file. Anything that is not exactly what was written is an
 * error. */
int changes_file_read(int dir, const char *name, const ProtobufCMessageDescriptor *descriptor,
	ProtobufCMessage **ret, struct error *err) must_check;
/* As a string: what changes_bytes() made ends with a NUL beyond its length; paths that were read
 * are checked for one when they are read. */
const char *changes_path(const ProtobufCBinaryData *bytes);

/* ---- changes-identity.c ---- */

void identity_from(const struct stat *st, Berm__Wire__ChangeIdentity *ret);
Berm__Wire__ChangeIdentity *identity_new(const struct stat *st) must_check;
/* After a rename of the object its ctime differs: moved leaves it out. */
bool identity_same(const Berm__Wire__ChangeIdentity *identity, const struct stat *st, bool moved);
#define IDENTITY_TREE_BYTES 32
/* Digest over names and identities of all beneath a directory; *ret_newest is the latest ctime in
 * it. */
int identity_tree(int dir, const char *name, unsigned char digest[IDENTITY_TREE_BYTES],
	int64_t *ret_newest_ns, uint64_t *ret_entries, struct error *err) must_check;
/* 0 where dir/name is what identity says (NULL: nothing is there), else why not, in *ret_why
 * (static words). */
int identity_check(int dir, const char *name, const Berm__Wire__ChangeIdentity *identity,
	bool moved, const char **ret_why, struct error *err) must_check;
int64_t stat_ctime_ns(const struct stat *st);

/* ---- changes-scan.c ---- */

/* What the upper directory says, as a manifest. */
int changes_scan(
	struct change_set *set, Berm__Wire__ChangeManifest **ret, struct error *err) must_check;
/* The value of an overlay attribute: 'y', 'x' … or 0 where it is not set; -errno. Others than berm
 * knows are -EBADMSG. */
int changes_opaque(int fd);

/* ---- changes-owner.c ---- */

/* Between the two the file system sees the workspace's owner, where root works for somebody else.
 */
int owner_enter(struct change_set *set) must_check;
void owner_leave(const struct change_set *set);

/* ---- changes-stage.c ---- */

/* Make what is to come as S/name in the staging directory, durably. */
int changes_stage(struct change_set *set, int staging_fd, const char *name,
	const Berm__Wire__Change *change, struct error *err) must_check;

/* ---- changes-commit.c ---- */

/* Finish or undo what a commit left. *ret_done: it is committed and the change set is gone. */
int changes_recover(struct change_set *set, bool *ret_done, struct error *err) must_check;
/* Remove the change set's own directory. */
int changes_remove(struct change_set *set, struct error *err) must_check;
/* After an undone commit: objects that are the same but for their ctime are taken as they are now.
 */
int changes_renew(struct change_set *set, struct error *err) must_check;
/* head->workspace, if it is still the directory that the run had; opened once. */
int changes_open_workspace(struct change_set *set, struct error *err) must_check;
