/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <string.h>
#include <sys/stat.h>

/* The object that a plan was made for, opened without following any link. A directory or file that
 * changed since the plan was made (CVE-2024-42472, CVE-2026-34078) has another device or inode
 * number: refused. */
static int open_pinned(const Berm__Wire__Mount *mount, int *ret_fd, struct error *err)
{
	autoclose int fd = sys_openat2(AT_FDCWD, mount->source, O_PATH | O_CLOEXEC, 0,
		RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat st;

	*ret_fd = -1;
	if (fd < 0 && errno == ENOENT && mount->optional)
		return 0;
	if (fd < 0)
		return error_errno(err, "open %s", mount->source);
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", mount->source);
	if ((mount->source_ino || mount->source_dev) &&
		(st.st_ino != mount->source_ino || st.st_dev != mount->source_dev))
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s was replaced while the run was being prepared", mount->source);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* A privileged supervisor clones the tree in its own mount namespace: the run's namespace may
 * attach it, and only here can it be id-mapped (mount_setattr(2)). */
static int clone_tree(
	const Berm__Wire__Mount *mount, int owner_namespace, int *fd, struct error *err)
{
	autoclose int tree = open_tree(
		*fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr alone = {.propagation = MS_PRIVATE};
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)owner_namespace};

	if (tree < 0)
		return error_errno(err, "clone the mount tree of %s", mount->source);
	/* A clone of a shared mount (systemd shares all) is its peer: a cover of the run would be
	 * mounted on the host too, and what the host mounts later would appear in the run without
	 * the restrictions of the grant (mount_namespaces(7)). */
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &alone, sizeof(alone)) < 0)
		return error_errno(err, "make the mount tree of %s private", mount->source);
	if (mount->id_mapped &&
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0) {
		int number = errno;

		return error_set(err, -number, ERROR_UNSUPPORTED,
			"feature idmap: the file system of %s cannot be id-mapped (%s); run berm "
			"under sudo from the "
			"account that owns the files, or name a directory on another file system",
			mount->source, strerror(number));
	}
	own_close(fd);
	*fd = take_fd(&tree);
	return 0;
}

int grants_open(struct launch *launch, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;
	autoclose int owner_namespace = -1;
	int r;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *mount = plan->mounts[i];
		struct grant *grant = &launch->grants[i];

		grant->fd = -1;
		if (mount->kind != BERM__WIRE__MOUNT_KIND__MOUNT_BIND &&
			mount->kind != BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE)
			continue;
		r = open_pinned(mount, &grant->fd, err);
		if (r < 0)
			return r;
		if (grant->fd < 0 || !plan->identity->drop_from_root)
			continue;
		if (mount->id_mapped && owner_namespace < 0) {
			r = identity_owner_namespace(plan->identity, &owner_namespace, err);
			if (r < 0)
				return r;
		}
		r = clone_tree(mount, owner_namespace, &grant->fd, err);
		if (r < 0)
			return r;
		grant->is_tree = true;
	}
	return 0;
}
