/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-steps.h"

#include <linux/fs.h>
#include <string.h>

/* Where one step stands: what its name in the staging directory leads to. */
enum place { PLACE_NOTHING, PLACE_STAGED, PLACE_OTHER };

struct at {
	size_t index;
	const Berm__Wire__ChangeStep *step;
	char name[STEP_NAME_BYTES]; /* in the staging directory */
	const char *last;           /* in parent */
	int parent;
};

static int say(struct steps *s, const struct at *at, int r, const char *why)
{
	autotext struct text path = {0};

	text_escape(
		&path, changes_path(&at->step->path), strlen(changes_path(&at->step->path)), 256);
	return error_set(s->err, r, ERROR_REFUSED, "%s: %s", text_string(&path), why);
}

static int say_errno(struct steps *s, const struct at *at, int r)
{
	return say(s, at, r, strerror(-r));
}

static bool is_staged(const struct at *at, const struct stat *st)
{
	return st->st_ino == at->step->staged_ino && st->st_dev == at->step->staged_dev;
}

static int place_of(const struct steps *s, const struct at *at)
{
	struct stat st;

	if (fstatat(s->staging_fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? (int)PLACE_NOTHING : -errno;
	return is_staged(at, &st) ? (int)PLACE_STAGED : (int)PLACE_OTHER;
}

static int open_at(struct steps *s, size_t index, struct at *at)
{
	*at = (struct at){.index = index, .step = s->journal->steps[index], .parent = -1};
	snprintf(at->name, sizeof(at->name), "%zu", index);
	at->parent = beneath_parent(s->set->work_fd, changes_path(&at->step->path), &at->last);
	return at->parent < 0 ? say_errno(s, at, -errno) : 0;
}

/* O_PATH descriptors cannot be synced (open(2)). */
static int sync_parent(struct steps *s, const struct at *at)
{
	autoclose int fd = openat(at->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : disk_sync(s->set->disk, fd);
}

int steps_sync_workspace(struct change_set *set)
{
	autoclose int fd = openat(set->work_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : disk_sync(set->disk, fd);
}

static int set_mode(struct steps *s, const struct at *at, uint32_t mode)
{
	autoclose int fd = beneath_open(at->parent, at->last, O_RDONLY | O_DIRECTORY);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != at->step->old->ino || st.st_dev != at->step->old->dev)
		return -ESTALE;
	r = disk_chmod(s->set->disk, fd, (st.st_mode & 06000) | (mode & 01777));
	/* Its mode is of its own inode: the directory that it is in does not carry it. */
	return r < 0 ? r : disk_sync(s->set->disk, fd);
}

/* What is in the staging directory now has to be what the manifest says that was replaced. */
static int check_replaced(struct steps *s, const struct at *at)
{
	const char *why = NULL;
	int r;

	if (!at->step->old || at->step->kind == BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES)
		return 0;
	r = identity_check(s->staging_fd, at->name, at->step->old, true, &why, s->err);
	if (r < 0)
		return r;
	return why ? say(s, at, -EBUSY, why) : 0;
}

static int do_step(struct steps *s, const struct at *at)
{
	const struct changes_disk *d = s->set->disk;
	int place = place_of(s, at), r = 0;

	if (place < 0)
		return say_errno(s, at, place);
	switch (at->step->kind) {
	case BERM__WIRE__CHANGE_KIND__CHANGE_CREATE:
		if (place == PLACE_STAGED)
			r = disk_rename(
				d, s->staging_fd, at->name, at->parent, at->last, RENAME_NOREPLACE);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY:
	case BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE:
		if (place == PLACE_NOTHING)
			r = -ESTALE;
		else if (place == PLACE_STAGED)
			r = disk_rename(
				d, s->staging_fd, at->name, at->parent, at->last, RENAME_EXCHANGE);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_DELETE:
		if (place == PLACE_NOTHING)
			r = disk_rename(
				d, at->parent, at->last, s->staging_fd, at->name, RENAME_NOREPLACE);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES:
		r = set_mode(s, at, at->step->mode);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT:
	case BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED:
	case _BERM__WIRE__CHANGE_KIND_IS_INT_SIZE:
		r = -EBADMSG;
		break;
	}
	return r < 0 ? say_errno(s, at, r) : check_replaced(s, at);
}

/* One step forward and its directory to the disk, with the owner's rights. */
static int forward(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0)
		r = do_step(s, &at);
	if (r == 0 && sync_parent(s, &at) < 0)
		r = say(s, &at, -EIO, "its directory cannot be written to the disk");
	own_close(&at.parent);
	return r;
}

static int check_again(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0)
		r = check_replaced(s, &at);
	own_close(&at.parent);
	return r;
}

/* Modes of directories come last, the deepest first: they may close the way to what lies in them.
 */
static int each(struct steps *s, bool attributes, int (*function)(struct steps *, size_t))
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->journal->n_steps; i++) {
		size_t index = attributes ? s->journal->n_steps - 1 - i : i;

		if ((s->journal->steps[index]->kind ==
			    BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES) == attributes)
			r = function(s, index);
	}
	return r;
}

