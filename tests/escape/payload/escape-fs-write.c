/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is protected. Targets: W writable grant with a repository, RO read-only grant with
 * "file" in it, D directory that is not granted. The protected names are those of the profiles:
 * .git/hooks, .git/config … */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/acct.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <utime.h>

static const char *const protected_files[] = {
	".git/hooks/pre-commit", ".git/config", ".claude/settings.json"};
static const char *const absent_files[] = {".mcp.json", ".envrc", ".git/hooks/post-checkout",
	".vscode/tasks.json", "fresh/.git/hooks/pre-commit"};

static void replace_one(const char *path)
{
	const char *evil = below("W", "evil");

	deface_path(path);
	deface(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	if (truncate(path, 0))
		note("truncate %s: %s", path, strerror(errno));
	write_text(evil, "evil\n");
	if (renameat2(AT_FDCWD, evil, AT_FDCWD, path, RENAME_EXCHANGE))
		note("exchange %s: %s", path, strerror(errno));
	write_text(evil, "evil\n");
	if (rename(evil, path))
		note("rename onto %s: %s", path, strerror(errno));
	if (unlink(path))
		note("unlink %s: %s", path, strerror(errno));
	write_text(evil, "evil\n");
	if (link(evil, path))
		note("link onto %s: %s", path, strerror(errno));
	if (symlink(evil, path))
		note("symlink at %s: %s", path, strerror(errno));
	write_text(path, "evil\n");
	if (chmod(path, 0777))
		note("chmod %s: %s", path, strerror(errno));
}

static void replace_protected(void)
{
	for (size_t i = 0; i < array_size(protected_files); i++)
		replace_one(below("W", protected_files[i]));
}

/* What cannot be changed may still be carried away with its parent, and another tree put in its
 * place. */
static void replace_parent(void)
{
	static const char *const parents[] = {".git", ".claude", ".git/hooks"};
	char away[64];

	for (size_t i = 0; i < array_size(parents); i++) {
		const char *parent = below("W", parents[i]);
		const char *to;

		snprintf(away, sizeof(away), "away-%zu", i);
		to = below("W", away);
		if (rename(parent, to))
			note("rename %s: %s", parent, strerror(errno));
		if (mkdir(to, 0755) && errno != EEXIST)
			note("mkdir: %s", strerror(errno));
		if (renameat2(AT_FDCWD, parent, AT_FDCWD, to, RENAME_EXCHANGE))
			note("exchange %s: %s", parent, strerror(errno));
		if (rmdir(parent) && unlink(parent))
			note("remove %s: %s", parent, strerror(errno));
		if (symlink("away-0", parent))
			note("symlink %s: %s", parent, strerror(errno));
		mkdir(parent, 0755);
	}
	mkdir(below("W", ".git/hooks"), 0755);
	for (size_t i = 0; i < array_size(protected_files); i++)
		write_text(below("W", protected_files[i]), "evil\n");
}

/* Names that were not there when the run began. */
static void create_absent(void)
{
	mkdir(below("W", ".git"), 0755);
	mkdir(below("W", ".git/hooks"), 0755);
	mkdir(below("W", ".vscode"), 0755);
	for (size_t i = 0; i < array_size(absent_files); i++) {
		const char *path = below("W", absent_files[i]);
		const char *evil = below("W", "evil-new");

		note("%s: %d", path, write_text(path, "evil\n"));
		write_text(evil, "evil\n");
		if (rename(evil, path) && link(evil, path) && symlink(evil, path))
			note("%s: %s", path, strerror(errno));
	}
}

/* The reserved name taken away and made again: what stands there is berm's own placeholder. */
static void remove_placeholder(void)
{
	static const char *const names[] = {".mcp.json", ".envrc", ".vscode"};

	for (size_t i = 0; i < array_size(names); i++) {
		const char *path = below("W", names[i]);
		const char *other = below("W", "other-dir");

		if (rmdir(path) && unlink(path))
			note("remove %s: %s", path, strerror(errno));
		mkdir(other, 0755);
		if (renameat2(AT_FDCWD, other, AT_FDCWD, path, RENAME_EXCHANGE) &&
			rename(other, path))
			note("rename %s: %s", path, strerror(errno));
		write_text(path, "evil\n");
		write_text(below("W", ".vscode/tasks.json"), "evil\n");
		if (symlink("/etc", path))
			note("symlink %s: %s", path, strerror(errno));
	}
}

/* The way to a protected name goes through a link: a mount can hold neither the link nor its name.
 */
static void replace_link(void)
{
	const char *link_path = below("W", "conf");

	if (unlink(link_path) && rename(link_path, below("W", "conf-gone")))
		note("unlink: %s", strerror(errno));
	if (mkdir(link_path, 0755))
		note("mkdir: %s", strerror(errno));
	note("%s: %d", link_path, write_text(below("W", "conf/settings"), "evil\n"));
}

/* Every verb that changes a file or directory of the read-only grant. */
static void change_read_only(void)
{
	const char *file = below("RO", "file"), *made = below("RO", "made");
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
	autoclose int temporary = open(target("RO"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	struct utimbuf times = {0};
	int flags = FS_NODUMP_FL;
	char link[64];

	deface_path(file);
	if (truncate(file, 1))
		note("truncate: %s", strerror(errno));
	if (chmod(file, 0777))
		note("chmod: %s", strerror(errno));
	if (utime(file, &times))
		note("utime: %s", strerror(errno));
	if (setxattr(file, "user.berm", "x", 1, 0))
		note("setxattr: %s", strerror(errno));
	if (fd >= 0 && (fchmod(fd, 0777) || ioctl(fd, FS_IOC_SETFLAGS, &flags)))
		note("fchmod, ioctl: %s", strerror(errno));
	write_text(made, "made\n");
	mkdir(made, 0755);
	if (symlink("x", below("RO", "made-link")))
		note("symlink: %s", strerror(errno));
	if (mkfifo(below("RO", "made-fifo"), 0644))
		note("mkfifo: %s", strerror(errno));
	if (rename(file, below("RO", "renamed")))
		note("rename: %s", strerror(errno));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", temporary);
	if (temporary >= 0 && linkat(AT_FDCWD, link, AT_FDCWD, made, AT_SYMLINK_FOLLOW))
		note("linkat: %s", strerror(errno));
	if (unlink(file))
		note("unlink: %s", strerror(errno));
}

static void map_read_only(void)
{
	autoclose int fd = open(below("RO", "file"), O_RDWR | O_CLOEXEC);
	autoclose int reader = open(below("RO", "file"), O_RDONLY | O_CLOEXEC);
	char *bytes = MAP_FAILED;

	if (fd >= 0)
		bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED && reader >= 0) {
		bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0);
		if (bytes != MAP_FAILED && mprotect(bytes, 4096, PROT_READ | PROT_WRITE)) {
			note("mprotect: %s", strerror(errno));
			return;
		}
	}
	if (bytes != MAP_FAILED)
		memcpy(bytes, "defaced", 7);
}

static void make_nodes(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		unsigned int major, minor;
	} nodes[] = {{"node-disk", S_IFBLK | 0666, 254, 0}, {"node-mem", S_IFCHR | 0666, 1, 1},
		{"node-kmsg", S_IFCHR | 0666, 1, 11}, {"node-null", S_IFCHR | 0666, 1, 3}};

	for (size_t i = 0; i < array_size(nodes); i++) {
		const char *path = below("W", nodes[i].name);
		autoclose int fd = -1;

		if (mknod(path, nodes[i].mode, makedev(nodes[i].major, nodes[i].minor)))
			note("mknod %s: %s", nodes[i].name, strerror(errno));
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			proof("%s opened", nodes[i].name);
	}
}

