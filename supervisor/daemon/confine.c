/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/confine.h"

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
#include <sys/stat.h>

#define EVERY (1U << 31)
#define WALLS "the walls of a process of berm's own"

/* clang-format off */
static const struct {
	const char *name;
	unsigned calls; /* enum confine_calls; any of them */
} known[] = {
	{"openat",            CONFINE_FILES},
	{"newfstatat",        CONFINE_FILES},
	{"faccessat",         CONFINE_FILES},
	{"faccessat2",        CONFINE_FILES},
	{"pread64",           CONFINE_FILES},
	{"pwrite64",          CONFINE_FILES},
	{"fsync",             CONFINE_FILES},
	{"fdatasync",         CONFINE_FILES},
	{"ftruncate",         CONFINE_FILES},
	{"fallocate",         CONFINE_FILES},
	{"renameat",          CONFINE_FILES},
	{"renameat2",         CONFINE_FILES},
	{"unlinkat",          CONFINE_FILES},
	{"getdents64",        CONFINE_FILES},
	{"flock",             CONFINE_FILES},
	{"mlock",             CONFINE_KEYS},
	{"munlock",           CONFINE_KEYS},
	{"accept4",           CONFINE_CLIENTS},
	{"getsockopt",        CONFINE_CLIENTS},
	{"epoll_wait",        CONFINE_CLIENTS},
	{"epoll_pwait",       CONFINE_CLIENTS},
	{"epoll_ctl",         CONFINE_CLIENTS},
	{"timerfd_settime",   CONFINE_CLIENTS},
	{"recvmsg",           CONFINE_CLIENTS},
	{"recvfrom",          CONFINE_CLIENTS | CONFINE_MESSAGES},
	{"sendto",            CONFINE_CLIENTS | CONFINE_MESSAGES},
	{"sendmsg",           CONFINE_CLIENTS | CONFINE_DATAGRAMS},
	{"memfd_create",      CONFINE_DATAGRAMS},
	{"pipe2",             CONFINE_PIPES},
	{"clone",             CONFINE_CHILDREN},
	{"set_robust_list",   CONFINE_CHILDREN},
	{"close",             EVERY},
	{"read",              EVERY},
	{"write",             EVERY},
	{"fstat",             EVERY},
	{"lseek",             EVERY},
	{"fcntl",             EVERY},
	{"poll",              EVERY},
	{"ppoll",             EVERY},
	{"brk",               EVERY},
	{"mmap",              EVERY},
	{"munmap",            EVERY},
	{"mremap",            EVERY},
	{"madvise",           EVERY},
	{"mprotect",          EVERY},
	{"clock_gettime",     EVERY},
	{"clock_nanosleep",   EVERY},
	{"getrandom",         EVERY},
	{"futex",             EVERY},
	{"rt_sigaction",      EVERY},
	{"rt_sigprocmask",    EVERY},
	{"rt_sigreturn",      EVERY},
	{"sigaltstack",       EVERY},
	{"restart_syscall",   EVERY},
	{"geteuid",           EVERY},
	{"getpid",            EVERY},
	{"gettid",            EVERY},
	{"tgkill",            EVERY},
	{"exit",              EVERY},
	{"exit_group",        EVERY},
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
		return error_errno(err, "the list of system calls");
	return 0;
}

/* What is in no list fails. */
static int limit_calls(unsigned wanted, struct error *err)
{
	Berm__Wire__Syscall rows[array_size(known)], *pointers[array_size(known)];
	Berm__Wire__Seccomp seccomp;
	int r;

	berm__wire__seccomp__init(&seccomp);
	for (size_t i = 0; i < array_size(known); i++) {
		int number = known[i].calls & (wanted | EVERY)
				     ? seccomp_syscall_resolve_name(known[i].name)
				     : -1;

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

/* The kernel refuses other rights in a rule about something that is no directory. */
#define FILE_RIGHTS                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | SYS_LANDLOCK_FS_TRUNCATE)

static int allow_beneath(
	int ruleset, const struct confine_place *place, uint64_t handled, struct error *err)
{
	static const uint64_t rights[] = {
		[CONFINE_READ] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
		[CONFINE_WRITE] = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				  LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG | SYS_LANDLOCK_FS_TRUNCATE,
		[CONFINE_SOCKETS] = LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_SOCK,
		[CONFINE_LOOK] = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	struct landlock_path_beneath_attr attr = {
		.allowed_access = rights[place->access] & handled, .parent_fd = place->fd};
	struct stat st;

	if (place->fd < 0)
		return 0;
	if (fstat(place->fd, &st) < 0)
		return error_errno(err, WALLS);
	if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= FILE_RIGHTS;

	if (sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PATH, &attr) < 0)
		return error_errno(err, WALLS);
	return 0;
}

static int limit_files(const struct confine_place *places, size_t count, struct error *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct sys_landlock_ruleset attr = {.handled_fs = (1ULL << 13) - 1};
	size_t size = offsetof(struct sys_landlock_ruleset, handled_net);
	autoclose int ruleset = -1;
	int r = 0;

	if (abi < 1)
		return 0; /* the list of system calls is left */
	if (abi >= 2)
		attr.handled_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_fs |= SYS_LANDLOCK_FS_TRUNCATE;
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
	if (ruleset < 0)
		return error_errno(err, WALLS);
	for (size_t i = 0; i < count && r == 0; i++)
		r = allow_beneath(ruleset, &places[i], attr.handled_fs, err);
	if (r == 0 && sys_landlock_restrict_self(ruleset, 0) < 0)
		r = error_errno(err, WALLS);
	return r;
}

/* The bounding set can be emptied by who may set it; for others an exec gives nothing, since there
 * are no new privileges. */
static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, "clear the capabilities");
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, "drop the capabilities");
	return 0;
}

int confine(unsigned calls, const struct confine_place *places, size_t count, struct error *err)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
			? error_errno(err, "give up new privileges")
			: limit_files(places, count, err);

	if (r == 0)
		r = drop_capabilities(err);
	return r < 0 ? r : limit_calls(calls, err);
}
