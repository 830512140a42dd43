/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ALLOWED_PORT 7001
#define OTHER_PORT 7002

static struct meter_net_rule rules[8];
static struct meter_anchor_rule root;
static int listeners[2] = {-1, -1}; /* TCP, both families */
static int datagrams[2] = {-1, -1};

static struct sockaddr_in6 address6(const char *text, uint16_t port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	inet_pton(AF_INET6, text, &address.sin6_addr);
	return address;
}

static struct sockaddr_in address4(const char *text, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, text, &address.sin_addr);
	return address;
}

static void rule(const char *address, uint32_t bits, uint16_t first, uint16_t last, bool allow,
	bool listening)
{
	struct meter_net_rule *r = &rules[world.rules.network_count++];

	memset(r, 0, sizeof(*r));
	inet_pton(AF_INET6, address, r->address);
	r->prefix_bits = bits;
	r->first_port = first;
	r->last_port = last;
	r->allow = allow;
	r->listen = listening;
	r->rule = (uint32_t)world.rules.network_count;
	world.rules.networks = rules;
}

static int listener(int type, uint16_t port)
{
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, fast = 16;
	struct sockaddr_in6 any = address6("::", port);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_TCP, TCP_FASTOPEN, &fast, sizeof(fast));
	EXPECT_EQ(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	if (type == SOCK_STREAM)
		EXPECT_EQ(listen(fd, 16), 0);
	return fd;
}

static void open_world(void)
{
	listeners[0] = listener(SOCK_STREAM, ALLOWED_PORT);
	listeners[1] = listener(SOCK_STREAM, OTHER_PORT);
	datagrams[0] = listener(SOCK_DGRAM, ALLOWED_PORT);
	datagrams[1] = listener(SOCK_DGRAM, OTHER_PORT);
	root = (struct meter_anchor_rule){.fd = world.directory_fd,
		.path = "/",
		.rights = METER_RIGHT_READ | METER_RIGHT_WRITE};
	if (meter_make(world.meter) != METER_MAKE_NETWORK) {
		world.rules.anchors = &root;
		world.rules.anchor_count = 1;
	}
	world.rules.families = 1u << AF_UNIX | 1u << AF_INET | 1u << AF_INET6;
}

static void close_world(void)
{
	for (int i = 0; i < 2; i++) {
		own_close(&listeners[i]);
		own_close(&datagrams[i]);
	}
}

