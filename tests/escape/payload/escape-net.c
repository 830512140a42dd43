/* SPDX-License-Identifier: Apache-2.0 */
/* The network. Targets: PORT of a listener for TCP and UDP on every address of the host, HOST one
 * of its addresses. */
#include "payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define CONNECT_WAIT_MS 300

static socklen_t parse(struct sockaddr_storage *storage, const char *text)
{
	struct sockaddr_in *four = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)target_number("PORT", 1));
		return sizeof(*four);
	}
	inet_pton(AF_INET6, text, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)target_number("PORT", 1));
	return sizeof(*six);
}

/* The same host in other clothes. */
static const char *const clothes[] = {
	"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", NULL};

static void each_address(void (*function)(const struct sockaddr *, socklen_t))
{
	struct sockaddr_storage storage;
	socklen_t length;

	for (size_t i = 0; clothes[i]; i++) {
		length = parse(&storage, clothes[i]);
		function((struct sockaddr *)&storage, length);
	}
	length = parse(&storage, target_or("HOST", "127.0.0.1"));
	function((struct sockaddr *)&storage, length);
}

static void tcp(const struct sockaddr *address, socklen_t length)
{
	autoclose int fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd wait = {fd, POLLOUT, 0};

	if (fd < 0 || (connect(fd, address, length) && errno != EINPROGRESS)) {
		note("tcp: %s", strerror(errno));
		return;
	}
	poll(&wait, 1, CONNECT_WAIT_MS);
	if (send(fd, "ESCAPED", 7, MSG_NOSIGNAL) < 0)
		note("send: %s", strerror(errno));
}

static void connect_tcp(void)
{
	each_address(tcp);
}

static void fast_open(const struct sockaddr *address, socklen_t length)
{
	autoclose int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int later = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && sendto(fd, "ESCAPED", 7, MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT, address,
			       length) < 0)
		note("fast open: %s", strerror(errno));
	if (later >= 0 &&
		!setsockopt(later, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)) &&
		!connect(later, address, length) && send(later, "ESCAPED", 7, MSG_NOSIGNAL) < 0)
		note("fast open connect: %s", strerror(errno));
}

static void tcp_fast_open(void)
{
	each_address(fast_open);
}

static void udp(const struct sockaddr *address, socklen_t length)
{
	autoclose int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct iovec piece = {(void *)(uintptr_t) "ESCAPED", 7};
	struct mmsghdr messages[2] = {0};

	for (size_t i = 0; i < 2; i++) {
		messages[i].msg_hdr.msg_name = (void *)(uintptr_t)address;
		messages[i].msg_hdr.msg_namelen = length;
		messages[i].msg_hdr.msg_iov = &piece;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (fd < 0)
		return;
	if (sendto(fd, "ESCAPED", 7, 0, address, length) < 0)
		note("sendto: %s", strerror(errno));
	sendmsg(fd, &messages[0].msg_hdr, 0);
	sendmmsg(fd, messages, 2, 0);
	if (!connect(fd, address, length))
		send(fd, "ESCAPED", 7, 0);
}

static void send_udp(void)
{
	each_address(udp);
}

/* Every family and type. One line "SOCKET family type" for each that opens: the driver has the
 * list. */
static void families(void)
{
	static const unsigned long high[] = {0, 1UL << 32, 0xffffffffUL << 32};

	for (unsigned long family = 0; family <= 46; family++)
		for (unsigned long type = 1; type <= 10; type++)
			for (size_t h = 0; h < array_size(high); h++) {
				long fd = syscall(SYS_socket, family | high[h], type, 0);
				int pair[2];

				if (fd >= 0) {
					printf("SOCKET %lu %lu\n", family, type);
					close((int)fd);
				}
				if (!syscall(SYS_socketpair, family | high[h], type, 0, pair)) {
					if (family != AF_UNIX)
						printf("PAIR %lu %lu\n", family, type);
					close(pair[0]);
					close(pair[1]);
				}
			}
}

static void raw_sockets(void)
{
	static const struct {
		int family, type, protocol;
		const char *name;
	} kinds[] = {{AF_INET, SOCK_RAW, IPPROTO_ICMP, "raw ICMP"},
		{AF_INET, SOCK_RAW, IPPROTO_RAW, "raw IP"},
		{AF_INET, SOCK_DGRAM, IPPROTO_ICMP, "ping"},
		{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "raw ICMPv6"},
		{AF_PACKET, SOCK_RAW, 0x0300, "packet"}, {AF_NETLINK, SOCK_RAW, 0, "route netlink"},
		{AF_NETLINK, SOCK_RAW, 9, "audit netlink"},
		{40 /* AF_VSOCK */, SOCK_STREAM, 0, "vsock"}, {44 /* AF_XDP */, SOCK_RAW, 0, "xdp"},
		{30 /* AF_TIPC */, SOCK_RDM, 0, "tipc"},
		{21 /* AF_RDS */, SOCK_SEQPACKET, 0, "rds"}, {29 /* AF_CAN */, SOCK_RAW, 1, "can"},
		{31 /* AF_BLUETOOTH */, SOCK_RAW, 1, "bluetooth"},
		{43 /* AF_SMC */, SOCK_STREAM, 0, "smc"}, {41 /* AF_KCM */, SOCK_DGRAM, 0, "kcm"}};

	for (size_t i = 0; i < array_size(kinds); i++) {
		autoclose int fd =
			socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, kinds[i].protocol);

		if (fd >= 0)
			proof("socket: %s", kinds[i].name);
	}
}

const struct technique net_techniques[] = {
	{"N01", "connect-tcp", "network namespace", connect_tcp},
	{"N02", "tcp-fast-open", "network namespace", tcp_fast_open},
	{"N05", "send-udp", "network namespace", send_udp},
	{"N08", "families", "seccomp", families},
	{"N17", "raw-sockets", "seccomp, capabilities", raw_sockets},
	{0},
};