/* A device node that somebody else left in the writable tree. */
static void open_planted_node(void)
{
	autoclose int fd = open(below("W", "planted-node"), O_RDWR | O_NONBLOCK | O_CLOEXEC);

	got(fd, "open planted device");
}

static void whiteouts(void)
{
	write_text(below("W", "white-from"), "x\n");
	if (renameat2(AT_FDCWD, below("W", "white-from"), AT_FDCWD, below("W", "white-to"),
		    RENAME_WHITEOUT))
		note("whiteout: %s", strerror(errno));
	if (mknod(below("W", "white-node"), S_IFCHR, makedev(0, 0)))
		note("mknod 0:0: %s", strerror(errno));
}

/* Let the kernel write: process accounting, swap, quota and core files. */
static void kernel_writes(void)
{
	if (acct(below("D", "acct")))
		note("acct: %s", strerror(errno));
	else
		proof("acct works");
	got(swapon(below("D", "acct"), 0), "swapon");
	got(syscall(SYS_quotactl_fd, 0, 0x800002 /* Q_GETFMT, user */, 0, NULL), "quotactl_fd");
}

static void core_dump(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(target("RO")) || setrlimit(RLIMIT_CORE, &unlimited))
			note("core: %s", strerror(errno));
		raise(SIGSEGV);
		abort();
	}
	waitpid(pid, NULL, 0);
}

