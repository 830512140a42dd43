/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"
#include "base/path.h"
#include "wire/placeholder.h"

#include <string.h>
#include <sys/stat.h>

/* The run's root is a tmpfs that berm makes; every step is done relative to its descriptor and
 * follows no link, so that nothing that an agent can write decides where a mount lands
 * (CVE-2025-31133, CVE-2021-30465). */

#define MOUNT_ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define PATH_BUFFER 4096

/* Lookups below the new root: no link of any kind; mounts may be crossed, since they are ours. */
#define RESOLVE_INSIDE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static int step_failed(const Berm__Wire__Mount *mount, const char *what, struct error *err)
{
	return error_errno(err, "%s %s", what, mount->target);
}

int mounts_open_target(const struct launch *launch, const char *target, uint64_t flags)
{
	if (strcmp(target, "/") == 0)
		return openat(launch->root_fd, ".", (int)flags | O_CLOEXEC);
	return sys_openat2(
		launch->root_fd, target + 1, flags | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_INSIDE);
}

static int open_target(const struct launch *launch, const char *target)
{
	return mounts_open_target(launch, target, O_PATH);
}

/* Split target into its parent, opened and proven to be on a tmpfs of this run, and its last
 * component: berm makes mount points in its own file systems only, never in the user's. */
static int open_own_parent(
	const struct launch *launch, const char *target, int *ret_fd, struct error *err)
{
	const char *name = path_last(target);
	char parent[PATH_BUFFER];
	size_t length = (size_t)(name - target);
	autoclose int fd = -1;
	struct stat st;

	if (length == 0 || length >= sizeof(parent))
		return error_set(err, -ENAMETOOLONG, ERROR_INPUT, "%s is no usable target", target);
	memcpy(parent, target, length);
	parent[length > 1 ? length - 1 : 1] = '\0';
	fd = open_target(launch, parent);
	if (fd < 0)
		return error_errno(err, "open %s in the new root", parent);
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s in the new root", parent);
	for (size_t i = 0; i < launch->own_tmpfs_count; i++) {
		if (launch->own_tmpfs[i] == st.st_dev) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
	return error_set(err, -EROFS, ERROR_INPUT,
		"%s does not exist in the granted tree above it, and berm makes nothing there",
		target);
}

static int make_directory(
	const struct launch *launch, const char *target, mode_t mode, struct error *err)
{
	autoclose int parent = -1;
	int r = open_own_parent(launch, target, &parent, err);

	if (r < 0)
		return r;
	if (mkdirat(parent, path_last(target), mode) < 0 && errno != EEXIST)
		return error_errno(err, "make directory %s", target);
	return 0;
}

static int make_file(const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	autoclose int parent = -1, fd = -1;
	int r = open_own_parent(launch, mount->target, &parent, err);

	if (r < 0)
		return r;
	fd = openat(parent, path_last(mount->target),
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		mount->mode ? mount->mode : 0444);
	if (fd < 0)
		return step_failed(mount, "make file", err);
	if (mount->content.len &&
		write(fd, mount->content.data, mount->content.len) != (ssize_t)mount->content.len)
		return step_failed(mount, "write file", err);
	return 0;
}

static int make_symlink(
	const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	char link[PATH_BUFFER];
	autoclose int parent = -1;
	int r;

	if (mount->content.len == 0 || mount->content.len >= sizeof(link))
		return error_set(
			err, -EINVAL, ERROR_INTERNAL, "%s: no usable link target", mount->target);
	memcpy(link, mount->content.data, mount->content.len);
	link[mount->content.len] = '\0';
	r = open_own_parent(launch, mount->target, &parent, err);
	if (r < 0)
		return r;
	return symlinkat(link, parent, path_last(mount->target)) < 0
		       ? step_failed(mount, "link", err)
		       : 0;
}

/* Open the mount point of a step, made first where it is missing. */
static int open_mount_point(const struct launch *launch, const Berm__Wire__Mount *mount,
	bool directory, int *ret_fd, struct error *err)
{
	int r;

	*ret_fd = open_target(launch, mount->target);
	if (*ret_fd >= 0)
		return 0;
	if (errno != ENOENT)
		return step_failed(mount, "open the mount point", err);
	r = directory ? make_directory(launch, mount->target, 0755, err)
		      : make_file(launch, mount, err);
	if (r < 0)
		return r;
	*ret_fd = open_target(launch, mount->target);
	return *ret_fd < 0 ? step_failed(mount, "open the mount point", err) : 0;
}

int mounts_attach(int *tree, int point, const Berm__Wire__Mount *mount, struct error *err)
{
	if (move_mount(*tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return step_failed(mount, "mount", err);
	/* Closing the descriptor of a mount takes the namespace's lock: PID 1 closes all of them at
	 * once while the tool's program is already starting. */
	(void)take_fd(tree);
	return 0;
}

int mounts_new_file_system(const char *type, const char *const options[2], unsigned attributes)
{
	autoclose int context = fsopen(type, FSOPEN_CLOEXEC);

	if (context < 0)
		return -1;
	for (int i = 0; i < 2 && options[i]; i++) {
		char key[32];
		const char *value = strchr(options[i], '=') + 1;

		snprintf(key, sizeof(key), "%.*s", (int)(value - options[i] - 1), options[i]);
		if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0)
			return -1;
	}
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, attributes);
}

int mounts_remember_tmpfs(struct launch *launch, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat a new tmpfs");
	if (launch->own_tmpfs_count >= LAUNCH_OWN_TMPFS_MAX)
		return error_set(err, -E2BIG, ERROR_INTERNAL, "more than %d private file systems",
			LAUNCH_OWN_TMPFS_MAX);
	launch->own_tmpfs[launch->own_tmpfs_count++] = st.st_dev;
	return 0;
}

static int mount_tmpfs(struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	unsigned attributes = MOUNT_ATTR_SAFE | (mount->no_exec ? MOUNT_ATTR_NOEXEC : 0) |
			      (mount->read_only ? MOUNT_ATTR_RDONLY : 0);
	autoclose int point = -1, tree = -1;
	char size[48], mode[16];
	int r;

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)mount->size_bytes);
	snprintf(mode, sizeof(mode), "mode=%o", mount->mode);
	r = open_mount_point(launch, mount, true, &point, err);
	if (r < 0)
		return r;
	tree = mounts_new_file_system(
		"tmpfs", (const char *const[]){mode, mount->size_bytes ? size : NULL}, attributes);
	if (tree < 0)
		return step_failed(mount, "make a tmpfs for", err);
	r = mounts_remember_tmpfs(launch, tree, err);
	return r < 0 ? r : mounts_attach(&tree, point, mount, err);
}

