/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/content.h"
#include "apply/launch.h"
#include "apply/sys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* exec.hash: pin. The file of a COPY step is opened in the new root, as the run itself would open
 * it: what the run may not read is not shown to it by way of a copy. The copies lie in a tmpfs of
 * the run, so that they count as its memory, and only where they are mounted can they be reached,
 * read-only: their tmpfs is unmounted when all are made. */

#define COPIES_DIRECTORY "copies" /* beside the cover objects */
#define COPY_SLACK_BYTES 65536    /* of the file system for each copy: the last page, its inode */

static uint64_t bytes_of_copies(const Berm__Wire__Plan *plan)
{
	uint64_t bytes = COPY_SLACK_BYTES;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_COPY)
			bytes += plan->mounts[i]->size_bytes + COPY_SLACK_BYTES;
	}
	return bytes;
}

static int make_file_system(struct launch *launch, struct error *err)
{
	autoclose int tree = -1, point = -1;
	char size[48];

	if (launch->copies_fd >= 0)
		return 0;
	snprintf(
		size, sizeof(size), "size=%llu", (unsigned long long)bytes_of_copies(launch->plan));
	tree = mounts_new_file_system("tmpfs", (const char *const[]){"mode=0700", size},
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (tree < 0)
		return error_errno(err, "make a tmpfs for the copies of programs");
	point = openat(
		launch->cover_fd, COPIES_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (point < 0)
		return error_errno(err, "open the place of the copies");
	if (move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(err, "mount the tmpfs of the copies");
	launch->copies_fd = take_fd(&tree);
	return 0;
}

static int changed(const struct launch *launch, const Berm__Wire__Mount *mount, struct error *err)
{
	const Berm__Wire__Rule *rule = launch->plan->rules[mount->rule];

	return error_set(err, -ESTALE, ERROR_REFUSED,
		"%s:%u:%u: %s %s: the file was changed while the run was being prepared, and "
		"exec.hash pins what it held; start again where the change is meant",
		rule->file, rule->line, rule->column, rule->key, rule->value);
}

/* The copy, of the digest of the plan or an error. */
static int fill(
	const struct launch *launch, const Berm__Wire__Mount *mount, int to, struct error *err)
{
	/* Not blocking: what has become a FIFO since must not hold up the start. */
	autoclose int from =
		mounts_open_target(launch, mount->target, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	uint8_t digest[CONTENT_DIGEST_BYTES];
	struct timespec times[2];
	uint64_t bytes;
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return error_errno(err, "exec.hash: read %s as the run's user", mount->target);
	r = content_take(from, to, mount->size_bytes, digest, &bytes);
	if (r == -EFBIG || r == -EINVAL)
		return changed(launch, mount, err);
	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "exec.hash: copy %s: %s", mount->target,
			strerror(-r));
	if (bytes != mount->size_bytes || mount->digest.len != sizeof(digest) ||
		memcmp(digest, mount->digest.data, sizeof(digest)) != 0)
		return changed(launch, mount, err);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (fchmod(to, mount->mode) < 0 || futimens(to, times) < 0)
		return error_errno(err, "exec.hash: finish the copy of %s", mount->target);
	return 0;
}

/* No descriptor that could write stays open: execve(2) would answer ETXTBSY. */
static int make_copy(struct launch *launch, size_t index, const char *name, struct error *err)
{
	autoclose int fd = openat(launch->copies_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "exec.hash: make a copy");
	r = fill(launch, launch->plan->mounts[index], fd, err);
	if (r < 0)
		return r;
	launch->copies[index] = (struct file_id){st.st_dev, st.st_ino};
	return 0;
}

int copies_mount(struct launch *launch, size_t index, struct error *err)
{
	const Berm__Wire__Mount *mount = launch->plan->mounts[index];
	autoclose int point = -1, tree = -1;
	char name[24];
	int r = make_file_system(launch, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%zu", index);
	r = make_copy(launch, index, name, err);
	if (r < 0)
		return r;
	point = mounts_open_target(launch, mount->target, O_PATH);
	if (point < 0)
		return error_errno(err, "open the mount point %s", mount->target);
	tree = open_tree(
		launch->copies_fd, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (tree < 0)
		return error_errno(err, "exec.hash: clone the copy of %s", mount->target);
	r = mounts_restrict(
		tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, mount, err);
	if (r == 0)
		r = mounts_attach(&tree, point, mount, err);
	/* The file that was opened has lost its name since (move_mount(2)). */
	return r == -ENOENT ? changed(launch, mount, err) : r;
}

int copies_finish(struct launch *launch, struct error *err)
{
	if (launch->copies_fd < 0)
		return 0;
	own_close(&launch->copies_fd);
	if (fchdir(launch->cover_fd) < 0 ||
		umount2(COPIES_DIRECTORY, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return error_errno(err, "unmount the tmpfs of the copies");
	return 0;
}

int copies_check(const struct launch *launch, const char *path, int fd, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;
	struct stat st;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *mount = plan->mounts[i];

		if (mount->kind != BERM__WIRE__MOUNT_KIND__MOUNT_COPY ||
			strcmp(mount->target, path) != 0)
			continue;
		if (fstat(fd, &st) < 0)
			return error_errno(err, "stat %s", path);
		if (st.st_dev != launch->copies[i].dev || st.st_ino != launch->copies[i].ino)
			return changed(launch, mount, err);
	}
	return 0;
}
