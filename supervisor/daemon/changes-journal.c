/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/failpoint.h"
#include "daemon/changes-journal.h"
#include "daemon/changes-steps.h"

#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#define DEFAULT_ACL "system.posix_acl_default"

/* A commit from the first name in the workspace to the last, forward and back. Each phase of its
 * journal is written before the first step; from then on one rename(2) goes from phase to phase, so
 * that a disk that has become full in between keeps nobody from finishing or undoing it. */

#define BACK_TRIES 10
#define BACK_WAIT_NS 20000000L
#define JOURNAL_BACK CHANGES_JOURNAL ".back"
#define JOURNAL_DONE CHANGES_JOURNAL ".done"

static void staging_name(const struct change_set *set, char name[STAGING_BYTES])
{
	snprintf(name, STAGING_BYTES, CHANGES_RESERVED "%s", set->run);
}

/* With the owner's rights. -ENOENT where there is none. */
static int open_staging(struct change_set *set, struct error *err)
{
	char name[STAGING_BYTES];
	int r = owner_enter(set), fd;

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "become the owner of the workspace: %s",
			strerror(-r));
	staging_name(set, name);
	fd = beneath_open(set->work_fd, name, O_RDONLY | O_DIRECTORY);
	r = fd < 0 ? -errno : fd;
	owner_leave(set);
	if (r < 0 && r != -ENOENT)
		return error_set(
			err, r, ERROR_REFUSED, "open %s in the workspace: %s", name, strerror(-r));
	return r;
}

bool journal_staging_is_gone(struct change_set *set)
{
	struct error ignored = {0};
	autoclose int fd = open_staging(set, &ignored);

	return fd == -ENOENT;
}

static int remove_staging(struct change_set *set, struct error *err)
{
	char name[STAGING_BYTES];
	int r = owner_enter(set);

	staging_name(set, name);
	if (r == 0) {
		r = disk_remove_tree(set->disk, set->work_fd, name);
		owner_leave(set);
	}
	return r < 0 ? error_set(err, r, ERROR_REFUSED, "remove %s from the workspace: %s", name,
			       strerror(-r))
		     : 0;
}

int journal_forget_staging(struct change_set *set, struct error *err)
{
	int r = remove_staging(set, err);

	if (r < 0)
		return r;
	r = steps_sync_workspace(set);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "write the workspace to the disk: %s",
			       strerror(-r))
		     : 0;
}

/* Others who may write to the workspace could have made one of that name. */
static bool is_own_staging(const struct change_set *set, int fd)
{
	uid_t owner = geteuid() == 0 ? set->head->owner_uid : geteuid();
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == owner && (st.st_mode & 07777) == 0700;
}

/* Copies must not get a list that the workspace's own directory hands on: who may read what is
 * replaced would be another question afterwards. */
static int hand_nothing_on(int fd)
{
	if (fremovexattr(fd, DEFAULT_ACL) == 0 || errno == ENODATA || errno == ENOTSUP)
		return 0;
	return -errno;
}

int journal_make_staging(struct change_set *set, int *ret_fd, struct error *err)
{
	char name[STAGING_BYTES];
	int r = owner_enter(set);

	staging_name(set, name);
	if (r == 0) {
		r = disk_mkdir(set->disk, set->work_fd, name, 0700);
		set->staging_made = r == 0;
		owner_leave(set);
	}
	if (r < 0)
		return error_set(
			err, r, ERROR_REFUSED, "make %s in the workspace: %s", name, strerror(-r));
	r = open_staging(set, err);
	if (r == -ENOENT)
		return error_set(err, r, ERROR_REFUSED, "%s vanished", name);
	if (r >= 0 && !is_own_staging(set, r)) {
		close(r);
		return error_set(err, -EPERM, ERROR_REFUSED,
			"%s in the workspace is another directory than the one that was made",
			name);
	}
	if (r < 0)
		return r;
	*ret_fd = r;
	r = hand_nothing_on(r);
	if (r < 0) {
		own_close(ret_fd);
		return error_set(
			err, r, ERROR_REFUSED, "the access list of %s: %s", name, strerror(-r));
	}
	return 0;
}

int journal_new(const struct change_set *set, Berm__Wire__ChangeJournal **ret)
{
	Berm__Wire__ChangeJournal *journal = malloc(sizeof(*journal));

	*ret = journal;
	if (!journal)
		return -ENOMEM;
	berm__wire__change_journal__init(journal);
	journal->version = 1;
	journal->phase = BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_COPYING;
	journal->run = strdup(set->run);
	return journal->run ? 0 : -ENOMEM;
}

