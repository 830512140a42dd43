/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <string.h>
#include <sys/stat.h>

/* Room for mount points and small files; nothing that the tool can write lies on it. */
#define ROOT_SIZE "size=4194304"

/* Cover objects and the Landlock probe live in the directory that /proc is mounted over: bound from
 * there, never seen. */
#define COVER_DIRECTORY "proc"

static const struct {
	const char *name;
	mode_t mode;
	bool directory;
} covers[] = {
	{"hidden-directory", 0, true},
	{"hidden-file", 0, false},
	{"reserved", 0555, true},
	{"probe", 0444, false},
	{"copies", 0700, true},
};

static int make_covers(struct launch *launch, struct error *err)
{
	if (mkdirat(launch->root_fd, COVER_DIRECTORY, 0555) < 0)
		return error_errno(err, "make /%s in the new root", COVER_DIRECTORY);
	launch->cover_fd =
		openat(launch->root_fd, COVER_DIRECTORY, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (launch->cover_fd < 0)
		return error_errno(err, "open /%s in the new root", COVER_DIRECTORY);
	if (fchmodat(launch->root_fd, COVER_DIRECTORY, 0755, 0) < 0)
		return error_errno(err, "chmod /%s in the new root", COVER_DIRECTORY);
	for (size_t i = 0; i < array_size(covers); i++) {
		autoclose int fd = -1;

		if (covers[i].directory) {
			if (mkdirat(launch->cover_fd, covers[i].name, covers[i].mode) < 0)
				return error_errno(err, "make the cover object %s", covers[i].name);
			continue;
		}
		fd = openat(launch->cover_fd, covers[i].name,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, covers[i].mode);
		if (fd < 0)
			return error_errno(err, "make the cover object %s", covers[i].name);
	}
	return 0;
}

static int make_root(struct launch *launch, struct error *err)
{
	/* Nothing that is mounted or unmounted here may reach the host, nor the other way round. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(err, "make the mount tree private");
	launch->root_fd =
		mounts_new_file_system("tmpfs", (const char *const[]){"mode=0755", ROOT_SIZE},
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (launch->root_fd < 0)
		return error_errno(err, "make the new root");
	/* Stacked on "/": path lookups go on from the old root until the pivot. */
	if (move_mount(launch->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(err, "mount the new root");
	return mounts_remember_tmpfs(launch, launch->root_fd, err);
}

/* A plan that grants the whole file system has it as its root: on top of berm's own, which then
 * only holds the covers. */
static int mount_root_grant(struct launch *launch, struct error *err)
{
	const Berm__Wire__Mount *first = launch->plan->mounts[0];
	autoclose int tree = -1;
	int r = mounts_bind_tree(launch, 0, &tree, err), root;

	if (r < 0)
		return r;
	if (tree < 0)
		return error_set(err, -ENOENT, ERROR_INTERNAL, "no object for the root of the run");
	root = tree;
	r = mounts_attach(&tree, launch->root_fd, first, err);
	if (r < 0)
		return r;
	launch->root_fd = root;
	return 0;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up stacked under the new one and is
 * detached at once. */
static int enter_root(const struct launch *launch, struct error *err)
{
	if (fchdir(launch->root_fd) < 0)
		return error_errno(err, "enter the new root");
	if (sys_pivot_root(".", ".") < 0)
		return error_errno(err, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_errno(err, "detach the old root");
	if (chdir("/") < 0)
		return error_errno(err, "chdir /");
	return 0;
}

int root_build(struct launch *launch, struct error *err)
{
	mode_t mask = umask(0);
	size_t first = 0;
	int r = make_root(launch, err);

	if (r == 0)
		r = make_covers(launch, err);
	if (r == 0 && launch->plan->n_mounts && strcmp(launch->plan->mounts[0]->target, "/") == 0) {
		if (launch->plan->mounts[0]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND)
			r = mount_root_grant(launch, err);
		first = 1;
	}
	for (size_t i = first; r == 0 && i < launch->plan->n_mounts; i++)
		r = mounts_step(launch, i, err);
	if (r == 0)
		r = copies_finish(launch, err);
	if (r == 0)
		r = enter_root(launch, err);
	umask(mask);
	return r;
}
