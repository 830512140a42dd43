/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-steps.h"

#include "base/failpoint.h"

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

static bool is_staged(const struct steps *s, const struct at *at, const struct stat *st)
{
	return st->st_ino == at->step->staged_ino && st->st_dev == s->set->work_dev;
}

static bool is_closed(uint32_t mode)
{
	return S_ISDIR(mode) && (mode & S_IRWXU) != S_IRWXU;
}

static bool is_mode_alone(const struct at *at)
{
	return at->step->kind == BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES;
}

static int place_of(const struct steps *s, const struct at *at)
{
	struct stat st;

	if (fstatat(s->staging_fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? (int)PLACE_NOTHING : -errno;
	return is_staged(s, at, &st) ? (int)PLACE_STAGED : (int)PLACE_OTHER;
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

/* rename(2) of a directory from one place to another, and of what lies in it, needs its mode to
 * let its owner write. ino: which one it is, else -ESTALE. A descriptor, or -errno. */
static int open_up(struct steps *s, const struct at *at, uint64_t ino)
{
	struct stat st;

	if (fstatat(at->parent, at->last, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_ino != ino || st.st_dev != s->set->work_dev)
		return -ESTALE;
	return changes_open_closed(s->set->disk, at->parent, at->last, &st);
}

static int set_mode(struct steps *s, const struct at *at, uint64_t ino, uint32_t mode)
{
	autoclose int fd = open_up(s, at, ino);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	if (st.st_ino != ino)
		return -ESTALE;
	r = disk_chmod(s->set->disk, fd, (st.st_mode & 06000) | (mode & 01777));
	/* Its mode is of its own inode: the directory that it is in does not carry it. */
	return r < 0 ? r : disk_sync(s->set->disk, fd);
}

/* What is in the staging directory now has to be what the manifest says that was replaced. */
static int check_replaced(struct steps *s, const struct at *at)
{
	Berm__Wire__ChangeIdentity old;
	const char *why = NULL;
	int r;

	if (!at->step->old || is_mode_alone(at))
		return 0;
	old = *at->step->old;
	if (S_ISDIR(old.mode))
		old.mode |= S_IRWXU; /* it was opened up to be moved */
	r = identity_check(s->staging_fd, at->name, &old, true, &why, s->err);
	if (r < 0)
		return r;
	return why ? say(s, at, -EBUSY, why) : 0;
}

/* What stands at the target: the copy, nothing, or what is none of the commit's. */
static enum place target_of(const struct steps *s, const struct at *at)
{
	struct stat st;

	if (fstatat(at->parent, at->last, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return PLACE_NOTHING;
	return is_staged(s, at, &st) ? PLACE_STAGED : PLACE_OTHER;
}

/* What is to go is moved out of the way, which its mode may forbid. */
static int replace(struct steps *s, const struct at *at, bool exchange)
{
	const struct changes_disk *d = s->set->disk;

	if (is_closed(at->step->old->mode)) {
		autoclose int fd = open_up(s, at, at->step->old->ino);

		if (fd < 0)
			return fd;
	}
	return exchange ? disk_rename(
				  d, s->staging_fd, at->name, at->parent, at->last, RENAME_EXCHANGE)
			: disk_rename(d, at->parent, at->last, s->staging_fd, at->name,
				  RENAME_NOREPLACE);
}

static int do_step(struct steps *s, const struct at *at)
{
	int place = place_of(s, at), r = 0;

	if (place < 0)
		return say_errno(s, at, place);
	switch (at->step->kind) {
	case BERM__WIRE__CHANGE_KIND__CHANGE_CREATE:
		/* A copy that is in neither place was taken away: without it the commit would be a
		 * smaller one. */
		if (place == PLACE_STAGED)
			r = disk_rename(s->set->disk, s->staging_fd, at->name, at->parent, at->last,
				RENAME_NOREPLACE);
		else if (target_of(s, at) != PLACE_STAGED)
			r = -ESTALE;
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY:
	case BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE:
		if (place == PLACE_NOTHING)
			r = -ESTALE;
		else if (place == PLACE_STAGED)
			r = replace(s, at, true);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_DELETE:
		if (place == PLACE_NOTHING)
			r = replace(s, at, false);
		break;
	case BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES:
		return 0;
	case BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT:
	case BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED:
	case _BERM__WIRE__CHANGE_KIND_IS_INT_SIZE:
		r = -EBADMSG;
		break;
	}
	return r < 0 ? say_errno(s, at, r) : check_replaced(s, at);
}

/* Directories that stay are opened up on the way to what lies in them, those above first. */
static int reach(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0 && is_mode_alone(&at)) {
		autoclose int fd = open_up(s, &at, at.step->old->ino);

		r = fd < 0 ? say_errno(s, &at, fd) : 0;
	}
	own_close(&at.parent);
	return r;
}

/* One step forward and its directory to the disk, with the owner's rights. */
static int forward(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0)
		r = do_step(s, &at);
	failpoint("changes.step");
	if (r == 0 && !is_mode_alone(&at) && sync_parent(s, &at) < 0)
		r = say(s, &at, -EIO, "its directory cannot be written to the disk");
	own_close(&at.parent);
	return r;
}

static int check_again(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0 && at.step->kind == BERM__WIRE__CHANGE_KIND__CHANGE_CREATE &&
		target_of(s, &at) != PLACE_STAGED)
		r = say(s, &at, -EBUSY, "it was taken away again");
	if (r == 0)
		r = check_replaced(s, &at);
	own_close(&at.parent);
	return r;
}

/* Modes of directories come last, the deepest first: they may close the way to what lies in them.
 */
static int close_forward(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);

	if (r == 0 && is_mode_alone(&at))
		r = set_mode(s, &at, at.step->old->ino, at.step->mode);
	else if (r == 0 && is_closed(at.step->mode))
		r = set_mode(s, &at, at.step->staged_ino, at.step->mode);
	if (r < 0 && at.parent >= 0)
		say_errno(s, &at, r);
	own_close(&at.parent);
	return r;
}

typedef int step_function(struct steps *s, size_t index);

static int each(struct steps *s, step_function *function)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->journal->n_steps; i++)
		r = function(s, i);
	return r;
}

