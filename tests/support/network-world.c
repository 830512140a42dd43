/* SPDX-License-Identifier: Apache-2.0 */
#include "network-world.h"

#include "apply/network-end.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define LOOPBACK_INDEX 1

static void bring_up(unsigned index)
{
	struct netlink netlink = NETLINK_NONE;
	struct end end = {.netlink = &netlink, .index = index};
	struct error err = {0};

	if (netlink_open(NETLINK_ROUTE, &netlink, &err) < 0 || end_send_up(&end, &err) < 0)
		fail_msg("%s", err.text);
	netlink_close(&netlink);
}

struct holder hold(void)
{
	struct holder holder;
	int ready[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder.pid = fork();
	if (holder.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		bring_up(LOOPBACK_INDEX);
		(void)!write(ready[1], "r", 1);
		close_range(3, ~0U, 0); /* the owners of filters, too */
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	holder.fd = pidfd_open(holder.pid, 0);
	assert_true(holder.fd >= 0);
	return holder;
}

void let_go(struct holder *holder)
{
	kill(holder->pid, SIGKILL);
	waitpid(holder->pid, NULL, 0);
	own_close(&holder->fd);
}

int within(const struct holder *holder, int (*deed)(const char *), const char *argument)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setns(holder->fd, CLONE_NEWNET) < 0 ? 255 : deed(argument));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

socklen_t address_of(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

int connect_to(const char *address)
{
	const struct timeval patience = {.tv_sec = 1};
	struct sockaddr_storage peer;
	socklen_t length = address_of(address, PORT, &peer);
	int fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&peer, length) < 0)
		return errno == EINPROGRESS ? ETIMEDOUT : errno;
	return read(fd, &byte, 1) == 1 ? 0 : EPIPE;
}

void expect_reach(const struct holder *holder, const char *address)
{
	int r = ETIMEDOUT;

	for (int tries = 0; tries < 10 && r == ETIMEDOUT; tries++)
		r = within(holder, connect_to, address);
	assert_int_equal(r, 0);
}

static int serve(const char *any, int ready, const char *peer_file)
{
	struct sockaddr_storage own, peer;
	socklen_t length = address_of(any, PORT, &own), peer_length;
	int fd = socket(own.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, one;
	char text[INET6_ADDRSTRLEN] = "";

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&own, length) < 0 || listen(fd, 8) < 0)
		return 1;
	(void)!write(ready, "r", 1);
	for (;;) {
		int file;

		peer_length = sizeof(peer);
		one = accept(fd, (struct sockaddr *)&peer, &peer_length);
		file = open(peer_file, O_WRONLY | O_CLOEXEC | O_TRUNC);
		if (peer.ss_family == AF_INET)
			inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, text,
				sizeof(text));
		(void)!write(file, text, strlen(text));
		close(file);
		(void)!write(one, "x", 1);
		close(one);
	}
}

struct server start_server(const struct holder *holder, const char *any)
{
	struct server server = {.peer = "/tmp/berm-peer-XXXXXX"};
	int ready[2], file = mkstemp(server.peer);
	char byte;

