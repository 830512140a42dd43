/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "policy/calls.h"

#include <string.h>
#include <sys/socket.h>

/* clang-format off */
#define BOTH      { [SYSCALL_BASE_DEFAULT] = true, [SYSCALL_BASE_STRICT] = true }
#define DEFAULT   { [SYSCALL_BASE_DEFAULT] = true }
#define NEITHER   { false }

static const struct calls_group_entry groups[CALLS_GROUP_COUNT] = {
	[CALLS_FILE_IO]       = { "file-io",       BOTH,    "read, write and control of open files" },
	[CALLS_PATH]          = { "path",          BOTH,    "open, create, rename, remove and look at files by path" },
	[CALLS_XATTR]         = { "xattr",         BOTH,    "extended attributes" },
	[CALLS_WATCH]         = { "watch",         BOTH,    "inotify" },
	[CALLS_MEMORY]        = { "memory",        BOTH,    "the process's own memory" },
	[CALLS_NUMA]          = { "numa",          DEFAULT, "placement of memory on nodes" },
	[CALLS_PROCESS]       = { "process",       BOTH,    "start, run, wait for and end processes" },
	[CALLS_THREAD]        = { "thread",        BOTH,    "futexes and thread state" },
	[CALLS_SIGNAL]        = { "signal",        BOTH,    "signals" },
	[CALLS_IDENTITY]      = { "identity",      BOTH,    "user and group ids, capabilities" },
	[CALLS_SECURITY]      = { "security",      BOTH,    "seccomp and Landlock, to confine itself further" },
	[CALLS_TIME]          = { "time",          BOTH,    "clocks (reading), sleeps and timers" },
	[CALLS_POLL]          = { "poll",          BOTH,    "poll, select, epoll, eventfd" },
	[CALLS_SCHED]         = { "sched",         BOTH,    "scheduling, priority and affinity" },
	[CALLS_SYSTEM]        = { "system",        BOTH,    "uname, sysinfo, getrandom" },
	[CALLS_NETWORK]       = { "network",       BOTH,    "sockets, of the families listed" },
	[CALLS_IPC]           = { "ipc",           DEFAULT, "System V and POSIX queues, semaphores, shared memory" },
	[CALLS_AIO]           = { "aio",           DEFAULT, "Linux native asynchronous input and output" },
	[CALLS_MOUNT]         = { "mount",         NEITHER, "mounts, chroot, pivot_root" },
	[CALLS_NAMESPACE]     = { "namespace",     NEITHER, "unshare, setns" },
	[CALLS_KEYRING]       = { "keyring",       NEITHER, "kernel keyrings" },
	[CALLS_MODULE]        = { "module",        NEITHER, "kernel modules" },
	[CALLS_RAW_IO]        = { "raw-io",        NEITHER, "input and output ports" },
	[CALLS_REBOOT]        = { "reboot",        NEITHER, "reboot" },
	[CALLS_KEXEC]         = { "kexec",         NEITHER, "load another kernel" },
	[CALLS_SWAP]          = { "swap",          NEITHER, "swap areas" },
	[CALLS_CLOCK]         = { "clock",         NEITHER, "set and adjust clocks" },
	[CALLS_DEBUG]         = { "debug",         NEITHER, "ptrace, other processes' memory and files, perf" },
	[CALLS_BPF]           = { "bpf",           NEITHER, "bpf" },
	[CALLS_IO_URING]      = { "io-uring",      NEITHER, "io_uring" },
	[CALLS_USERFAULTFD]   = { "userfaultfd",   NEITHER, "userfaultfd" },
	[CALLS_QUOTA]         = { "quota",         NEITHER, "disk quotas" },
	[CALLS_ACCOUNTING]    = { "accounting",    NEITHER, "process accounting into a file" },
	[CALLS_LOG]           = { "log",           NEITHER, "the kernel's log" },
	[CALLS_HANDLE]        = { "handle",        NEITHER, "files by handle, past every path" },
	[CALLS_FANOTIFY]      = { "fanotify",      NEITHER, "watch whole file systems" },
	[CALLS_HOST]          = { "host",          NEITHER, "host name, virtual hangup" },
	[CALLS_CPU_EMULATION] = { "cpu-emulation", NEITHER, "modify_ldt" },
	[CALLS_OBSOLETE]      = { "obsolete",      NEITHER, "calls that do nothing on a kernel of today" },
};

