/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "daemon/changes-steps.h"

#include <string.h>

#define STUCK                                                                                      \
	"what a commit that was broken off had put into the workspace is gone: nothing can be "    \
	"done any more but a rollback, and the workspace is as somebody left it"

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

static bool staging_is_gone(struct change_set *set)
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

/* Durably: nobody looks for it once the journal, or the change set, is gone. */
static int forget_staging(struct change_set *set, struct error *err)
{
	int r = remove_staging(set, err);

	if (r < 0)
		return r;
	r = steps_sync_workspace(set);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "write the workspace to the disk: %s",
			       strerror(-r))
		     : 0;
}

static int make_staging(struct change_set *set, int *ret_fd, struct error *err)
{
	char name[STAGING_BYTES];
	int r = owner_enter(set);

	staging_name(set, name);
	if (r == 0) {
		r = disk_mkdir(set->disk, set->work_fd, name, 0700);
		owner_leave(set);
	}
	if (r < 0)
		return error_set(
			err, r, ERROR_REFUSED, "make %s in the workspace: %s", name, strerror(-r));
	r = open_staging(set, err);
	if (r == -ENOENT)
		return error_set(err, r, ERROR_REFUSED, "%s vanished", name);
	*ret_fd = r;
	return r < 0 ? r : 0;
}

static int write_journal(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	return changes_file_write(set->disk, set->fd, CHANGES_JOURNAL, &journal->base, err);
}

/* Undo what is done; the journal goes last. */
static int go_back(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	struct steps steps = {.set = set, .journal = journal, .err = err};
	int r, staging;

	if (journal->phase != BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK) {
		journal->phase = BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK;
		r = write_journal(set, journal, err);
		if (r < 0)
			return r;
	}
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
	r = changes_renew(set, err);
	if (r == 0)
		r = forget_staging(set, err);
	if (r < 0)
		return r;
	r = disk_unlink(set->disk, set->fd, CHANGES_JOURNAL, 0);
	if (r == 0)
		r = disk_sync(set->disk, set->fd);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "remove the journal: %s", strerror(-r))
		     : 0;
}

static int is_done(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	int r;

	if (journal->phase != BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_DONE) {
		journal->phase = BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_DONE;
		r = write_journal(set, journal, err);
		if (r < 0)
			return r;
	}
	r = forget_staging(set, err);
	return r < 0 ? r : changes_remove(set, err);
}

/* The journal says that all is staged. A failure of a step takes back those before it; a failure to
 * take back leaves the journal, for the next one. */
static int go_forward(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	struct steps steps = {.set = set, .journal = journal, .err = err};
	struct error why, back = {0};
	int r = open_staging(set, err);

	if (r == -ENOENT)
		return error_set(err, r, ERROR_REFUSED, STUCK);
	if (r < 0)
		return r;
	steps.staging_fd = r;
	r = steps_forward(&steps);
	own_close(&steps.staging_fd);
	if (r == 0)
		return is_done(set, journal, err);
	why = *err;
	if (go_back(set, journal, &back) < 0)
		return error_set(err, back.code, back.kind,
			"%s; and what was done so far could "
			"not be undone: %.200s",
			"the commit failed", back.text);
	*err = why;
	return r;
}

static Berm__Wire__ChangeStep *new_step(const Berm__Wire__Change *change)
{
	Berm__Wire__ChangeStep *step = malloc(sizeof(*step));

	if (!step)
		return NULL;
	berm__wire__change_step__init(step);
	step->kind = change->kind;
	if (changes_bytes(&step->path, changes_path(&change->path)) < 0)
		return step;
	if (change->staged)
		step->mode = change->staged->mode;
	if (change->old) {
		size_t length = berm__wire__change_identity__get_packed_size(change->old);
		autofree uint8_t *packed = malloc(length + 1);

		if (packed) {
			berm__wire__change_identity__pack(change->old, packed);
			step->old = berm__wire__change_identity__unpack(NULL, length, packed);
		}
	}
	return step;
}

static bool step_is_whole(const Berm__Wire__ChangeStep *step, const Berm__Wire__Change *change)
{
	return step && step->path.len && (step->old || !change->old);
}

