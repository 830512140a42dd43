/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/path.h"

#include <string.h>
#include <sys/stat.h>

/* The overlay of a staged workspace is mounted by the run itself, in its own user namespace
 * (Documentation/filesystems/overlayfs.rst, "userxattr"): what the kernel does on the layers in its
 * name is done with its rights and no others. Layers are named by descriptors: no path of the host
 * is in the mount's options, which the tool can read. */

#define STAGE_DIRECTORY "stage"
#define LAYER_BYTES 64

static const Berm__Wire__Mount *stage_step(const Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_STAGE)
			return plan->mounts[i];
	return NULL;
}

/* As for grants: a privileged supervisor clones the tree in its own mount namespace, since the run
 * cannot walk to a directory of root's. */
int stage_open(struct launch *launch, struct error *err)
{
	struct mount_attr alone = {.propagation = MS_PRIVATE};
	autoclose int fd = -1, tree = -1;

	if (!stage_step(launch->plan))
		return 0;
	if (!launch->stage_path)
		return error_set(err, -EINVAL, ERROR_INTERNAL, "nowhere to stage writes");
	fd = sys_openat2(AT_FDCWD, launch->stage_path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
		RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return error_errno(err, "open %s", launch->stage_path);
	if (!launch->plan->identity->drop_from_root) {
		launch->stage.fd = take_fd(&fd);
		return 0;
	}
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &alone, sizeof(alone)) < 0)
		return error_errno(err, "clone the mount of %s", launch->stage_path);
	launch->stage = (struct grant){take_fd(&tree), true};
	return 0;
}

/* The layers as a path in the run's own mount namespace: an overlay takes no others. */
static int enter_layers(struct launch *launch, int *ret_fd, struct error *err)
{
	struct stat expected, found;
	autoclose int fd = -1, point = -1;

	if (launch->stage.is_tree) {
		if (mkdirat(launch->cover_fd, STAGE_DIRECTORY, 0700) < 0)
			return error_errno(err, "make a place for the layers");
		point = openat(launch->cover_fd, STAGE_DIRECTORY,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (point < 0 || move_mount(launch->stage.fd, "", point, "",
					 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
			return error_errno(err, "mount the layers");
		*ret_fd = take_fd(&launch->stage.fd);
		return 0;
	}
	fd = sys_openat2(AT_FDCWD, launch->stage_path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
		RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return error_errno(err, "open %s", launch->stage_path);
	if (fstat(fd, &found) < 0 || fstat(launch->stage.fd, &expected) < 0)
		return error_errno(err, "stat %s", launch->stage_path);
	if (found.st_dev != expected.st_dev || found.st_ino != expected.st_ino)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s was replaced while the run was being prepared", launch->stage_path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int set_layer(int context, const char *key, int fd, const char *name)
{
	char path[LAYER_BYTES];

	snprintf(path, sizeof(path), "/proc/self/fd/%d%s", fd, name);
	return fsconfig(context, FSCONFIG_SET_STRING, key, path, 0);
}

/* -1 and errno. */
static int new_overlay(int lower, int layers, unsigned attributes)
{
	autoclose int context = fsopen("overlay", FSOPEN_CLOEXEC);

	if (context < 0 || set_layer(context, "lowerdir", lower, "") < 0 ||
		set_layer(context, "upperdir", layers, "/upper") < 0 ||
		set_layer(context, "workdir", layers, "/work") < 0 ||
		fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0 ||
		fsconfig(context, FSCONFIG_SET_STRING, "index", "off", 0) < 0 ||
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, attributes);
}

int stage_mount(struct launch *launch, const Berm__Wire__Mount *mount, int point, struct error *err)
{
	unsigned attributes =
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (mount->no_exec ? MOUNT_ATTR_NOEXEC : 0);
	autoclose int layers = -1, tree = -1;
	int r = enter_layers(launch, &layers, err);

	if (r < 0)
		return r;
	tree = new_overlay(point, layers, attributes);
	if (tree < 0) {
		int number = errno;

		return error_set(err, -number, ERROR_UNSUPPORTED,
			"feature overlay: no overlay of %s can be mounted (%s): it must be one "
			"file "
			"system without others mounted in it, and the state directory must be able "
			"to hold the upper directory of an overlay (no overlay, NFS or FAT itself: "
			"name another one with --state-dir)",
			mount->target, strerror(number));
	}
	launch->lower_fd = fcntl(point, F_DUPFD_CLOEXEC, 3);
	if (launch->lower_fd < 0)
		return error_errno(err, "descriptors");
	return mounts_attach(&tree, point, mount, err);
}

int stage_open_lower(const struct launch *launch, const char *target)
{
	const Berm__Wire__Mount *step = stage_step(launch->plan);

	if (!step || launch->lower_fd < 0 || !path_is_beneath(target, step->target) ||
		strcmp(target, step->target) == 0) {
		errno = ENOENT;
		return -1;
	}
	return sys_openat2(launch->lower_fd, target + strlen(step->target) + 1,
		O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}