/* Why a family is in no base and cannot be named: AF_ALG CVE-2026-31431, AF_PACKET CVE-2020-14386, AF_RDS CVE-2010-3904,
 * AF_TIPC CVE-2021-43267; the others are kernel code that no tool of an agent needs. */
#define SURFACE "reaches kernel code that tools do not need"

static const struct calls_family families[] = {
	{ "unix",       AF_UNIX,       true,  NULL },
	{ "inet",       AF_INET,       true,  NULL },
	{ "inet6",      AF_INET6,      true,  NULL },
	{ "netlink",    AF_NETLINK,    true,  NULL },
	{ "bluetooth",  AF_BLUETOOTH,  false, SURFACE },
	{ "can",        AF_CAN,        false, SURFACE },
	{ "vsock",      AF_VSOCK,      false, "reaches the hypervisor past every network rule" },
	{ "packet",     AF_PACKET,     false, "sees and makes whole network packets" },
	{ "key",        AF_KEY,        false, SURFACE },
	{ "xdp",        AF_XDP,        false, "sees and makes whole network packets" },
	{ "alg",        AF_ALG,        false, SURFACE },
	{ "tipc",       AF_TIPC,       false, SURFACE },
	{ "rds",        AF_RDS,        false, SURFACE },
	{ "kcm",        AF_KCM,        false, SURFACE },
	{ "smc",        43,            false, SURFACE },
	{ "qipcrtr",    42,            false, SURFACE },
	{ "mctp",       45,            false, SURFACE },
	{ "rxrpc",      AF_RXRPC,      false, SURFACE },
	{ "nfc",        AF_NFC,        false, SURFACE },
	{ "caif",       AF_CAIF,       false, SURFACE },
	{ "phonet",     AF_PHONET,     false, SURFACE },
	{ "ieee802154", AF_IEEE802154, false, SURFACE },
	{ "isdn",       AF_ISDN,       false, SURFACE },
	{ "iucv",       AF_IUCV,       false, SURFACE },
	{ "pppox",      AF_PPPOX,      false, SURFACE },
	{ "llc",        AF_LLC,        false, SURFACE },
	{ "ib",         AF_IB,         false, SURFACE },
	{ "mpls",       AF_MPLS,       false, SURFACE },
	{ "ax25",       AF_AX25,       false, SURFACE },
	{ "ipx",        AF_IPX,        false, SURFACE },
	{ "appletalk",  AF_APPLETALK,  false, SURFACE },
	{ "x25",        AF_X25,        false, SURFACE },
	{ "netrom",     AF_NETROM,     false, SURFACE },
	{ "rose",       AF_ROSE,       false, SURFACE },
	{ "atmpvc",     AF_ATMPVC,     false, SURFACE },
	{ "atmsvc",     AF_ATMSVC,     false, SURFACE },
};
/* clang-format on */

const struct calls_group_entry *calls_group(enum calls_group group)
{
	return &groups[group];
}

bool calls_in_base(const struct calls_entry *call, enum syscall_base base)
{
	return groups[call->group].in_base[base] && !(call->flags & CALLS_NEVER);
}

bool calls_group_find(const char *name, enum calls_group *ret_group)
{
	for (size_t i = 0; i < array_size(groups); i++) {
		if (!strcmp(groups[i].name, name)) {
			*ret_group = i;
			return true;
		}
	}
	return false;
}

const char *calls_group_nearest(const char *name)
{
	const char *names[array_size(groups)];

	for (size_t i = 0; i < array_size(groups); i++)
		names[i] = groups[i].name;
	return text_nearest(name, names, array_size(groups));
}

const struct calls_family *calls_families(size_t *ret_count)
{
	*ret_count = array_size(families);
	return families;
}

const struct calls_family *calls_family_find(const char *name)
{
	for (size_t i = 0; i < array_size(families); i++) {
		if (!strcmp(families[i].name, name))
			return &families[i];
	}
	return NULL;
}
