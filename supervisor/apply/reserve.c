/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/path.h"
#include "wire/placeholder.h"

#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* A placeholder has a mode of its own, so that one that an earlier berm could not remove is known
 * again. It is locked shared by every run that relies on it and removed only by whoever can lock it
 * alone: a name that another run has covered must not vanish from under its mount. */
#define WAIT_STEP_MS 10
/* Whoever removes one holds it alone for a few microseconds, or for as long as the scheduler leaves
 * it aside meanwhile. */
#define PLACEHOLDER_TRIES 400
#define TRIES_WITHOUT_WAIT 8
#define TRY_STEP_MS 5

static bool same_object(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Open the placeholder and lock it. 0, -ENOENT when it is gone, -ESTALE when it became another one
 * meanwhile, -EWOULDBLOCK when somebody has it, or another error. */
static int lock_placeholder(int parent_fd, const char *name, int operation, int *ret_fd)
{
	autoclose int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat held, now;

	if (fd < 0)
		return -errno;
	if (flock(fd, operation) < 0)
		return -errno;
	if (fstat(fd, &held) < 0)
		return -errno;
	if (fstatat(parent_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || !same_object(&held, &now))
		return -ESTALE;
	if ((held.st_mode & 07777) != PLACEHOLDER_MODE)
		return -EEXIST;
	*ret_fd = take_fd(&fd);
	return 0;
}

static int make_one(const struct launch *launch, const struct placeholder *p, int *ret_fd)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[p->mount];
	int r = -EAGAIN;

	for (int i = 0; i < PLACEHOLDER_TRIES && r == -EAGAIN; i++) {
		if (i >= TRIES_WITHOUT_WAIT)
			poll(NULL, 0, TRY_STEP_MS);
		/* The sticky bit is honoured here (mkdir(2), on Linux), so that a placeholder is
		 * never without its mark. */
		mode_t mask = umask(0);
		int made = mkdirat(p->parent_fd, p->name, PLACEHOLDER_MODE);

		umask(mask);
		if (made < 0 && errno != EEXIST)
			return -errno;
		r = lock_placeholder(p->parent_fd, p->name, LOCK_SH | LOCK_NB, ret_fd);
		/* As root the directory belongs to the tree's owner, as everything that the run
		 * makes there. By its descriptor: whoever may write the tree could have put
		 * somebody else's file in its place. */
		if (r == 0 && made == 0 && launch->plan->identity->drop_from_root &&
			fchown(*ret_fd, mount->owner_uid, mount->owner_gid) < 0)
			return -errno;
		if (r == -ENOENT || r == -ESTALE)
			r = -EAGAIN; /* which is -EWOULDBLOCK too */
	}
	return r;
}

int reserve_name(struct launch *launch, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *mount = plan->mounts[i];
		autofree char *parent = NULL;
		int fd;

		if (mount->kind != BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE || mount->staged)
			continue;
		parent = path_parent(mount->source);
		if (!parent)
			return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
		fd = sys_openat2(AT_FDCWD, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
		if (fd < 0)
			return error_errno(err, "open %s", parent);
		launch->placeholders[launch->placeholder_count++] = (struct placeholder){
			.parent_fd = fd, .name = path_last(mount->source), .mount = i};
	}
	return 0;
}

int reserve_make(struct launch *launch, struct error *err)
{
	for (size_t i = 0; i < launch->placeholder_count; i++) {
		const struct placeholder *p = &launch->placeholders[i];
		int r = make_one(launch, p, &launch->grants[p->mount].fd);

		if (r == -EAGAIN)
			return error_set(err, r, ERROR_REFUSED,
				"protect %s, which does not exist yet: somebody else keeps it "
				"locked or "
				"changes it all the time",
				launch->plan->mounts[p->mount]->source);
		if (r < 0) {
			errno = -r;
			return error_errno(err, "protect %s, which does not exist yet",
				launch->plan->mounts[p->mount]->source);
		}
	}
	return 0;
}

/* In reverse, since one may lie in another. rmdir(2) removes only what is still empty: never
 * anybody's data. */
void reserve_remove(const struct launch *launch, int wait_ms)
{
	for (size_t i = launch->placeholder_count; i-- > 0;) {
		const struct placeholder *p = &launch->placeholders[i];
		int r = -EWOULDBLOCK;

		while (r == -EWOULDBLOCK) {
			autoclose int fd = -1;

			r = lock_placeholder(p->parent_fd, p->name, LOCK_EX | LOCK_NB, &fd);
			if (r == 0)
				unlinkat(p->parent_fd, p->name, AT_REMOVEDIR);
			/* Another run that holds it for longer removes it itself. */
			if (r != -EWOULDBLOCK || wait_ms <= 0)
				break;
			poll(NULL, 0, WAIT_STEP_MS);
			wait_ms -= WAIT_STEP_MS;
		}
	}
}