static int mount_kernel(struct launch *launch, const Berm__Wire__Mount *mount, const char *type,
	const char *const options[2], struct error *err)
{
	unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
	autoclose int point = -1, tree = -1;
	int r = open_mount_point(launch, mount, true, &point, err);

	if (r < 0)
		return r;
	if (strcmp(type, "devpts") != 0)
		attributes |= MOUNT_ATTR_NODEV;
	tree = mounts_new_file_system(type, options, attributes);
	if (tree < 0)
		return error_errno(err, "mount a fresh %s at %s", type, mount->target);
	return mounts_attach(&tree, point, mount, err);
}

/* Without privilege the tree is cloned here, in the run's own mount namespace; the object must be
 * the one that the supervisor opened. */
static int clone_here(const Berm__Wire__Mount *mount, int pinned, int *ret_tree, struct error *err)
{
	autoclose int fd = sys_openat2(AT_FDCWD, mount->source, O_PATH | O_CLOEXEC, 0,
		RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	struct stat expected, found;

	if (fd < 0)
		return error_errno(err, "open %s", mount->source);
	if (fstat(fd, &found) < 0 || fstat(pinned, &expected) < 0)
		return error_errno(err, "stat %s", mount->source);
	if (found.st_dev != expected.st_dev || found.st_ino != expected.st_ino)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s was replaced while the run was being prepared", mount->source);
	*ret_tree = open_tree(
		fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return *ret_tree < 0 ? error_errno(err, "clone the mount tree of %s", mount->source) : 0;
}

int mounts_restrict(
	int tree, uint64_t attributes, const Berm__Wire__Mount *mount, struct error *err)
{
	struct mount_attr attr = {.attr_set = attributes};

	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return step_failed(mount, "restrict the mount at", err);
	return 0;
}

int mounts_bind_tree(struct launch *launch, size_t index, int *ret_tree, struct error *err)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[index];
	struct grant *grant = &launch->grants[index];
	bool device = mount->kind == BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE;
	uint64_t attributes = MOUNT_ATTR_NOSUID;
	int r;

	if (grant->fd < 0)
		return 0; /* optional and absent */
	attributes |= device ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV;
	if (mount->no_exec)
		attributes |= MOUNT_ATTR_NOEXEC;
	if (mount->read_only)
		attributes |= MOUNT_ATTR_RDONLY;
	if (grant->is_tree)
		*ret_tree = take_fd(&grant->fd);
	else if ((r = clone_here(mount, grant->fd, ret_tree, err)) < 0)
		return r;
	return mounts_restrict(*ret_tree, attributes, mount, err);
}

static int mount_bind(struct launch *launch, size_t index, struct error *err)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[index];
	autoclose int tree = -1, point = -1;
	int r = mounts_bind_tree(launch, index, &tree, err);

	if (r < 0 || tree < 0)
		return r;
	r = open_mount_point(launch, mount,
		mount->source_kind == BERM__WIRE__FILE_KIND__FILE_DIRECTORY, &point, err);
	return r < 0 ? r : mounts_attach(&tree, point, mount, err);
}

