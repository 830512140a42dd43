/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include "base/failpoint.h"
#include "daemon/changes-journal.h"
#include "daemon/changes-steps.h"

#include <string.h>

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

/* Nothing but the staging directory is in the workspace. What cannot be taken away now is for the
 * next one. */
static void give_up(struct change_set *set, Berm__Wire__ChangeJournal *journal)
{
	struct error ignored = {0};

	/* The journal may have got its name although its directory could not be synced. */
	if (journal->phase == BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_FORWARD)
		(void)!journal_back(set, journal, &ignored);
	else if (!set->staging_made || journal_forget_staging(set, &ignored) == 0)
		(void)!journal_forget(set, &ignored);
}

static int commit(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	autoclose int staging = -1;
	int r = journal_write(set, journal, err);

	failpoint("changes.begun");
	if (r == 0)
		r = journal_make_staging(set, &staging, err);
	failpoint("changes.copying");
	if (r == 0)
		r = stage_all(set, staging, journal, err);
	failpoint("changes.copied");
	if (r == 0)
		r = journal_write_all(set, journal, err);
	failpoint("changes.decided");
	if (r == 0)
		return journal_forward(set, journal, err);
	give_up(set, journal);
	return r;
}

static int commit_locked(struct change_set *set, struct error *err)
{
	autotext struct text lines = {0};
	Berm__Wire__ChangeJournal *journal = NULL;
	int r = changes_conflicts(set, &lines, err);

	if (r < 0)
		return r;
	if (lines.failed || lines.length)
		return error_set(err, -EBUSY, ERROR_REFUSED, "something is in the way: %.*s",
			(int)strcspn(text_string(&lines), "\n"), text_string(&lines));
	r = journal_new(set, &journal);
	r = r < 0 ? error_set(err, r, ERROR_INTERNAL, "out of memory") : commit(set, journal, err);
	changes_message_free(journal);
	return r;
}

int changes_commit(struct change_set *set, struct error *err)
{
	int r = changes_lock(set, err);

	if (r < 0)
		return r;
	r = commit_locked(set, err);
	changes_unlock(set);
	return r;
}

int changes_clean(struct change_set *set, struct error *err)
{
	int r = 0;

	if (set->committed && set->keep_replaced)
		return error_set(err, -EIO, ERROR_INTERNAL,
			"the disk does not take the journal: what was replaced is kept");
	if (set->committed)
		r = journal_forget_staging(set, err);
	failpoint("changes.cleaned");
	if (r == 0 && set->committed)
		r = changes_let_go(set, err);
	return r < 0 ? r : changes_remove_gone(set, err);
}

static int recover_forward(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	int r = journal_forward(set, journal, err);

	if (r == -ENOENT && journal_staging_is_gone(set)) {
		snprintf(set->stuck, sizeof(set->stuck), "%s", JOURNAL_STUCK);
		return 0;
	}
	/* It could not be finished, and nothing of it is left. */
	return r < 0 && faccessat(set->fd, CHANGES_JOURNAL, F_OK, 0) < 0 ? 0 : r;
}

static int recover_copying(struct change_set *set, struct error *err)
{
	int r = journal_forget_staging(set, err);

	return r < 0 ? r : journal_forget(set, err);
}

static int recover(struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err)
{
	if (journal->version != 1 || strcmp(journal->run, set->run) != 0)
		return error_set(
			err, -EBADMSG, ERROR_INTERNAL, "the journal is another change set's");
	switch (journal->phase) {
	case BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_COPYING:
		return recover_copying(set, err);
	case BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_FORWARD:
		return set->dropping ? journal_back(set, journal, err)
				     : recover_forward(set, journal, err);
	case BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_BACK:
		return journal_back(set, journal, err);
	case BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_DONE:
		set->committed = true;
		return disk_sync(set->disk, set->fd);
	case BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_UNSPECIFIED:
	case _BERM__WIRE__CHANGE_PHASE_IS_INT_SIZE:
		break;
	}
	return error_set(err, -EBADMSG, ERROR_INTERNAL, "the journal is in no known phase");
}

int changes_recover(struct change_set *set, struct error *err)
{
	ProtobufCMessage *message = NULL;
	Berm__Wire__ChangeJournal *journal;
	struct error opened = {0};
	int r = changes_file_read(
		set->fd, CHANGES_JOURNAL, &berm__wire__change_journal__descriptor, &message, err);

	if (r < 0 || !message)
		return r;
	journal = (Berm__Wire__ChangeJournal *)message;
	r = set->head ? changes_open_workspace(set, &opened)
		      : error_set(&opened, -ENOENT, ERROR_NOT_FOUND, "the head is gone");
	if (r < 0) {
		bool copying = journal->phase == BERM__WIRE__CHANGE_PHASE__CHANGE_PHASE_COPYING;

		/* What was copied lies in a workspace that is not there: it is in nobody's way. */
		if (!copying)
			*err = opened;
		changes_message_free(journal);
		return copying ? 0 : r;
	}
	r = changes_lock(set, err);
	if (r == 0) {
		r = recover(set, journal, err);
		set->recorded = set->committed && journal_is_recorded(set);
		changes_unlock(set);
	}
	if (r < 0 && !err->code)
		error_set(err, r, ERROR_INTERNAL, "recover a commit: %s", strerror(-r));
	changes_message_free(journal);
	return r;
}