static int become_owner(struct steps *s)
{
	int r = owner_enter(s->set);

	return r < 0 ? error_set(s->err, r, ERROR_INTERNAL, "become the owner of the workspace: %s",
			       strerror(-r))
		     : 0;
}

int steps_forward(struct steps *s)
{
	int r = become_owner(s);

	if (r < 0)
		return r;
	r = each(s, false, forward);
	/* A program that had a file open may have written to it until now. */
	if (r == 0)
		r = each(s, false, check_again);
	if (r == 0)
		r = each(s, true, forward);
	owner_leave(s->set);
	return r;
}

/* What stands at the target: the copy, nothing, or what somebody else put there meanwhile. */
static enum place target_of(const struct at *at)
{
	struct stat st;

	if (fstatat(at->parent, at->last, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return PLACE_NOTHING;
	return is_staged(at, &st) ? PLACE_STAGED : PLACE_OTHER;
}

static int undo_step(struct steps *s, const struct at *at)
{
	const struct changes_disk *d = s->set->disk;
	int place = place_of(s, at);
	enum place target = target_of(at);

	if (place < 0)
		return place;
	switch (at->step->kind) {
	case BERM__WIRE__CHANGE_KIND__CHANGE_CREATE:
		/* What somebody else put there in the meantime is theirs. */
		return place == PLACE_NOTHING && target == PLACE_STAGED
			       ? disk_rename(d, at->parent, at->last, s->staging_fd, at->name,
					 RENAME_NOREPLACE)
			       : 0;
	case BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY:
	case BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE:
		if (place != PLACE_OTHER)
			return 0;
		if (target == PLACE_OTHER)
			return -EEXIST;
		return disk_rename(d, s->staging_fd, at->name, at->parent, at->last,
			target == PLACE_STAGED ? RENAME_EXCHANGE : RENAME_NOREPLACE);
	case BERM__WIRE__CHANGE_KIND__CHANGE_DELETE:
		return place == PLACE_NOTHING ? 0
					      : disk_rename(d, s->staging_fd, at->name, at->parent,
							at->last, RENAME_NOREPLACE);
	case BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES:
		return set_mode(s, at, at->step->old->mode);
	case BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT:
	case BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED:
	case _BERM__WIRE__CHANGE_KIND_IS_INT_SIZE:
		break;
	}
	return -EBADMSG;
}

static int back(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	/* Its directory is gone: so is what was done in it, unless something waits to be put back.
	 */
	if (r < 0)
		return place_of(s, &at) == PLACE_OTHER ? r : 0;
	r = undo_step(s, &at);
	if (r == -ESTALE && at.step->kind == BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES)
		r = 0;
	if (r == 0)
		r = sync_parent(s, &at);
	own_close(&at.parent);
	return r < 0 ? say(s, &at, r,
			       r == -EEXIST ? "somebody else put something in its place; what was "
					      "there is kept in the commit's own directory"
					    : strerror(-r))
		     : 0;
}

int steps_back(struct steps *s)
{
	int r = become_owner(s);

	if (r < 0)
		return r;
	r = each(s, true, back);
	if (r == 0)
		r = each(s, false, back);
	owner_leave(s->set);
	return r;
}
