/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel attack surface: only whether the entry can be reached. Nothing is exploited. */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_alg.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static void rings(void)
{
	char parameters[256] = "";

	got(syscall(SYS_io_uring_setup, 4, parameters), "io_uring_setup");
	if (syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 && errno == EBADF)
		proof("io_uring_enter is reached");
	if (syscall(SYS_io_uring_register, -1, 0, NULL, 0) < 0 && errno == EBADF)
		proof("io_uring_register is reached");
}

static struct sock_filter notify_all[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* The most recent filter that asks for a notification wins: a listener of the tool's own would
 * answer CONTINUE. */
static void own_listener(void)
{
	struct sock_fprog program = {array_size(notify_all), notify_all};
	static const unsigned long flags[] = {SECCOMP_FILTER_FLAG_NEW_LISTENER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
			SECCOMP_FILTER_FLAG_TSYNC,
		SECCOMP_FILTER_FLAG_NEW_LISTENER | (1UL << 5),
		SECCOMP_FILTER_FLAG_NEW_LISTENER | (1UL << 32)};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (size_t i = 0; i < array_size(flags); i++) {
		long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i], &program);

		if (fd > 2)
			proof("listener with flags %#lx", flags[i]);
		else
			note("listener: %s", strerror(errno));
	}
}

static void own_listener_child(void)
{
	named_variant("listener", own_listener);
}

/* Stop the child at the entry of a harmless call and put another number there: the filter has to
 * look again. */
static void rewrite_number(void)
{
	struct user_regs_struct registers;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		raise(SIGSTOP);
		/* Becomes unshare(CLONE_NEWUSER) on the way. */
		_exit(syscall(SYS_getppid, 0x10000000) == 0 ? 42 : 2);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status)) {
		note("ptrace of a child is refused");
		return;
	}
	for (int stops = 0; stops < 64; stops++) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) || waitpid(pid, &status, 0) < 0 ||
			!WIFSTOPPED(status))
			break;
		if (ptrace(PTRACE_GETREGS, pid, 0, &registers))
			break;
		if (registers.orig_rax == SYS_getppid && (long)registers.rax == -ENOSYS) {
			registers.orig_rax = SYS_unshare;
			ptrace(PTRACE_SETREGS, pid, 0, &registers);
		}
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
		proof("a call that was put in by the tracer went through");
	else
		note("child: %#x", (unsigned int)status);
	kill(pid, SIGKILL);
}

static void page_cache_tools(void)
{
	struct sockaddr_alg alg = {
		.salg_family = AF_ALG, .salg_type = "aead", .salg_name = "gcm(aes)"};
	int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
	int ends[2];
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd >= 0) {
		proof("AF_ALG socket");
		got(bind(fd, (struct sockaddr *)&alg, sizeof(alg)), "AF_ALG bind");
	}
	if (!pipe(ends)) {
		struct iovec piece = {page, 4096};

		if (vmsplice(ends[1], &piece, 1, SPLICE_F_GIFT) > 0)
			proof("vmsplice with SPLICE_F_GIFT");
	}
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
	got(fd, "NETLINK_XFRM");
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	got(fd, "NETLINK_NETFILTER");
	fd = socket(AF_KEY, SOCK_RAW, 2);
	got(fd, "AF_KEY");
}

static void tls_layer(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(server, (struct sockaddr *)&address, length) || listen(server, 1) ||
		getsockname(server, (struct sockaddr *)&address, &length) ||
		connect(client, (struct sockaddr *)&address, length))
		note("loopback: %s", strerror(errno));
	if (!setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", 3) || errno == ENOENT)
		proof("TCP_ULP is reached: %s", strerror(errno));
	if (!setsockopt(client, SOL_SOCKET, SO_ATTACH_BPF, &(int){-1}, sizeof(int)) ||
		errno == EBADF)
		proof("SO_ATTACH_BPF is reached");
}

