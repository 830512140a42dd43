/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/syscalls-arguments.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Only registers are looked at: what a pointer leads to can change after the check. Where the
 * kernel takes an int, 32 bits are compared, since it ignores the upper half and a tool can put
 * anything there (CVE-2019-10063, CVE-2023-1523). */

#define INT UINT32_MAX

/* clang-format off */
#define EQUAL(argument, value)      { (argument), false, INT, (uint32_t)(value) }
#define DIFFERS(argument, value)    { (argument), true, INT, (uint32_t)(value) }
#define ANY(argument, bits)         { (argument), true, (uint32_t)(bits), 0 }
#define BITS(argument, mask, value) { (argument), false, (uint32_t)(mask), (uint32_t)(value) }
#define RULE(...)                   { .conditions = { __VA_ARGS__ } }

/* Newer than the oldest headers we build with; values from the kernel's uapi. */
#define MEMFD_EXEC            0x10U                     /* linux/memfd.h: MFD_EXEC, 6.3 */
#define MEMFD_NOEXEC_SEAL     0x08U                     /* linux/memfd.h: MFD_NOEXEC_SEAL, 6.3 */
#define SET_CPUID             0x1012U                   /* asm/prctl.h: ARCH_SET_CPUID; that header is x86 only */
#define TMPFILE_BIT           020000000U                /* asm-generic/fcntl.h: __O_TMPFILE */
#define BCACHEFS_SUBVOLUME    0x4020bc10U               /* _IOW(0xbc, 16, 32 bytes): BCH_IOCTL_SUBVOLUME_CREATE */

/* Set-id bits in a writable tree survive the run: whoever executes the file later acts as the tool's user. */
#define SET_ID (S_ISUID | S_ISGID)
#define MAKES_FILE (O_CREAT | TMPFILE_BIT)

static const struct argument_rule open_rules[] =      { RULE(ANY(1, MAKES_FILE), ANY(2, SET_ID)) };
static const struct argument_rule openat_rules[] =    { RULE(ANY(2, MAKES_FILE), ANY(3, SET_ID)) };
static const struct argument_rule mode_1_rules[] =    { RULE(ANY(1, SET_ID)) };
static const struct argument_rule mode_2_rules[] =    { RULE(ANY(2, SET_ID)) };

/* A character device 0:0 is an overlayfs whiteout and needs no capability, so Landlock and the kernel let it through
 * where the file system does; block devices never do any good. */
static const struct argument_rule mknod_rules[] = {
	RULE(ANY(1, SET_ID)),
	RULE(BITS(1, S_IFMT, S_IFCHR)),
	RULE(BITS(1, S_IFMT, S_IFBLK)),
};
static const struct argument_rule mknodat_rules[] = {
	RULE(ANY(2, SET_ID)),
	RULE(BITS(2, S_IFMT, S_IFCHR)),
	RULE(BITS(2, S_IFMT, S_IFBLK)),
};
/* The other way to leave a whiteout: a directory entry that hides a lower layer's file. */
static const struct argument_rule renameat2_rules[] = { RULE(ANY(4, RENAME_WHITEOUT)) };

/* Input put into a terminal is read by the shell that started the tool (CVE-2017-5226); TIOCLINUX does the same through the
 * selection of a virtual console. TIOCSCTTY stays for programs that make a pty of their own: it takes no terminal of
 * another session without CAP_SYS_ADMIN in the first user namespace, whatever its argument, which script(1) sets. A
 * snapshot would show what fs.deny hides by a mount. */
static const struct argument_rule ioctl_rules[] = {
	RULE(EQUAL(1, TIOCSTI)),
	RULE(EQUAL(1, TIOCLINUX)),
	RULE(EQUAL(1, TIOCSETD)),
	RULE(EQUAL(1, TIOCCONS)),
	RULE(EQUAL(1, BTRFS_IOC_SNAP_CREATE)),
	RULE(EQUAL(1, BTRFS_IOC_SNAP_CREATE_V2)),
	RULE(EQUAL(1, BCACHEFS_SUBVOLUME)),
};

/* The low byte of clone's flags is the exit signal, so CLONE_NEWTIME (0x80) cannot be asked for here; clone3, whose flags
 * lie in memory, answers ENOSYS. The order of the first two arguments is the same on x86_64 and aarch64. */
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
static const struct argument_rule clone_rules[] =     { RULE(ANY(0, NAMESPACES)) };

/* A second listener would answer for calls that ours has to answer: the newest filter's notification wins and may say
 * "continue" (linux/seccomp.h). */
static const struct argument_rule seccomp_rules[] =   { RULE(ANY(1, SECCOMP_FILTER_FLAG_NEW_LISTENER)) };

/* Only the plain personality and the question (0xffffffff): READ_IMPLIES_EXEC and ADDR_NO_RANDOMIZE weaken the programs
 * started later, and the 32-bit one is of no use where 32-bit calls are killed. */
static const struct argument_rule personality_rules[] = { RULE(DIFFERS(0, PER_LINUX), DIFFERS(0, 0xffffffff)) };