	assert_true(file >= 0);
	close(file);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	server.pid = fork();
	if (server.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (holder && setns(holder->fd, CLONE_NEWNET) < 0)
			_exit(1);
		/* A filter lives as long as anybody has its owner open. */
		dup2(ready[1], 3);
		close_range(4, ~0U, 0);
		_exit(serve(any, 3, server.peer));
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return server;
}

void stop_server(struct server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	unlink(server->peer);
}

void expect_peer(const struct server *server, const char *wanted)
{
	autofree char *text = NULL;

	assert_int_equal(io_read_file(AT_FDCWD, server->peer, 64, &text, NULL, NULL), 0);
	assert_string_equal(text, wanted);
}

/* ---- the world behind the uplink ---- */

void make_world(struct holder *world)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC}, inside = {.ifi_family = AF_UNSPEC};
	struct netlink netlink = NETLINK_NONE;
	struct end end = {.netlink = &netlink};
	struct error err = {0};
	struct nl_msg *m = nlmsg_alloc_simple(
		RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *nests[3];
	struct in_addr address;

	*world = hold();
	nlmsg_append(m, &info, sizeof(info), NLMSG_ALIGNTO);
	nla_put_string(m, IFLA_IFNAME, WORLD_HERE);
	nests[0] = nla_nest_start(m, IFLA_LINKINFO);
	nla_put_string(m, IFLA_INFO_KIND, "veth");
	nests[1] = nla_nest_start(m, IFLA_INFO_DATA);
	nests[2] = nla_nest_start(m, VETH_INFO_PEER);
	nlmsg_append(m, &inside, sizeof(inside), NLMSG_ALIGNTO);
	nla_put_string(m, IFLA_IFNAME, "w0");
	nla_put_u32(m, IFLA_NET_NS_PID, (uint32_t)world->pid);
	for (int i = 2; i >= 0; i--)
		nla_nest_end(m, nests[i]);
	if (netlink_open(NETLINK_ROUTE, &netlink, &err) < 0 ||
		netlink_send_one(&netlink, m, 0, &err) < 0)
		fail_msg("%s", err.text);
	end.index = if_nametoindex(WORLD_HERE);
	inet_pton(AF_INET, WORLD_HERE_ADDRESS, &address);
	if (end_send_address(&end, AF_INET, &address, 24, &err) < 0 || end_send_up(&end, &err) < 0)
		fail_msg("%s", err.text);
	netlink_close(&netlink);
}

int finish_world(const char *route_by)
{
	struct netlink netlink = NETLINK_NONE;
	struct end end = {.netlink = &netlink, .index = if_nametoindex("w0")};
	struct in_addr address;

	inet_pton(AF_INET, WORLD_ADDRESS, &address);
	if (netlink_open(NETLINK_ROUTE, &netlink, NULL) < 0 ||
		end_send_address(&end, AF_INET, &address, 24, NULL) < 0 ||
		end_send_up(&end, NULL) < 0)
		return 1;
	inet_pton(AF_INET, route_by, &address);
	return end_send_default_route(&end, AF_INET, &address, NULL) < 0 ? 2 : 0;
}

/* ---- a link ---- */

void begin(struct fixture *f, const char *pool, const char *pool6, const char *uplink)
{
	static char id[] = "BERM_RUN=r-test";
	static char *environment[] = {id};

	*f = (struct fixture){0};
	berm__wire__plan__init(&f->plan);
	berm__wire__network__init(&f->network);
	f->network.mode = BERM__WIRE__NETWORK_MODE__NETWORK_LINK;
	f->network.pool = (char *)(uintptr_t)pool;
	f->network.pool6 = (char *)(uintptr_t)pool6;
	f->network.uplink = (char *)(uintptr_t)uplink;
	f->plan.network = &f->network;
	f->plan.environment = environment;
	f->plan.n_environment = 1;
	f->run = hold();
	f->launch = (struct launch){.plan = &f->plan, .init_fd = f->run.fd, .filter_fd = -1};
}

void end_fixture(struct fixture *f)
{
	network_unlink(&f->launch);
	let_go(&f->run);
}

void make_link(struct fixture *f)
{
	struct error err = {0};

	if (network_link(&f->launch, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(if_indextoname(f->launch.link_index, f->name));
}

void set(const char *path, const char *value)
{
	struct error err = {0};

	if (io_write_file(AT_FDCWD, path, value, &err) < 0)
		fail_msg("%s", err.text);
}

int count_links(void)
{
	struct if_nameindex *all = if_nameindex();
	int count = 0;

	for (struct if_nameindex *one = all; one && one->if_index; one++)
		count += strncmp(one->if_name, "berm-", 5) == 0;
	if_freenameindex(all);
	return count;
}

void expect_no_links(void)
{
	for (int i = 0; i < 500 && count_links() > 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(count_links(), 0);
}

int become_root(void **state)
{
	char line[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	(void)state;
	if (uid == 0)
		return 0;
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	set("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "0 %u 1", (unsigned)uid);
	set("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "0 %u 1", (unsigned)gid);
	set("/proc/self/gid_map", line);
	return 0;
}

int enter_own_network(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	bring_up(LOOPBACK_INDEX);
	return 0;
}
