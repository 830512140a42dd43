/* SPDX-License-Identifier: Apache-2.0 */
/* Rights that should be gone. Targets: GROUPFILE a file that only a supplementary group of the
 * supervisor may read. */
#include "payload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void join_namespaces(void)
{
	static const char *const kinds[] = {
		"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "pid_for_children"};
	char path[64];

	for (pid_t pid = 1; pid < 64; pid++)
		for (size_t i = 0; i < array_size(kinds); i++) {
			autoclose int fd = -1;

			snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0 && !syscall(SYS_setns, fd, 0))
				proof("joined %s", path);
		}
	/* A whole process at once, by pidfd. */
	for (pid_t pid = 1; pid < 8; pid++) {
		autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);

		if (fd >= 0 && !syscall(SYS_setns, fd, 0x7c020000))
			proof("joined the namespaces of %d", pid);
	}
	/* On the host this is allowed for a namespace of one's own. */
	if (target_or("OWN", NULL)) {
		autoclose int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

		if (!syscall(SYS_setns, fd, 0))
			proof("setns is reached");
	}
}

static void supplementary_groups(void)
{
	gid_t groups[64];
	gid_t wanted = 0;
	int count = getgroups(array_size(groups), groups);

	for (int i = 0; i < count; i++)
		if (groups[i] != getgid() && groups[i] != 65534)
			note("group %u", groups[i]);
	spill_path(target("GROUPFILE"));
	if (!setgroups(1, &wanted))
		proof("setgroups");
}

static void regain_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};

	if (!syscall(SYS_capset, &header, data))
		proof("capset of everything");
	if (getuid() && (!setuid(0) || !setreuid(0, 0) || !setresuid(0, 0, 0)))
		proof("uid 0 again");
	if (getgid() && (!setgid(0) || !setresgid(0, 0, 0)))
		proof("gid 0 again");
	if (!prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))
		proof("no_new_privs taken back");
	if (!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))
		proof("ambient capability");
	if (!prctl(PR_SET_SECUREBITS, 0, 0, 0, 0))
		proof("securebits");
	setfsuid(0);
	if (getuid() && setfsuid(-1U) == 0)
		proof("fsuid 0");
}

/* Values that act on the whole host when written. The driver compares them before and after. */
static void write_host_values(void)
{
	static const char *const files[] = {"/proc/sys/kernel/core_pattern",
		"/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
		"/proc/sys/kernel/randomize_va_space", "/proc/sysrq-trigger",
		"/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper",
		"/proc/sys/net/ipv4/ip_forward", "/proc/sys/vm/overcommit_memory",
		"/proc/sys/kernel/pid_max", "/proc/sys/kernel/ns_last_pid",
		"/proc/sys/user/max_user_namespaces", "/proc/sys/vm/memfd_noexec",
		"/proc/1/oom_score_adj"};

	if (target_or("FILE", NULL)) {
		deface_path(target("FILE"));
		return;
	}
	for (size_t i = 0; i < array_size(files); i++) {
		autoclose int fd = open(files[i], O_WRONLY | O_CLOEXEC);

		if (fd >= 0) {
			printf("WRITABLE %s\n", files[i]);
			if (write(fd, "1\n", 2) == 2)
				proof("wrote %s", files[i]);
		}
	}
}

static void own_process_values(void)
{
	static const struct {
		const char *file, *value;
	} values[] = {{"/proc/self/oom_score_adj", "-1000"}, {"/proc/self/loginuid", "0"},
		{"/proc/self/attr/current", "unconfined"}, {"/proc/self/uid_map", "0 0 1"},
		{"/proc/self/gid_map", "0 0 1"}, {"/proc/self/setgroups", "allow"},
		{"/proc/self/timerslack_ns", "1"}, {"/proc/1/timerslack_ns", "1"},
		{"/proc/1/oom_score_adj", "1000"}, {"/proc/1/coredump_filter", "0"},
		{"/proc/1/comm", "escaped"}, {"/proc/1/autogroup", "10"},
		{"/proc/1/clear_refs", "1"}};

	for (size_t i = 0; i < array_size(values); i++) {
		autoclose int fd = open(values[i].file, O_WRONLY | O_CLOEXEC);

		if (fd >= 0 && write(fd, values[i].value, strlen(values[i].value)) > 0)
			printf("WROTE %s\n", values[i].file);
	}
}

const struct technique caps_techniques[] = {
	{"C04", "join-namespaces", "seccomp, namespaces", join_namespaces},
	{"C05", "supplementary-groups", "identity", supplementary_groups},
	{"C01", "regain-rights", "identity, no_new_privs", regain_rights},
	{"C08", "write-host-values", "namespaces, identity", write_host_values},
	{"S05", "own-process-values", "namespaces", own_process_values},
	{0},
};