/* Everything that waits at a listener: connections and bytes. */
static uint64_t drain(int fd, unsigned *ret_connections)
{
	char block[65536];
	uint64_t bytes = 0;
	int peer;

	*ret_connections = 0;
	while ((peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct pollfd waiting = {.fd = peer, .events = POLLIN};
		ssize_t n;

		++*ret_connections;
		while (poll(&waiting, 1, 300) > 0 && (n = read(peer, block, sizeof(block))) > 0)
			bytes += (uint64_t)n;
		close(peer);
	}
	return bytes;
}

static uint64_t drain_datagrams(int fd, unsigned *ret_count)
{
	char block[65536];
	uint64_t bytes = 0;
	ssize_t n;

	*ret_count = 0;
	while ((n = recv(fd, block, sizeof(block), MSG_DONTWAIT)) >= 0) {
		bytes += (uint64_t)n;
		++*ret_count;
	}
	return bytes;
}

static int connect_to(int family, const void *address, socklen_t length)
{
	autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 1000 + errno;
	return ERRNO_OF(connect(fd, address, length));
}

static int connect4_to(const char *text, uint16_t port)
{
	struct sockaddr_in address = address4(text, port);

	return connect_to(AF_INET, &address, sizeof(address));
}

static int connect6_to(const char *text, uint16_t port)
{
	struct sockaddr_in6 address = address6(text, port);

	return connect_to(AF_INET6, &address, sizeof(address));
}

static int connect_everywhere(void *context)
{
	(void)context;
	if (connect4_to("127.0.0.1", ALLOWED_PORT) || connect6_to("::ffff:127.0.0.1", ALLOWED_PORT))
		return 1;
	if (connect6_to("::1", ALLOWED_PORT) != EPERM ||
		connect4_to("127.9.9.9", ALLOWED_PORT) != EPERM)
		return 2;
	if (connect4_to("127.0.0.1", OTHER_PORT) != EPERM ||
		connect6_to("::ffff:127.0.0.1", OTHER_PORT) != EPERM)
		return 3;
	if (connect4_to("0.0.0.0", OTHER_PORT) != EPERM || connect6_to("::", OTHER_PORT) != EPERM)
		return 4;
	return connect4_to("0.0.0.0", ALLOWED_PORT) == EPERM ? 0 : 5;
}

static void row_addresses(void)
{
	unsigned connections;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	start();
	EXPECT_EQ(within(connect_everywhere, NULL), 0);
	drain(listeners[0], &connections);
	EXPECT_EQ(connections, 2);
	drain(listeners[1], &connections);
	EXPECT_EQ(connections, 0);
	EXPECT_EQ(counted(METER_HOSTS_CONTACTED), 1);
	EXPECT_EQ(counted(METER_DENIALS), 7);
	EXPECT_EQ(outside(connect_everywhere, NULL), 2); /* the control gets further */
	close_world();
}

/* Denied by a wider rule, allowed by a narrower one: deny wins. */
static int connect_one(void *context)
{
	(void)context;
	return connect4_to("127.0.0.1", ALLOWED_PORT);
}

static void row_deny_wins(void)
{
	open_world();
	rule("::ffff:127.0.0.0", 96 + 8, 0, 65535, false, false);
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	start();
	EXPECT_EQ(within(connect_one, NULL), EPERM);
	close_world();
}

static int fast_open(void *context)
{
	struct sockaddr_in other = address4("127.0.0.1", OTHER_PORT);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int later = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	(void)context;
	if (sendto(fd, "secret", 6, MSG_FASTOPEN, (struct sockaddr *)&other, sizeof(other)) != -1 ||
		errno != EPERM)
		return 1;
	setsockopt(later, SOL_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	if (connect(later, (struct sockaddr *)&other, sizeof(other)) == 0 &&
		write(later, "secret", 6) >= 0)
		return 2;
	return 0;
}

static void row_fast_open(void)
{
	unsigned connections;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	start();
	EXPECT_EQ(within(fast_open, NULL), 0);
	EXPECT_EQ(drain(listeners[1], &connections), 0);
	EXPECT_EQ(connections, 0);
	close_world();
}

static int send_datagrams(void *context)
{
	struct sockaddr_in good = address4("127.0.0.1", ALLOWED_PORT),
			   bad = address4("127.0.0.1", OTHER_PORT);
	struct sockaddr_in6 mapped = address6("::ffff:127.0.0.1", OTHER_PORT);
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	autoclose int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct iovec part = {.iov_base = "0123456789", .iov_len = 10};
	struct mmsghdr both[2] = {
		{.msg_hdr = {.msg_name = &good,
			 .msg_namelen = sizeof(good),
			 .msg_iov = &part,
			 .msg_iovlen = 1}},
		{.msg_hdr = {.msg_name = &bad,
			 .msg_namelen = sizeof(bad),
			 .msg_iov = &part,
			 .msg_iovlen = 1}},
	};

	(void)context;
	if (sendto(fd, "0123456789", 10, 0, (struct sockaddr *)&good, sizeof(good)) != 10)
		return 1;
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&bad, sizeof(bad)) != -1 || errno != EPERM)
		return 2;
	if (sendto(fd, "", 0, 0, (struct sockaddr *)&bad, sizeof(bad)) != -1)
		return 3;
	if (sendmmsg(fd, both, 2, 0) != 1)
		return 4;
	if (sendto(fd6, "x", 1, 0, (struct sockaddr *)&mapped, sizeof(mapped)) != -1 ||
		errno != EPERM)
		return 5;
	if (connect(fd, (struct sockaddr *)&good, sizeof(good)))
		return 6;
	if (sendto(fd, "x", 1, 0, (struct sockaddr *)&bad, sizeof(bad)) != -1)
		return 7;
	return send(fd, "01234", 5, 0) == 5 ? 0 : 8;
}

static void row_datagrams(void)
{
	unsigned count;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	start();
	EXPECT_EQ(within(send_datagrams, NULL), 0);
	EXPECT_EQ(drain_datagrams(datagrams[0], &count), 25);
	EXPECT_EQ(count, 3);
	drain_datagrams(datagrams[1], &count);
	EXPECT_EQ(count, 0);
	EXPECT_EQ(counted(METER_BYTES_SENT), 25);
	close_world();
}

static int stream_bytes(void *context)
{
	const size_t *bytes = context;
	struct sockaddr_in good = address4("127.0.0.1", ALLOWED_PORT);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval wait = {.tv_sec = 1};
	char block[8192] = {0};
	size_t sent = 0;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&good, sizeof(good)))
		return 1;
	while (sent < *bytes) {
		ssize_t n = write(
			fd, block, *bytes - sent < sizeof(block) ? *bytes - sent : sizeof(block));

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	shared->value[0] = (int64_t)sent;
	shutdown(fd, SHUT_WR);
	poll(NULL, 0, 200);
	return 0;
}

