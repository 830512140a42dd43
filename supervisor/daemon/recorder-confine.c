/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-role.h"

#include "apply/sys.h"
#include "plan/filter.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

/* What the recorder is left with when it serves: a log, its keys, the sockets of its clients. */

/* clang-format off */
static const char *const calls[] = {
	/* the log and its keys */
	"openat", "close", "read", "write", "pread64", "pwrite64", "fstat", "newfstatat", "lseek", "fsync", "fdatasync",
	"ftruncate", "fallocate", "renameat", "renameat2", "unlinkat", "getdents64", "fcntl",
	/* the clients */
	"accept4", "recvfrom", "recvmsg", "sendto", "sendmsg", "getsockopt", "epoll_wait", "epoll_pwait", "epoll_ctl",
	"timerfd_settime", "poll", "ppoll",
	/* memory, time, chance, the end */
	"brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "mlock", "munlock", "clock_gettime", "clock_nanosleep",
	"getrandom", "futex", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "geteuid",
	"getpid", "gettid", "tgkill", "exit", "exit_group",
};
/* clang-format on */

#if defined(__x86_64__)
#define OWN_MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE AUDIT_ARCH_AARCH64
#else
#error "berm knows x86_64 and aarch64"
#endif

static int compare_calls(const void *a, const void *b)
{
	const Berm__Wire__Syscall *const *left = a, *const *right = b;

	return (*left)->number < (*right)->number ? -1 : (*left)->number > (*right)->number;
}

static int load(const ProtobufCBinaryData *bytes, struct error *err)
{
	const struct sock_fprog program = {
		.len = (unsigned short)(bytes->len / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)(void *)bytes->data,
	};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return error_errno(err, "the recorder's list of system calls");
	return 0;
}

/* What is in no list fails. */
static int limit_calls(struct error *err)
{
	Berm__Wire__Syscall rows[array_size(calls)], *pointers[array_size(calls)];
	Berm__Wire__Seccomp seccomp;
	int r;

	berm__wire__seccomp__init(&seccomp);
	for (size_t i = 0; i < array_size(calls); i++) {
		int number = seccomp_syscall_resolve_name(calls[i]);

		/* A call that this machine does not have has a negative number. */
		if (number < 0)
			continue;
		pointers[seccomp.n_syscalls] = &rows[seccomp.n_syscalls];
		berm__wire__syscall__init(&rows[seccomp.n_syscalls]);
		rows[seccomp.n_syscalls].number = (uint32_t)number;
		rows[seccomp.n_syscalls++].action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW;
	}
	qsort(pointers, seccomp.n_syscalls, sizeof(pointers[0]), compare_calls);
	seccomp.audit_arch = OWN_MACHINE;
	seccomp.unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO;
	seccomp.unknown_errno = EPERM;
	seccomp.syscalls = pointers;
	r = filter_compile(&seccomp, err);
	if (r == 0)
		r = load(&seccomp.program, err);
	free(seccomp.program.data);
	return r;
}

static int allow_beneath(int ruleset, int fd, uint64_t access, struct error *err)
{
	const struct landlock_path_beneath_attr attr = {.allowed_access = access, .parent_fd = fd};

	if (sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PATH, &attr) < 0)
		return error_errno(err, "the recorder's own walls");
	return 0;
}

#define WRITE_FILES                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                     \
		LANDLOCK_ACCESS_FS_MAKE_REG)

/* Nothing but the two directories, the socket's name, and /proc, where it is read who asks. */
static int limit_files(int state_fd, int log_fd, int key_fd, struct error *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct sys_landlock_ruleset attr = {.handled_fs = (1ULL << 13) - 1};
	size_t size = offsetof(struct sys_landlock_ruleset, handled_net);
	autoclose int ruleset = -1, proc = -1;
	uint64_t truncate = abi >= 3 ? SYS_LANDLOCK_FS_TRUNCATE : 0;
	int r;

	if (abi < 1)
		return 0; /* the list of system calls is left */
	if (abi >= 2)
		attr.handled_fs |= LANDLOCK_ACCESS_FS_REFER;
	attr.handled_fs |= truncate;
	if (abi >= 5)
		attr.handled_fs |= SYS_LANDLOCK_FS_IOCTL_DEV;
	if (abi >= 4) {
		attr.handled_net = 3; /* bind and connect, TCP */
		size = offsetof(struct sys_landlock_ruleset, scoped);
	}
	if (abi >= 6) {
		attr.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
		size = sizeof(attr);
	}
	ruleset = sys_landlock_create_ruleset(&attr, size, 0);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ruleset < 0 || proc < 0)
		return error_errno(err, "the recorder's own walls");
	r = allow_beneath(ruleset, log_fd, WRITE_FILES | truncate, err);
	if (r == 0)
		r = allow_beneath(ruleset, key_fd, WRITE_FILES | truncate, err);
	if (r == 0)
		r = allow_beneath(ruleset, state_fd,
			LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_SOCK, err);
	if (r == 0)
		r = allow_beneath(ruleset, proc, LANDLOCK_ACCESS_FS_READ_FILE, err);
	if (r == 0 && sys_landlock_restrict_self(ruleset, 0) < 0)
		r = error_errno(err, "the recorder's own walls");
	return r;
}

/* The bounding set can be emptied by who may set it; for others an exec gives nothing, since there
 * are no new privileges. */
static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, "clear the recorder's capabilities");
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, "drop the recorder's capabilities");
	return 0;
}

int recorder_confine(int state_fd, int log_fd, int key_fd, struct error *err)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
			? error_errno(err, "the recorder's privileges")
			: limit_files(state_fd, log_fd, key_fd, err);

	if (r == 0)
		r = drop_capabilities(err);
	return r < 0 ? r : limit_calls(err);
}