/* What is covered or sealed has to be what the plan was made for: a directory put in its place in
 * the meantime would be covered, and the other would stay in sight under a new name. */
static int check_target(const struct launch *launch, int point, const Berm__Wire__Mount *mount,
	struct stat *ret_stat, struct error *err)
{
	autoclose int lower =
		mount->staged && mount->source_ino ? stage_open_lower(launch, mount->target) : -1;
	struct stat st;

	if (fstat(point, ret_stat) < 0)
		return step_failed(mount, "stat", err);
	/* An overlay has numbers of its own. */
	st = *ret_stat;
	if (mount->staged && mount->source_ino && (lower < 0 || fstat(lower, &st) < 0))
		return step_failed(mount, "stat", err);
	if (mount->source_ino && (st.st_ino != mount->source_ino || st.st_dev != mount->source_dev))
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"%s was replaced while the run was being prepared", mount->target);
	return 0;
}

/* Bind an existing target on itself: sealed (read-only) or only pinned, which makes rename(2)
 * answer EBUSY. */
static int mount_self(
	const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	autoclose int point = open_target(launch, mount->target), tree = -1;
	struct stat st;
	int r;

	if (point < 0)
		return step_failed(mount, "open", err);
	r = check_target(launch, point, mount, &st, err);
	if (r < 0)
		return r;
	tree = open_tree(
		point, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return step_failed(mount, "clone", err);
	if (mount->kind == BERM__WIRE__MOUNT_KIND__MOUNT_SEAL)
		r = mounts_restrict(tree, MOUNT_ATTR_SAFE | MOUNT_ATTR_RDONLY, mount, err);
	return r < 0 ? r : mounts_attach(&tree, point, mount, err);
}

/* In the overlay, where it is nobody's but the run's. */
static int make_placeholder(const struct launch *launch, const char *target)
{
	const char *name = path_last(target);
	char parent[PATH_BUFFER];
	autoclose int fd = -1;

	if ((size_t)(name - target) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, target, (size_t)(name - target));
	parent[name - target > 1 ? name - target - 1 : 1] = '\0';
	fd = open_target(launch, parent);
	if (fd < 0 || mkdirat(fd, name, PLACEHOLDER_MODE) < 0)
		return -1;
	return open_target(launch, target);
}

static int mount_cover(
	const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	autoclose int point = open_target(launch, mount->target), tree = -1;
	const char *name;
	struct stat st;
	int r;

	if (point < 0 && errno == ENOENT && mount->optional)
		return 0;
	if (point < 0 && errno == ENOENT && mount->staged &&
		mount->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE)
		point = make_placeholder(launch, mount->target);
	if (point < 0)
		return step_failed(mount, "open", err);
	r = check_target(launch, point, mount, &st, err);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode))
		return error_set(err, -ELOOP, ERROR_REFUSED,
			"%s is a symbolic link, which cannot be covered", mount->target);
	name = mount->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE ? "reserved"
	       : S_ISDIR(st.st_mode)                                ? "hidden-directory"
								    : "hidden-file";
	tree = open_tree(
		launch->cover_fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (tree < 0)
		return step_failed(mount, "cover", err);
	r = mounts_restrict(
		tree, MOUNT_ATTR_SAFE | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, mount, err);
	if (r == 0)
		r = mounts_attach(&tree, point, mount, err);
	/* It went between being opened and being covered: move_mount(2) says so. */
	if (r == -ENOENT && mount->optional) {
		*err = (struct error){0};
		return 0;
	}
	return r;
}

static int mount_stage(struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	autoclose int point = open_target(launch, mount->target);

	return point < 0 ? step_failed(mount, "open", err) : stage_mount(launch, mount, point, err);
}

static int make_read_only(
	const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	autoclose int point = open_target(launch, mount->target);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (point < 0)
		return step_failed(mount, "open", err);
	if (mount_setattr(point, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return step_failed(mount, "make read-only", err);
	return 0;
}

/* hidepid (proc(5)): PID 1 carries berm's own command line, which is none of the tool's business.
 */
int mounts_step(struct launch *launch, size_t index, struct error *err)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[index];

	switch (mount->kind) {
	case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
		return mount_tmpfs(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
		return mount_bind(launch, index, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
		return make_directory(launch, mount->target, mount->mode ? mount->mode : 0755, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
		return make_symlink(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
		return make_file(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
		return mount_kernel(launch, mount, "proc",
			(const char *const[]){"hidepid=ptraceable", NULL}, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
		return mount_kernel(launch, mount, "devpts",
			(const char *const[]){"ptmxmode=0666", "mode=0620"}, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
	case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
		return mount_cover(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
	case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
		return mount_self(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
		return mount_stage(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
		return copies_mount(launch, index, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
		return make_read_only(launch, mount, err);
	case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
	case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
		break;
	}
	return error_set(err, -EINVAL, ERROR_INTERNAL, "mount step %zu has no kind", index);
}