static int stage_one(struct change_set *set, int staging, size_t index,
	const Berm__Wire__Change *change, Berm__Wire__ChangeStep *step, struct error *err)
{
	char name[STEP_NAME_BYTES];
	struct stat st;
	int r;

	if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_DELETE ||
		change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES)
		return 0;
	snprintf(name, sizeof(name), "%zu", index);
	r = changes_stage(set, staging, name, change, err);
	if (r < 0)
		return r;
	if (fstatat(staging, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_errno(err, "look at a copy");
	step->staged_dev = st.st_dev;
	step->staged_ino = st.st_ino;
	return 0;
}

static int stage_all(
	struct change_set *set, int staging, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	const Berm__Wire__ChangeManifest *m = set->manifest;
	int r = 0;

	journal->steps = calloc(m->n_changes + 1, sizeof(*journal->steps));
	if (!journal->steps)
		return error_errno(err, "the journal");
	for (size_t i = 0; r == 0 && i < m->n_changes; i++) {
		const Berm__Wire__Change *change = m->changes[i];
		Berm__Wire__ChangeStep *step;

		if (change->kind == BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT)
			continue;
		step = new_step(change);
		if (step)
			journal->steps[journal->n_steps++] = step;
		if (!step_is_whole(step, change))
			return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
		r = stage_one(set, staging, journal->n_steps - 1, change, step, err);
	}
	if (r == 0)
		r = disk_sync(set->disk, staging);
	if (r == 0)
		r = steps_sync_workspace(set);
	if (r < 0 && !err->code)
		error_set(err, r, ERROR_INTERNAL, "write the copies: %s", strerror(-r));
	return r;
}

static int commit(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	autoclose int staging = -1;
	struct error ignored = {0};
	int r = make_staging(set, &staging, err);

	if (r < 0)
		return r;
	r = stage_all(set, staging, journal, err);
	if (r == 0) {
		journal->phase = BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_FORWARD;
		r = write_journal(set, journal, err);
	}
	if (r == 0)
		return go_forward(set, journal, err);
	/* The journal may have got its name although its directory could not be synced: as long as
	 * it is there the copies are needed. What is left is for the next one. */
	if (disk_unlink(set->disk, set->fd, CHANGES_JOURNAL, 0) == 0 ||
		faccessat(set->fd, CHANGES_JOURNAL, F_OK, 0) < 0)
		(void)!remove_staging(set, &ignored);
	return r;
}

int changes_commit(struct change_set *set, struct error *err)
{
	autotext struct text lines = {0};
	Berm__Wire__ChangeJournal *journal;
	int r = changes_conflicts(set, &lines, err);

	if (r < 0)
		return r;
	if (lines.failed || lines.length)
		return error_set(err, -EBUSY, ERROR_REFUSED, "something is in the way: %.*s",
			(int)strcspn(text_string(&lines), "\n"), text_string(&lines));
	journal = malloc(sizeof(*journal));
	if (!journal)
		return error_errno(err, "the journal");
	berm__wire__change_journal__init(journal);
	journal->version = 1;
	journal->run = strdup(set->run);
	r = journal->run ? commit(set, journal, err)
			 : error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	changes_message_free(journal);
	return r;
}

int changes_recover(struct change_set *set, bool *ret_done, struct error *err)
{
	ProtobufCMessage *message = NULL;
	Berm__Wire__ChangeJournal *journal;
	struct error opened = {0};
	int r = changes_file_read(
		set->fd, CHANGES_JOURNAL, &berm__wire__change_journal__descriptor, &message, err);

	*ret_done = false;
	if (r < 0)
		return r;
	journal = (Berm__Wire__ChangeJournal *)message;
	r = changes_open_workspace(set, &opened);
	if (r < 0) {
		/* Without a journal the workspace is not needed to look at what was staged. */
		if (journal)
			*err = opened;
		changes_message_free(journal);
		return journal ? r : 0;
	}
	if (!journal)
		return remove_staging(set, err);
	if (journal->version != 1 || strcmp(journal->run, set->run) != 0) {
		r = error_set(err, -EBADMSG, ERROR_INTERNAL, "the journal is another change set's");
	} else if (journal->phase == BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_FORWARD) {
		r = go_forward(set, journal, err);
		*ret_done = r == 0;
		if (r == -ENOENT && staging_is_gone(set)) {
			set->stuck = STUCK;
			r = 0;
		}
		/* It could not be finished, and nothing of it is left. */
		if (r < 0 && faccessat(set->fd, CHANGES_JOURNAL, F_OK, 0) < 0)
			r = 0;
	} else if (journal->phase == BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK) {
		r = go_back(set, journal, err);
	} else {
		r = is_done(set, journal, err);
		*ret_done = r == 0;
	}
	changes_message_free(journal);
	return r;
}