/* The other way round, and all of them: what one cannot put back is no reason to leave another as
 * it is. The first failure is told. */
static int each_back(struct steps *s, step_function *function)
{
	struct error first = {0};

	for (size_t i = s->journal->n_steps; i-- > 0;) {
		int r = function(s, i);

		if (r < 0 && first.code == 0)
			first = *s->err;
	}
	if (first.code)
		*s->err = first;
	return first.code;
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
	r = each(s, reach);
	if (r == 0)
		r = each(s, forward);
	/* A program that had a file open may have written to it until now. */
	if (r == 0)
		r = each(s, check_again);
	for (size_t i = s->journal->n_steps; r == 0 && i-- > 0;)
		r = close_forward(s, i);
	owner_leave(s->set);
	return r;
}

/* Out of the way again: its own mode may be in place already. */
static int take_copy_back(struct steps *s, const struct at *at, unsigned flags)
{
	const struct changes_disk *d = s->set->disk;

	if (is_closed(at->step->mode)) {
		autoclose int fd = open_up(s, at, at->step->staged_ino);

		if (fd < 0)
			return fd;
	}
	return flags == RENAME_EXCHANGE
		       ? disk_rename(d, s->staging_fd, at->name, at->parent, at->last, flags)
		       : disk_rename(d, at->parent, at->last, s->staging_fd, at->name, flags);
}

static int undo_step(struct steps *s, const struct at *at)
{
	const struct changes_disk *d = s->set->disk;
	int place = place_of(s, at);
	enum place target = target_of(s, at);

	if (place < 0)
		return place;
	switch (at->step->kind) {
	case BERM__WIRE__CHANGE_KIND__CHANGE_CREATE:
		/* What somebody else put there in the meantime is theirs. */
		return place == PLACE_NOTHING && target == PLACE_STAGED
			       ? take_copy_back(s, at, RENAME_NOREPLACE)
			       : 0;
	case BERM__WIRE__CHANGE_KIND__CHANGE_MODIFY:
	case BERM__WIRE__CHANGE_KIND__CHANGE_REPLACE:
		if (place != PLACE_OTHER)
			return 0;
		if (target == PLACE_OTHER)
			return -EEXIST;
		return target == PLACE_STAGED ? take_copy_back(s, at, RENAME_EXCHANGE)
					      : disk_rename(d, s->staging_fd, at->name, at->parent,
							at->last, RENAME_NOREPLACE);
	case BERM__WIRE__CHANGE_KIND__CHANGE_DELETE:
		return place == PLACE_NOTHING ? 0
					      : disk_rename(d, s->staging_fd, at->name, at->parent,
							at->last, RENAME_NOREPLACE);
	case BERM__WIRE__CHANGE_KIND__CHANGE_ATTRIBUTES:
		return 0;
	case BERM__WIRE__CHANGE_KIND__CHANGE_LEFT_OUT:
	case BERM__WIRE__CHANGE_KIND__CHANGE_UNSPECIFIED:
	case _BERM__WIRE__CHANGE_KIND_IS_INT_SIZE:
		break;
	}
	return -EBADMSG;
}

static int say_back(struct steps *s, const struct at *at, int r)
{
	return r < 0 ? say(s, at, r,
			       r == -EEXIST ? "somebody else put something in its place; what was "
					      "there is kept in the commit's own directory"
					    : strerror(-r))
		     : 0;
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
	if (r == 0 && !is_mode_alone(&at))
		r = sync_parent(s, &at);
	own_close(&at.parent);
	return say_back(s, &at, r);
}

/* A way that is closed by somebody else now is nothing that the commit did. */
static int reach_back(struct steps *s, size_t index)
{
	(void)!reach(s, index);
	return 0;
}

/* The modes of directories that stay or came back. One that is another now is somebody else's. */
static int close_back(struct steps *s, size_t index)
{
	struct at at;
	int r = open_at(s, index, &at);
	const Berm__Wire__ChangeIdentity *old = at.step->old;

	if (r < 0)
		return 0;
	if (old && (is_mode_alone(&at) || is_closed(old->mode)))
		r = set_mode(s, &at, old->ino, old->mode);
	own_close(&at.parent);
	return r == -ESTALE || r == -ENOENT || r == -ENOTDIR ? 0 : say_back(s, &at, r);
}

int steps_back(struct steps *s)
{
	int r = become_owner(s);

	if (r < 0)
		return r;
	(void)!each(s, reach_back);
	r = each_back(s, back);
	if (r < 0) {
		struct error why = *s->err;

		(void)!each_back(s, close_back);
		*s->err = why;
	} else {
		r = each_back(s, close_back);
	}
	owner_leave(s->set);
	return r;
}