int journal_write(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	return changes_file_write(
		set->disk, set->fd, CHANGES_JOURNAL, CHANGES_JOURNAL, &journal->base, err);
}

int journal_write_all(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	static const struct {
		const char *name;
		Berm__Wire__ChangePhase phase;
	} phases[] = {
		{JOURNAL_BACK, BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK},
		{JOURNAL_DONE, BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_DONE},
		{CHANGES_JOURNAL, BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_FORWARD},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_size(phases); i++) {
		journal->phase = phases[i].phase;
		r = changes_file_write(
			set->disk, set->fd, phases[i].name, CHANGES_JOURNAL, &journal->base, err);
	}
	return r;
}

/* *ret_entered where other programs see the new phase; it may still be lost with the power then. */
static int enter(struct change_set *set, Berm__Wire__ChangeJournal *journal,
	Berm__Wire__ChangePhase phase, bool *ret_entered, struct error *err)
{
	bool back = phase == BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK;
	int r = disk_rename(set->disk, set->fd, back ? JOURNAL_BACK : JOURNAL_DONE, set->fd,
		CHANGES_JOURNAL, 0);

	*ret_entered = r == 0;
	journal->phase = phase;
	if (r == 0)
		r = disk_sync(set->disk, set->fd);
	else if (r == -ENOENT) /* somebody took it away: one that needs room has to do */
		return journal_write(set, journal, err);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "write the change set's journal: %s",
			       strerror(-r))
		     : 0;
}

int journal_forget(struct change_set *set, struct error *err)
{
	static const char *const names[] = {JOURNAL_BACK, JOURNAL_DONE, CHANGES_JOURNAL};
	int r = 0;

	for (size_t i = 0; r == 0 && i < array_size(names); i++) {
		r = disk_unlink(set->disk, set->fd, names[i], 0);
		r = r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		r = disk_sync(set->disk, set->fd);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "remove the journal: %s", strerror(-r))
		     : 0;
}

bool journal_is_recorded(const struct change_set *set)
{
	return faccessat(set->fd, JOURNAL_BACK, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

void changes_recorded(struct change_set *set)
{
	(void)!disk_unlink(set->disk, set->fd, JOURNAL_BACK, 0);
}

/* Undo what is done; the journal goes last. */
int journal_back(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	struct steps steps = {.set = set, .journal = journal, .err = err};
	bool entered;
	int r = 0, staging;

	if (journal->phase != BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK)
		r = enter(set, journal, BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK, &entered, err);
	if (r < 0)
		return r;
	staging = open_staging(set, err);
	if (staging < 0 && staging != -ENOENT)
		return staging;
	if (staging >= 0) {
		steps.staging_fd = staging;
		r = steps_back(&steps);
		close(staging);
		if (r < 0)
			return r;
	}
	/* Renames there and back gave what was replaced another ctime. */
	if (!set->dropping)
		r = changes_renew(set, err);
	if (r == 0)
		r = journal_forget_staging(set, err);
	return r < 0 ? r : journal_forget(set, err);
}

int journal_forward(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	struct steps steps = {.set = set, .journal = journal, .err = err};
	struct error why, undone = {0};
	bool entered = false;
	int r = open_staging(set, err);

	if (r == -ENOENT)
		return error_set(err, r, ERROR_REFUSED, JOURNAL_STUCK);
	if (r < 0)
		return r;
	steps.staging_fd = r;
	r = steps_forward(&steps);
	failpoint("changes.forward");
	own_close(&steps.staging_fd);
	if (r == 0)
		r = enter(set, journal, BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_DONE, &entered, err);
	failpoint("changes.done");
	/* Where the disk may not have it yet, what was replaced is kept until it has. */
	set->committed = entered;
	set->keep_replaced = entered && r < 0;
	if (r == 0 || entered)
		return 0;
	why = *err;
	/* Somebody who is at work in it may be in the way for a moment. */
	for (int i = 0; i < BACK_TRIES && (i == 0 || undone.code); i++) {
		if (i)
			nanosleep(&(struct timespec){.tv_nsec = BACK_WAIT_NS}, NULL);
		undone.code = journal_back(set, journal, &undone);
	}
	if (undone.code)
		return error_set(err, undone.code, ERROR_INTERNAL,
			"the commit failed; and what was done so far could not be undone: %.200s",
			undone.text);
	*err = why;
	return r;
}
