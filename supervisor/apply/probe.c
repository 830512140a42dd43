/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/probe.h"

#include "apply/probe-bpf.h"
#include "base/io.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILD_STACK_BYTES 16384
#define ID_MAP_LINE "0 0 1\n"

int probe_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi > 0 ? (int)abi : 0;
}

static int return_at_once(void *unused)
{
	(void)unused;
	return 0;
}

int probe_namespaces_quickly(int clone_flags)
{
	char stack[CHILD_STACK_BYTES] __attribute__((aligned(16)));
	/* Without a termination signal the child never shows up in a SIGCHLD of the caller. */
	pid_t pid = clone(
		return_at_once, stack + sizeof(stack), clone_flags | CLONE_VM | CLONE_VFORK, NULL);

	if (pid < 0)
		return -errno;
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	return 0;
}

int probe_notify_quickly(void)
{
	unsigned action = SECCOMP_RET_USER_NOTIF;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
		return -errno;
	/* Under a filter of somebody else only trying tells: one listener is allowed in a chain of
	 * filters. */
	return prctl(PR_GET_SECCOMP) == 0 ? 0 : probe_feature(PROBE_NOTIFY);
}

/* Run try in a forked child; what it returns comes back as the exit status, so it must be 0 to
 * -255. */
static int in_child(int (*try)(void))
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-try() & 0xff);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static int try_landlock(void)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE};
	autoclose int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	autoclose int probe = -1;

	if (ruleset < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return -errno;
	probe = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	return probe >= 0 ? -ENOTRECOVERABLE : errno == EACCES ? 0 : -errno;
}

static int install_filter(unsigned flags)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = array_size(allow), .filter = allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0 ? -errno : 0;
}

static int try_seccomp(void)
{
	return install_filter(0);
}

static int try_notify(void)
{
	return install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* Making a UTS namespace needs CAP_SYS_ADMIN in the new user namespace, which AppArmor may withhold
 * although the user namespace itself is made (apparmor_restrict_unprivileged_userns). */
static int try_user_namespace(void)
{
	return unshare(CLONE_NEWUSER) < 0 || unshare(CLONE_NEWUTS) < 0 ? -errno : 0;
}

static int try_network_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	return unshare(CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

/* A user namespace to map with: a child in it that waits until its pipe closes. */
static int open_mapped_namespace(void)
{
	int gate[2], fd = -1;
	char path[64], byte;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(gate[0]);
	if (pid > 0) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
		if (io_write_file(AT_FDCWD, path, ID_MAP_LINE, NULL) == 0) {
			snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
			if (io_write_file(AT_FDCWD, path, ID_MAP_LINE, NULL) == 0) {
				snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
				fd = open(path, O_RDONLY | O_CLOEXEC);
			}
		}
	}
	if (fd < 0)
		fd = -errno;
	close(gate[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return fd;
}

static int try_id_map(void)
{
	autoclose int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int number = errno;
	autoclose int space = open_mapped_namespace();
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)space};

	if (tree < 0)
		return -number;
	if (space < 0)
		return space;
	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* Without a map nothing can be made in what is mounted there (EOVERFLOW, user_namespaces(7)). */
static int map_oneself(uid_t uid, gid_t gid)
{
	char line[64];
	int r = io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", NULL);

	snprintf(line, sizeof(line), "0 %u 1", uid);
	r = r < 0 ? r : io_write_file(AT_FDCWD, "/proc/self/uid_map", line, NULL);
	snprintf(line, sizeof(line), "0 %u 1", gid);
	return r < 0 ? r : io_write_file(AT_FDCWD, "/proc/self/gid_map", line, NULL);
}

/* Over two empty directories of a tmpfs, all of which goes with the namespace. */
static int try_overlay(void)
{
	static const char *const names[] = {"/proc/lower", "/proc/upper", "/proc/work"};
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	r = map_oneself(uid, gid);
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", "/proc", "tmpfs", 0, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < array_size(names); i++)
		if (mkdir(names[i], 0700) < 0)
			return -errno;
	return mount("overlay", "/proc", "overlay", 0,
		       "lowerdir=/proc/lower,upperdir=/proc/upper,workdir=/proc/work,userxattr") < 0
		       ? -errno
		       : 0;
}

static int (*const trials[PROBE_COUNT])(void) = {
	[PROBE_LANDLOCK] = try_landlock,
	[PROBE_SECCOMP] = try_seccomp,
	[PROBE_NOTIFY] = try_notify,
	[PROBE_USER_NAMESPACE] = try_user_namespace,
	[PROBE_NETWORK_NAMESPACE] = try_network_namespace,
	[PROBE_ID_MAP] = try_id_map,
	[PROBE_BPF_LSM] = probe_bpf_lsm_load,
	[PROBE_OVERLAY] = try_overlay,
};

int probe_feature(enum probe_feature feature)
{
	return in_child(trials[feature]);
}
