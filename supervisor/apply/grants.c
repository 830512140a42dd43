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

/* The namespace of the last owner seen: nearly always the one owner of all grants. */
struct owner {
	int fd; /* -1: none yet */
	uint32_t uid, gid;
};

static int take_owner(const struct launch *launch, const Berm__Wire__Mount *mount,
	struct owner *owner, struct error *err)
{
	if (!mount->id_mapped || (owner->fd >= 0 && owner->uid == mount->owner_uid &&
					 owner->gid == mount->owner_gid))
		return 0;
	own_close(&owner->fd);
	owner->uid = mount->owner_uid;
	owner->gid = mount->owner_gid;
	return identity_owner_namespace(launch->plan->identity, mount, &owner->fd, err);
}

static int open_grant(struct launch *launch, size_t index, struct owner *owner, struct error *err)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[index];
	struct grant *grant = &launch->grants[index];
	int r = open_pinned(mount, &grant->fd, err);

	if (r < 0 || grant->fd < 0 || !launch->plan->identity->drop_from_root)
		return r;
	r = take_owner(launch, mount, owner, err);
	if (r == 0)
		r = clone_tree(mount, owner->fd, &grant->fd, err);
	grant->is_tree = r == 0;
	return r;
}

int grants_open(struct launch *launch, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;
	struct owner owner = {.fd = -1};
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->n_mounts; i++) {
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND ||
			plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE)
			r = open_grant(launch, i, &owner, err);
	}
	own_close(&owner.fd);
	return r;
}
