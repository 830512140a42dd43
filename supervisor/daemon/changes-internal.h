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
/* Also by a descriptor that was opened with O_PATH. */
int disk_chmod(const struct changes_disk *d, int fd, mode_t mode) must_check;
int disk_sync(const struct changes_disk *d, int fd) must_check;
/* All of the file system (syncfs(2)). */
int disk_sync_all(const struct changes_disk *d, int fd) must_check;
int disk_write(const struct changes_disk *d, int fd, const void *data, size_t length) must_check;
/* Copy the data of a file, holes stay holes. */
int disk_copy(const struct changes_disk *d, int from, int to, uint64_t size) must_check;
/* openat2(2) beneath dir: no link, no other file system. -1 and errno. */
int beneath_open(int dir, const char *path, int flags);
/* The parent of a path beneath dir; *ret_name (borrowed) is its last component. */
int beneath_parent(int dir, const char *path, const char **ret_name);

/* ---- changes-remove.c ---- */

/* Open a directory beneath dir although its mode closes it even to its owner: S_IRWXU is added
 * first, by a descriptor. *ret is what it was before. The descriptor, or -errno. */
int changes_open_closed(
	const struct changes_disk *d, int dir, const char *name, struct stat *ret) must_check;
/* Remove a name and all beneath it, by descriptors, following nothing, crossing no mount. 0 also
 * where it is not there. */
int disk_remove_tree(const struct changes_disk *d, int dir, const char *name) must_check;

/* ---- changes-file.c ---- */

/* Pack, put a checksum before it, replace the file of that name durably. what: the name that it is
 * to be read by. */
int changes_file_write(const struct changes_disk *d, int dir, const char *name, const char *what,
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

/* ---- changes-names.c ---- */

struct changes_names {
	char **items; /* in order */
	size_t count, capacity;
};

/* What is left for one walk through many directories: names, bytes of them, which are held while it
 * is deep down, and how much of the processor's time the process may have used when it is over. */
struct changes_room {
	uint64_t names, bytes;
	int64_t until_ns;
};

struct changes_room changes_room(const struct change_set *set);
bool changes_has_time(const struct changes_room *room);

/* The names of a directory. Takes fd. room: what is left, which they take of; NULL: as much as one
 * directory may take. -EFBIG where they are too many to be kept. Release names in any case. */
int changes_names_read(int fd, struct changes_room *room, struct changes_names *names) must_check;
void changes_names_finish(struct changes_names *names);

/* ---- changes-overlay.c ---- */

/* The value of an overlay attribute: 'y', 'x' … or 0 where it is not set; -errno. Others than berm
 * knows are -EBADMSG. */
int changes_opaque(int fd);
/* Whether a directory of the upper directory is the copy of one that was beneath it. */
bool changes_was_there(int dir, const char *name);
/* Why a name of the upper directory cannot be looked at, or is none that berm knows, from such an
 * answer; static words, or NULL. */
const char *changes_trouble(int r);

/* ---- changes-view.c ---- */

struct changes_entry;

/* One side of a name, the workspace's with its owner's rights. A descriptor, or -errno. */
int changes_open_side(
	struct change_set *set, const struct changes_entry *entry, bool old, int flags) must_check;

/* Opened for writing and left as it was, or written back: no change. Of what is larger than 256 MiB
 * that is not looked for. */
bool changes_is_untouched(struct change_set *set, const struct changes_entry *entry);

/* ---- changes-guards.c ---- */

/* *ret_pattern: what of the profile forbids that a commit touches a path beneath the workspace, or
 * the beginning of berm's own names, else NULL. whole: all beneath it is touched, too. 0 or
 * -ENOMEM.
 */
int changes_guarded(const Berm__Wire__ChangeHead *head, const char *path, bool whole,
	const char **ret_pattern) must_check;
/* The same for all that lies beneath the directory dir/(last of path), by patterns. */
int changes_guarded_beneath(const Berm__Wire__ChangeHead *head, int dir, const char *path,
	const char **ret_pattern) must_check;

/* Whether a placeholder kept this path for the run. */
bool changes_is_reserved(const Berm__Wire__ChangeHead *head, const char *path);

/* ---- changes-renames.c ---- */

/* 1: the same, 0: not, or it cannot be told. */
int changes_same_content(
	int dir, const char *name, int other_dir, const char *other, uint64_t size);
/* Fill in where new files came from. 0 or -ENOMEM. */
int changes_find_renames(
	struct change_set *set, Berm__Wire__ChangeManifest *m, int upper) must_check;

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

/* Finish or undo what a commit left; undo it where set->dropping. set->committed: it is committed,
 * and to be recorded and cleaned up. */
int changes_recover(struct change_set *set, struct error *err) must_check;

/* ---- changes.c ---- */

/* One commit or recovery at a time among all of a place. */
int changes_lock(struct change_set *set, struct error *err) must_check;
void changes_unlock(struct change_set *set);
/* It is no change set any more, durably; what it held is removed by changes_remove_gone(). */
int changes_let_go(struct change_set *set, struct error *err) must_check;
int changes_remove_gone(struct change_set *set, struct error *err) must_check;
/* After an undone commit: objects that are the same but for their ctime are taken as they are now.
 */
int changes_renew(struct change_set *set, struct error *err) must_check;
/* head->workspace, if it is still the directory that the run had; opened once. */
int changes_open_workspace(struct change_set *set, struct error *err) must_check;