static void load_programs(void)
{
	struct bpf_insn instructions[] = {{.code = 0xb7}, {.code = 0x95}};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)instructions,
		.insn_cnt = 2,
		.license = (uintptr_t) "GPL"};

	got(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), "bpf load");
	memset(&attr, 0, sizeof(attr));
	if (!syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr)) || errno == ENOENT)
		proof("bpf ids can be listed");
	memset(&attr, 0, sizeof(attr));
	attr.map_id = 1;
	if (syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof(attr)) >= 0 || errno == ENOENT)
		proof("bpf maps can be asked for");
	attr.pathname = (uintptr_t) "/sys/fs/bpf/berm";
	if (syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)) >= 0 || errno == ENOENT)
		proof("bpf pins can be asked for");
}

static void risky_calls(void)
{
	struct perf_event_attr perf = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(perf), .exclude_kernel = 1};

	got(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */), "userfaultfd");
	got(syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0), "perf_event_open");
	got(syscall(SYS_add_key, "user", "berm", "x", 1, KEY_SPEC_SESSION_KEYRING), "add_key");
	got(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1), "keyctl");
	got(syscall(SYS_request_key, "user", "berm", NULL, KEY_SPEC_SESSION_KEYRING),
		"request_key");
	got(syscall(SYS_setns, open("/proc/self/ns/uts", O_RDONLY), 0), "setns");
	if (syscall(SYS_init_module, NULL, 0, "") < 0 && errno == EFAULT)
		proof("init_module is reached");
	if (syscall(SYS_kexec_load, 0, 0, NULL, 0) == 0)
		proof("kexec_load is reached");
	if (syscall(SYS_settimeofday, NULL, NULL) == 0)
		proof("settimeofday is reached");
	if (syscall(SYS_sethostname, "berm-escaped", 12) == 0)
		proof("sethostname works");
}

/* What tells an attacker where the kernel lies, and what other people's memory holds. */
static void information(void)
{
	static const char *const files[] = {"/proc/kallsyms", "/proc/kcore", "/proc/config.gz",
		"/proc/kmsg", "/dev/kmsg", "/dev/mem", "/sys/kernel/btf/vmlinux",
		"/proc/sys/kernel/core_pattern", "/proc/timer_list", "/proc/keys",
		"/proc/sched_debug", "/sys/kernel/notes", "/proc/vmallocinfo", "/proc/iomem",
		"/proc/modules", "/sys/class/net/lo/address", "/sys/kernel/vmcoreinfo"};
	char log[4096];

	for (size_t i = 0; i < array_size(files); i++) {
		autoclose int fd = open(files[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		char bytes[32];
		ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

		/* Symbols without addresses tell nothing. */
		if (n > 0 && !(i == 0 && !strncmp(bytes, "0000000000000000", 16)))
			printf("READABLE %s\n", files[i]);
	}
	got(klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log)), "kernel log");
}

/* A busy user of the filter itself: very many filters of its own must not make the kernel forget
 * the first. */
static void stack_filters(void)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {1, allow};
	int made = 0;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	while (made < 100 && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
		made++;
	note("%d filters", made);
	if (!syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */))
		proof("unshare after %d filters of our own", made);
}

static void stack_filters_child(void)
{
	named_variant("filters", stack_filters);
}

const struct technique kernel_techniques[] = {
	{"K05", "rings", "seccomp", rings},
	{"K07", "own-listener", "seccomp", own_listener_child},
	{"K07", "stack-filters", "seccomp", stack_filters_child},
	{"K08", "rewrite-number", "seccomp", rewrite_number},
	{"K11", "page-cache-tools", "seccomp", page_cache_tools},
	{"K11", "tls-layer", "seccomp", tls_layer},
	{"S07", "load-programs", "seccomp", load_programs},
	{"K10", "risky-calls", "seccomp", risky_calls},
	{"K13", "information", "namespaces", information},
	{0},
};
