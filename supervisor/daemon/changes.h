/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Change sets: what runs with a staged workspace wrote, kept until somebody commits it or rolls it
 * back. One directory each, STATE/changes/RUN/:
 *
 *   head      what the run began with; locked for as long as the run or a commit lasts
 *   manifest  what changed, written when the run is over
 *   journal   while a commit is under way
 *   layers/   the run's own: upper/, the upper directory of its overlay, and work/
 *
 * The workspace itself is changed by a commit alone, in three parts: copies are made in a reserved
 * directory of the workspace; the journal says that they are whole; each takes its place by one
 * rename(2) that can be taken back. Whatever ends a commit, the next one who opens the change set
 * finishes or undoes it. */

#include "base/error.h"
#include "base/text.h"
#include "wire/changes.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

#define CHANGES_DIRECTORY "changes"
#define CHANGES_LAYERS "layers"
/* Names that begin so are berm's own in a workspace: staging directories of commits. */
#define CHANGES_RESERVED ".berm-commit-"
#define CHANGES_RUN_MAX 64

struct changes_call {
	const char *word; /* "rename", "sync" … */
	int fd, to_fd;    /* what it is about; of names the directory; to_fd: of a rename alone */
	const char *name, *to; /* NULL where fd is the object itself */
	unsigned flags;
};

/* Asked before every call that changes a file system: negative, the call fails with it; more than
 * 0, it was done otherwise. For tests, which fail or end there, or take the power away. */
struct changes_disk {
	int (*before)(void *context, const struct changes_call *call);
	void *context;
};

/* How much may be looked at for one list. For tests, which cannot wait for what berm allows. */
struct changes_bounds {
	uint64_t names, name_bytes; /* read */
	int64_t cpu_ns;             /* of the processor's time */
};

struct change_set {
	const struct changes_disk *disk; /* borrowed; NULL: nobody is asked */
	char run[CHANGES_RUN_MAX];
	int parent_fd; /* STATE/changes */
	int fd;        /* of its own directory, locked (flock(2)) */
	int work_fd;   /* the workspace */
	dev_t work_dev;
	bool groups_dropped;
	bool dropping;      /* opened to be rolled back: what a commit left is undone */
	bool staging_made;  /* by the commit that goes on */
	bool committed;     /* what is left is to record it and changes_clean() */
	bool recorded;      /* that it was committed */
	bool keep_replaced; /* until the disk has the journal */
	const struct changes_bounds *bounds; /* borrowed; NULL: as much as berm allows */
	char stuck[256];                     /* why no commit can be made of it any more; else "" */
	Berm__Wire__ChangeHead *head;
	Berm__Wire__ChangeManifest *manifest;
};

#define CHANGE_SET_INIT                                                                            \
	{                                                                                          \
		.parent_fd = -1, .fd = -1, .work_fd = -1                                           \
	}

/* Open STATE/changes; made where create says so, else -ENOENT where nothing was ever staged. It has
 * to belong to the caller and to be closed to others. */
int changes_place(const char *state_dir, bool create, int *ret_fd, struct error *err) must_check;

/* Make a change set for a run that is about to begin: head is kept (the times are filled in), its
 * lock is held until change_set_finish(). upper_uid, upper_gid: who the overlay's directories are
 * to belong to. ret_set is initialised; its disk is used. Waits for the next tick of the file
 * systems' clock, so that what changed before the run and what changed during it never bear the
 * same time. */
int changes_begin(int place_fd, const Berm__Wire__ChangeHead *head, uid_t upper_uid,
	gid_t upper_gid, struct change_set *ret_set, struct error *err) must_check;
/* The run is over: write the manifest. A change set without changes is removed; *ret_empty then. */
int changes_seal(struct change_set *set, bool *ret_empty, struct error *err) must_check;

/* Open one: recovers a commit that was broken off, makes a manifest where the run's berm was
 * killed. -EWOULDBLOCK where the run goes on or somebody else works on it, -ENOENT (kind NOT_FOUND)
 * where there is none. Where recovery found the commit done, set->committed: nothing of it can be
 * looked at, and what is left is changes_clean(). run may be the beginning of an id. What cannot be
 * listed has set->stuck, and a manifest without changes. */
int changes_open(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err) must_check;
/* Open one to roll it back, whatever state it is in: it needs no manifest, and without a commit
 * that was broken off neither a head nor the workspace. head and manifest may be NULL. */
int changes_open_to_drop(int place_fd, const char *run, const struct changes_disk *disk,
	struct change_set *ret_set, struct error *err) must_check;
void change_set_finish(struct change_set *set);

/* What is in the way of a commit now, one line each, escaped. 0, or an error where that cannot be
 * told. */
int changes_conflicts(struct change_set *set, struct text *ret_lines, struct error *err) must_check;
/* All or nothing. -EBUSY (kind REFUSED) where something is in the way: the workspace is then as it
 * was. Afterwards set->committed: it is recorded, then changes_clean() is called. */
int changes_commit(struct change_set *set, struct error *err) must_check;
/* The next one who opens the change set need not record its commit. */
void changes_recorded(struct change_set *set);
/* Let go of what was staged: it is no change set any more. The workspace was never touched.
 * Afterwards changes_clean(). */
int changes_rollback(struct change_set *set, struct error *err) must_check;
/* After a commit or a rollback: remove what is not needed any more. What fails is tried again by
 * the next changes_open() or changes_list(); the commit or rollback is as done as without. */
int changes_clean(struct change_set *set, struct error *err) must_check;

/* Each change set's id in the order of their names; NULL-terminated, strings and array in one
 * allocation (caller frees). */
int changes_list(int place_fd, char ***ret_runs, struct error *err) must_check;

/* A new packed copy of a path; 0 or -ENOMEM. */
int changes_bytes(ProtobufCBinaryData *ret, const char *string) must_check;
void *changes_message_free(void *message);
/* "create", "modify" … */
const char *changes_kind_word(Berm__Wire__ChangeKind kind);
