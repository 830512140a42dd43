/* SPDX-License-Identifier: Apache-2.0 */
#include "constants.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
static const struct {
	const char *name;
	uint64_t value;
} constants[] = {
	{ "HIGH", 0x100000000ULL }, /* a bit that the kernel does not look at in an int */
	{ "JUNK", 0xdeadbeef00000000ULL },
	{ "AT_FDCWD", 0xffffff9c },
	{ "O_RDONLY", 0 }, { "O_WRONLY", 01 }, { "O_RDWR", 02 }, { "O_CREAT", 0100 }, { "O_EXCL", 0200 },
	{ "O_TRUNC", 01000 }, { "O_APPEND", 02000 }, { "O_PATH", 010000000 }, { "O_DIRECTORY", 0200000 },
	{ "FS_IOC_SETFLAGS", 0x40086602 }, { "FS_IOC_GETFLAGS", 0x80086601 }, { "FS_IOC_FSSETXATTR", 0x401c5820 },
	{ "O_TMPFILE", 020200000 }, { "O_CLOEXEC", 02000000 },
	{ "S_ISUID", 04000 }, { "S_ISGID", 02000 }, { "S_ISVTX", 01000 },
	{ "S_IFREG", 0100000 }, { "S_IFIFO", 010000 }, { "S_IFCHR", 020000 }, { "S_IFBLK", 060000 }, { "S_IFSOCK", 0140000 },
	{ "RENAME_NOREPLACE", 1 }, { "RENAME_EXCHANGE", 2 }, { "RENAME_WHITEOUT", 4 },
	{ "CLONE_VM", 0x100 }, { "CLONE_FS", 0x200 }, { "CLONE_FILES", 0x400 }, { "CLONE_SIGHAND", 0x800 },
	{ "CLONE_VFORK", 0x4000 }, { "CLONE_THREAD", 0x10000 }, { "CLONE_NEWNS", 0x20000 },
	{ "CLONE_NEWCGROUP", 0x2000000 }, { "CLONE_NEWUTS", 0x4000000 }, { "CLONE_NEWIPC", 0x8000000 },
	{ "CLONE_NEWUSER", 0x10000000 }, { "CLONE_NEWPID", 0x20000000 }, { "CLONE_NEWNET", 0x40000000 },
	{ "CLONE_NEWTIME", 0x80 }, { "SIGCHLD", 17 },
	{ "TCGETS", 0x5401 }, { "TIOCSCTTY", 0x540e }, { "TIOCSTI", 0x5412 }, { "TIOCGWINSZ", 0x5413 },
	{ "TIOCLINUX", 0x541c }, { "TIOCCONS", 0x541d }, { "TIOCSETD", 0x5423 }, { "TIOCGPTPEER", 0x5441 },
	{ "FICLONE", 0x40049409 }, { "BTRFS_IOC_SNAP_CREATE", 0x50009401 }, { "BTRFS_IOC_SNAP_CREATE_V2", 0x50009417 },
	{ "BCH_IOCTL_SUBVOLUME_CREATE", 0x4020bc10 },
	{ "SET_MODE_STRICT", 0 }, { "SET_MODE_FILTER", 1 }, { "FLAG_TSYNC", 1 }, { "FLAG_NEW_LISTENER", 8 },
	{ "RLIMIT_CORE", 4 }, { "RLIMIT_NOFILE", 7 },
	{ "PER_LINUX32", 8 }, { "ADDR_NO_RANDOMIZE", 0x40000 }, { "READ_IMPLIES_EXEC", 0x400000 },
	{ "PR_SET_NAME", 15 }, { "PR_SET_SECCOMP", 22 }, { "PR_SET_MM", 35 }, { "PR_SET_NO_NEW_PRIVS", 38 },
	{ "PR_SCHED_CORE", 62 }, { "PR_SET_VMA", 0x53564d41 },
	{ "ARCH_SET_FS", 0x1002 }, { "ARCH_SET_CPUID", 0x1012 },
	{ "MFD_CLOEXEC", 1 }, { "MFD_ALLOW_SEALING", 2 }, { "MFD_NOEXEC_SEAL", 8 }, { "MFD_EXEC", 0x10 },
	{ "SPLICE_F_MOVE", 1 }, { "SPLICE_F_GIFT", 8 },
	{ "AF_UNSPEC", 0 }, { "AF_UNIX", 1 }, { "AF_INET", 2 }, { "AF_INET6", 10 }, { "AF_KEY", 15 }, { "AF_NETLINK", 16 },
	{ "AF_PACKET", 17 }, { "AF_RDS", 21 }, { "AF_CAN", 29 }, { "AF_TIPC", 30 }, { "AF_BLUETOOTH", 31 },
	{ "AF_ALG", 38 }, { "AF_VSOCK", 40 }, { "AF_KCM", 41 }, { "AF_SMC", 43 }, { "AF_XDP", 44 }, { "AF_MCTP", 45 },
	{ "SOCK_STREAM", 1 }, { "SOCK_DGRAM", 2 }, { "SOCK_RAW", 3 }, { "SOCK_RDM", 4 }, { "SOCK_SEQPACKET", 5 },
	{ "SOCK_DCCP", 6 }, { "SOCK_PACKET", 10 }, { "SOCK_NONBLOCK", 04000 }, { "SOCK_CLOEXEC", 02000000 },
	{ "IPPROTO_IP", 0 }, { "IPPROTO_ICMP", 1 }, { "IPPROTO_TCP", 6 }, { "IPPROTO_UDP", 17 }, { "IPPROTO_DCCP", 33 },
	{ "IPPROTO_IPV6", 41 }, { "IPPROTO_ICMPV6", 58 }, { "IPPROTO_L2TP", 115 }, { "IPPROTO_SCTP", 132 },
	{ "IPPROTO_UDPLITE", 136 }, { "IPPROTO_MPTCP", 262 }, { "IPPROTO_SMC", 256 },
	{ "NETLINK_ROUTE", 0 }, { "NETLINK_SOCK_DIAG", 4 }, { "NETLINK_XFRM", 6 }, { "NETLINK_AUDIT", 9 },
	{ "NETLINK_NETFILTER", 12 }, { "NETLINK_KOBJECT_UEVENT", 15 }, { "NETLINK_GENERIC", 16 },
	{ "SOL_SOCKET", 1 }, { "SO_REUSEADDR", 2 }, { "SO_KEEPALIVE", 9 }, { "SO_BINDTODEVICE", 25 },
	{ "SO_ATTACH_FILTER", 26 }, { "SO_MARK", 36 }, { "SO_ATTACH_BPF", 50 }, { "SO_ATTACH_REUSEPORT_CBPF", 51 },
	{ "SO_ATTACH_REUSEPORT_EBPF", 52 }, { "SO_BINDTOIFINDEX", 62 },
	{ "IP_OPTIONS", 4 }, { "IP_IPSEC_POLICY", 16 }, { "IP_XFRM_POLICY", 17 }, { "IP_TRANSPARENT", 19 },
	{ "IPV6_V6ONLY", 26 }, { "IPV6_IPSEC_POLICY", 34 }, { "IPV6_XFRM_POLICY", 35 }, { "IPV6_RTHDR", 57 },
	{ "IPV6_TRANSPARENT", 75 }, { "TCP_NODELAY", 1 }, { "TCP_ULP", 31 }, { "UDP_ENCAP", 100 },
};
/* clang-format on */

bool constants_find(const char *name, uint64_t *ret_value)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		if (!strcmp(constants[i].name, name)) {
			*ret_value = constants[i].value;
			return true;
		}
	}
	return false;
}