/* Files of the tool may belong to somebody on the disk: a set-id bit would hand out his rights. */
static void set_id(void)
{
	const char *path = below("W", "setid"), *made = below("W", "setid-made"),
		   *at = below("W", "setid-at");
	autoclose int fd = -1;

	write_text(path, "#!/bin/sh\n");
	if (chmod(path, 04755))
		note("chmod: %s", strerror(errno));
	if (fchmodat(AT_FDCWD, path, 02755, 0))
		note("fchmodat: %s", strerror(errno));
	if (syscall(452 /* fchmodat2 */, AT_FDCWD, path, 06755, 0))
		note("fchmodat2: %s", strerror(errno));
	fd = open(made, O_CREAT | O_WRONLY | O_CLOEXEC, 04755);
	if (fd >= 0 && fchmod(fd, 06711))
		note("fchmod: %s", strerror(errno));
	if (mknod(at, S_IFREG | 04755, 0))
		note("mknod: %s", strerror(errno));
	if (mkdir(below("W", "setid-dir"), 02777))
		note("mkdir: %s", strerror(errno));
}

static void file_capabilities(void)
{
	/* version 2, effective, every capability permitted */
	static const uint32_t all[] = {0x02000001, 0xffffffff, 0, 0xffffffff, 0};
	const char *path = below("W", "capable");

	write_text(path, "x\n");
	if (setxattr(path, "security.capability", all, sizeof(all), 0))
		note("setxattr: %s", strerror(errno));
}

static void private_places(void)
{
	write_text(target("TMPFILE"), "planted\n");
	write_text(target("SHMFILE"), "planted\n");
	write_text(target("HOMEFILE"), "planted\n");
}

const struct technique fs_write_techniques[] = {
	{"F07", "replace-protected", "mounts", replace_protected},
	{"F07", "replace-parent", "mounts", replace_parent},
	{"F07", "replace-link", "supervisor", replace_link},
	{"F08", "create-absent", "mounts", create_absent},
	{"F08", "remove-placeholder", "mounts", remove_placeholder},
	{"F10", "change-read-only", "mounts, landlock", change_read_only},
	{"F10", "map-read-only", "mounts, landlock", map_read_only},
	{"F13", "make-nodes", "capabilities, seccomp, mounts", make_nodes},
	{"F13", "open-planted-node", "mounts, landlock", open_planted_node},
	{"F16", "kernel-writes", "seccomp, capabilities", kernel_writes},
	{"F16", "core-dump", "rlimits, mounts", core_dump},
	{"F17", "whiteouts", "seccomp, landlock", whiteouts},
	{"F13", "set-id", "seccomp", set_id},
	{"F13", "file-capabilities", "capabilities", file_capabilities},
	{"F01", "private-places", "namespaces", private_places},
	{0},
};