/* PR_SET_MM moves what /proc shows of a process; PR_SCHED_CORE makes other tenants' cores idle. */
static const struct argument_rule prctl_rules[] = {
	RULE(EQUAL(0, PR_SET_MM)),
	RULE(EQUAL(0, PR_SCHED_CORE)),
};
static const struct argument_rule arch_prctl_rules[] = { RULE(EQUAL(0, SET_CPUID)) };
/* A limit of 1 is the one that keeps the kernel from starting the host's core dump handler, as the host's root, on a
 * process of the run (plan/limits.c): the tool must not lower it to 0. EINVAL is the answer with which GnuPG goes on. */
#define NO_CORE_LIMIT .action = ARGUMENT_QUIET, .errno_value = EINVAL
static const struct argument_rule setrlimit_rules[] = {
	{ .conditions = { EQUAL(0, RLIMIT_CORE) }, NO_CORE_LIMIT },
};
static const struct argument_rule prlimit64_rules[] = {
	{ .conditions = { EQUAL(1, RLIMIT_CORE), { 2, true, UINT64_MAX, 0 } }, NO_CORE_LIMIT },
};
static const struct argument_rule memfd_create_rules[] = { RULE(ANY(1, MEMFD_EXEC)) };
/* Where the run's vm.memfd_noexec cannot be set and programs go by a list: only files that can never be executed.
 * Libraries that get ENOSYS take an ordinary file. */
static const struct argument_rule memfd_sealed_rules[] = {
	RULE(ANY(1, MEMFD_EXEC)),
	{ .conditions = { BITS(1, MEMFD_NOEXEC_SEAL, 0) }, .action = ARGUMENT_QUIET, .errno_value = ENOSYS },
};
/* Gifted pages stay the giver's to write while the kernel holds them for somebody else. */
static const struct argument_rule vmsplice_rules[] =  { RULE(ANY(3, SPLICE_F_GIFT)) };
static const struct argument_rule socketpair_rules[] = { RULE(DIFFERS(0, AF_UNIX)) };
/* Where the unix family is not listed: one end of a pair of datagram sockets can be connected anew and send to any socket
 * file, the others keep their peer for life (net/unix/af_unix.c). SOCK_RAW is another word for it there. */
static const struct argument_rule socketpair_closed_rules[] = {
	RULE(DIFFERS(0, AF_UNIX)),
	{ .conditions = { BITS(1, 0xf, SOCK_DGRAM) }, .errno_value = ESOCKTNOSUPPORT, .family = true },
	{ .conditions = { BITS(1, 0xf, SOCK_RAW) }, .errno_value = ESOCKTNOSUPPORT, .family = true },
};

/* The option first: the level is only loaded when the option is one of these. */
#define OPTION(level, option) RULE(EQUAL(2, option), EQUAL(1, level))
static const struct argument_rule setsockopt_rules[] = {
	OPTION(SOL_SOCKET, SO_BINDTODEVICE),
	OPTION(SOL_SOCKET, SO_MARK),
	OPTION(SOL_SOCKET, SO_ATTACH_FILTER),
	OPTION(SOL_SOCKET, SO_ATTACH_BPF),
	OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF),
	OPTION(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF),
	OPTION(SOL_SOCKET, SO_BINDTOIFINDEX),
	OPTION(IPPROTO_IP, IP_OPTIONS),
	OPTION(IPPROTO_IP, IP_IPSEC_POLICY),
	OPTION(IPPROTO_IP, IP_XFRM_POLICY),
	OPTION(IPPROTO_IP, IP_TRANSPARENT),
	OPTION(IPPROTO_IPV6, IPV6_IPSEC_POLICY),
	OPTION(IPPROTO_IPV6, IPV6_XFRM_POLICY),
	OPTION(IPPROTO_IPV6, IPV6_RTHDR),
	OPTION(IPPROTO_IPV6, IPV6_TRANSPARENT),
	OPTION(IPPROTO_TCP, TCP_ULP),
	OPTION(IPPROTO_UDP, UDP_ENCAP),
};

#define ENTRY(call, number, rules) { call, number, rules, array_size(rules) }
static const struct argument_rules table[] = {
	ENTRY("open",          2, open_rules),
	ENTRY("ioctl",        16, ioctl_rules),
	ENTRY("socketpair",   53, socketpair_rules),
	ENTRY("setsockopt",   54, setsockopt_rules),
	ENTRY("clone",        56, clone_rules),
	ENTRY("mkdir",        83, mode_1_rules),
	ENTRY("creat",        85, mode_1_rules),
	ENTRY("chmod",        90, mode_1_rules),
	ENTRY("fchmod",       91, mode_1_rules),
	ENTRY("mknod",       133, mknod_rules),
	ENTRY("personality", 135, personality_rules),
	ENTRY("prctl",       157, prctl_rules),
	ENTRY("arch_prctl",  158, arch_prctl_rules),
	ENTRY("setrlimit",   160, setrlimit_rules),
	ENTRY("openat",      257, openat_rules),
	ENTRY("mkdirat",     258, mode_2_rules),
	ENTRY("mknodat",     259, mknodat_rules),
	ENTRY("fchmodat",    268, mode_2_rules),
	ENTRY("vmsplice",    278, vmsplice_rules),
	ENTRY("prlimit64",   302, prlimit64_rules),
	ENTRY("renameat2",   316, renameat2_rules),
	ENTRY("seccomp",     317, seccomp_rules),
	ENTRY("memfd_create", 319, memfd_create_rules),
	ENTRY("fchmodat2",   452, mode_2_rules),
};
/* clang-format on */