static void row_stream_exact(void)
{
	size_t bytes = 100000;
	unsigned connections;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	start();
	EXPECT_EQ(within(stream_bytes, &bytes), 0);
	EXPECT_EQ(drain(listeners[0], &connections), 100000);
	EXPECT_EQ(counted(METER_BYTES_SENT), 100000);
	close_world();
}

static void row_stream_capped(void)
{
	size_t bytes = 1000000;
	unsigned connections;
	uint64_t received;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	world.limits.cap[METER_BYTES_SENT].limit = 50000;
	world.limits.cap[METER_BYTES_SENT].posture = METER_NO_NETWORK;
	start();
	within(stream_bytes, &bytes);
	received = drain(listeners[0], &connections);
	EXPECT(received <= 50000);
	EXPECT_EQ(counted(METER_BYTES_SENT), received);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_NO_NETWORK);
	EXPECT_EQ(within(connect_one, NULL), EPERM);
	close_world();
}

static int make_odd_sockets(void *context)
{
	int type_of[] = {SOCK_RAW, SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET};
	int protocol_of[] = {IPPROTO_ICMP, IPPROTO_ICMP, 262 /* MPTCP */, 132 /* SCTP */};
	int fd;

	(void)context;
	for (int i = 0; i < 4; i++) {
		fd = socket(AF_INET, type_of[i], protocol_of[i]);
		if (fd >= 0)
			return 1 + i;
	}
	for (int family = 0; family < 46; family++) {
		fd = socket(family, SOCK_DGRAM, 0);
		if (fd >= 0 && family != AF_UNIX && family != AF_INET && family != AF_INET6)
			return 100 + family;
	}
	return 0;
}

static int set_odd_options(void *context)
{
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	(void)context;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof(one)) == 0)
		return 1;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0)
		return 2;
	if (setsockopt(fd, SOL_IP, 19 /* IP_TRANSPARENT */, &one, sizeof(one)) == 0)
		return 3;
	return setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 ? 0 : 4;
}

static void row_odd_sockets(void)
{
	open_world();
	start();
	EXPECT_EQ(within(make_odd_sockets, NULL), 0);
	EXPECT_EQ(within(set_odd_options, NULL), 0);
	EXPECT(outside(make_odd_sockets, NULL) != 0);
	EXPECT(outside(set_odd_options, NULL) != 0);
	close_world();
}

static int bind_ports(void *context)
{
	struct sockaddr_in allowed = address4("127.0.0.1", 7100),
			   other = address4("127.0.0.1", 7200);
	struct sockaddr_in any = address4("0.0.0.0", 7100);
	autoclose int a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	autoclose int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)context;
	if (bind(b, (struct sockaddr *)&other, sizeof(other)) != -1 ||
		bind(b, (struct sockaddr *)&any, sizeof(any)) != -1)
		return 1;
	return ERRNO_OF(bind(a, (struct sockaddr *)&allowed, sizeof(allowed)));
}

static void row_bind(void)
{
	open_world();
	rule("::ffff:127.0.0.1", 128, 7100, 7199, true, true);
	start();
	EXPECT_EQ(within(bind_ports, NULL), 0);
	close_world();
}

static int inherited_socket = -1;

static int use_inherited(void *context)
{
	struct sockaddr_in other = address4("127.0.0.1", OTHER_PORT);

	(void)context;
	if (connect(inherited_socket, (struct sockaddr *)&other, sizeof(other)) == 0)
		return 1;
	return errno == EPERM ? 0 : errno;
}

static void row_foreign_socket(void)
{
	unsigned connections;

	open_world();
	rule("::ffff:127.0.0.1", 128, ALLOWED_PORT, ALLOWED_PORT, true, false);
	/* Made here, so that it keeps the rules of this cgroup: none. */
	inherited_socket = socket(AF_INET, SOCK_STREAM, 0);
	start();
	EXPECT_EQ(within(use_inherited, NULL), 0);
	drain(listeners[1], &connections);
	EXPECT_EQ(connections, 0);
	own_close(&inherited_socket);
	close_world();
}

const struct row net_rows[] = {
	{"an address is the same in every spelling", row_addresses, "net_connect4"},
	{"deny wins over a narrower allow", row_deny_wins, NULL},
	{"fast open is a connection", row_fast_open, NULL},
	{"datagrams are judged one by one", row_datagrams, NULL},
	{"sent bytes equal what the listener got", row_stream_exact, NULL},
	{"no byte beyond the cap arrives", row_stream_capped, NULL},
	{"only TCP and UDP sockets with plain options", row_odd_sockets, "net_sock_create", true},
	{"binding is judged by address and port", row_bind, NULL},
	{"a socket from elsewhere does not carry its own rules in", row_foreign_socket, NULL, true},
	{NULL, NULL, NULL},
};