const struct argument_rules *argument_rules(size_t *ret_count)
{
	*ret_count = array_size(table);
	return table;
}

const struct argument_rule *argument_sealed_memfd_rules(size_t *ret_count)
{
	*ret_count = array_size(memfd_sealed_rules);
	return memfd_sealed_rules;
}

const struct argument_rule *argument_closed_socketpair_rules(size_t *ret_count)
{
	*ret_count = array_size(socketpair_closed_rules);
	return socketpair_closed_rules;
}

/* The rules of socket(2) in order; each stands where all families of `with` are listed and none of
 * `without` is. */
struct socket_rule {
	unsigned with, without;
	struct argument_rule rule;
};

/* clang-format off */
#define UNIX    ARGUMENT_FAMILY_UNIX
#define INET    ARGUMENT_FAMILY_INET
#define INET6   ARGUMENT_FAMILY_INET6
#define NETLINK ARGUMENT_FAMILY_NETLINK
#define TYPE(value)           BITS(1, 0xf, value)
#define ALWAYS(...)           { 0, 0, { .conditions = { __VA_ARGS__ } } }
#define ALLOWED(with, ...)    { (with), 0, { .conditions = { __VA_ARGS__ }, .action = ARGUMENT_ALLOW } }
#define UNLISTED(absent, ...) { 0, (absent), { .conditions = { __VA_ARGS__ }, .errno_value = EAFNOSUPPORT, .family = true } }
#define NO_FAMILY             .errno_value = EAFNOSUPPORT, .family = true

static const struct socket_rule socket_rules[] = {
	/* For netlink raw is the ordinary type. */
	ALWAYS(TYPE(SOCK_RAW), DIFFERS(0, AF_NETLINK)),
	ALWAYS(TYPE(SOCK_PACKET)),
	ALLOWED(UNIX, EQUAL(0, AF_UNIX)),
	/* Routes and interfaces: every getaddrinfo(3) asks for them and lives without. Other protocols of netlink reach
	 * netfilter, xfrm, audit … and are refused whether the family is listed or not. */
	ALLOWED(NETLINK, EQUAL(0, AF_NETLINK), EQUAL(2, NETLINK_ROUTE)),
	ALLOWED(NETLINK, EQUAL(0, AF_NETLINK), EQUAL(2, NETLINK_KOBJECT_UEVENT)),
	{ 0, NETLINK, { .conditions = { EQUAL(0, AF_NETLINK), EQUAL(2, NETLINK_ROUTE) },
			.action = ARGUMENT_QUIET, NO_FAMILY } },
	/* A read-only mount stops no connect(2), so that unix sockets are for profiles that list them. Quiet, since every name
	 * lookup of the C library asks for nscd's socket; socketpair(2) is another call. */
	{ 0, UNIX, { .conditions = { EQUAL(0, AF_UNIX) }, .action = ARGUMENT_QUIET, NO_FAMILY } },
	UNLISTED(INET, EQUAL(0, AF_INET)),
	UNLISTED(INET6, EQUAL(0, AF_INET6)),
	UNLISTED(0, DIFFERS(0, AF_INET), DIFFERS(0, AF_INET6)),
	/* Here it is inet or inet6: streams, datagrams and ping, nothing that would load a protocol's module. */
	ALWAYS(TYPE(SOCK_RDM)),
	ALWAYS(TYPE(SOCK_SEQPACKET)),
	ALWAYS(TYPE(SOCK_DCCP)),
	ALLOWED(0, EQUAL(2, 0)),
	ALLOWED(0, EQUAL(2, IPPROTO_TCP)),
	ALLOWED(0, EQUAL(2, IPPROTO_UDP)),
	ALLOWED(0, EQUAL(2, IPPROTO_ICMP)),
	ALLOWED(0, EQUAL(2, IPPROTO_ICMPV6)),
	/* Go asks once and goes on without. */
	{ 0, 0, { .conditions = { EQUAL(2, IPPROTO_MPTCP) }, .action = ARGUMENT_QUIET, .errno_value = EPROTONOSUPPORT } },
	{ 0, 0, { .errno_value = EPROTONOSUPPORT } },
};
/* clang-format on */
_Static_assert(
	array_size(socket_rules) <= ARGUMENTS_SOCKET_RULES_MAX, "room for every rule of socket");

size_t argument_socket_rules(
	unsigned families, struct argument_rule rules[ARGUMENTS_SOCKET_RULES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < array_size(socket_rules); i++) {
		const struct socket_rule *r = &socket_rules[i];

		if ((families & r->with) == r->with && !(families & r->without))
			rules[count++] = r->rule;
	}
	return count;
}
