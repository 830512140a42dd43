/* SPDX-License-Identifier: Apache-2.0 */

/* A run's way out: a veth pair, one end in its network namespace, one here. The host's end is never
 * anywhere else than in the supervisor's namespace; the kernel removes both with the run's
 * namespace, so that a killed berm leaves nothing. */
#include "apply/launch.h"
#include "apply/netlink.h"
#include "apply/network-end.h"
#include "apply/network-filter.h"
#include "apply/network-pool.h"
#include "apply/network-uplink.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#define INSIDE_NAME "berm0"
#define LINK_PREFIX 30
#define LINK6_PREFIX 126

struct link {
	const Berm__Wire__Network *network;
	struct network_pool pool;
	struct network_ends ends;
	char name[IFNAMSIZ]; /* of the host's end */
	unsigned index, inside_index;
	const char *uplink; /* or NULL */
	uint32_t mtu;       /* 0: the kernel's default */
	int namespace_fd;   /* the run's */
	struct netlink here, inside;
};

static struct end end_of(struct link *link, bool host)
{
	struct network_ends *e = &link->ends;

	return host ? (struct end){&link->here, link->index, e->host, e->run, e->has6, &e->host6,
			      &e->run6}
		    : (struct end){&link->inside, link->inside_index, e->run, e->host, e->has6,
			      &e->run6, &e->host6};
}

/* ---- inside ---- */

/* What a new interface there begins with. */
static int set_defaults_inside(const struct link *link, struct error *err)
{
	static const char conf[] = "/proc/sys/net/ipv6/conf/default";
	static const char *const off[] = {"accept_ra", "accept_redirects", "accept_source_route"};
	char path[128];
	int r = 0;

	if (access(conf, F_OK) < 0)
		return link->pool.has6 ? error_set(err, -EAFNOSUPPORT, ERROR_UNSUPPORTED,
						 "pool6 is configured and this kernel has no IPv6")
				       : 0;
	if (!link->pool.has6)
		return io_write_file(
			AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", err);
	for (size_t i = 0; r == 0 && i < array_size(off); i++) {
		snprintf(path, sizeof(path), "%s/%s", conf, off[i]);
		r = io_write_file(AT_FDCWD, path, "0", err);
	}
	return r;
}

static int look_inside(struct link *link, struct error *err)
{
	int r;

	link->namespace_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (link->namespace_fd < 0)
		return error_errno(err, "open the run's network namespace");
	r = set_defaults_inside(link, err);
	return r < 0 ? r : netlink_open(NETLINK_ROUTE, &link->inside, err);
}

/* This process has one thread; a socket stays in the namespace that it was opened in. */
static int visit(const struct launch *launch, struct link *link, struct error *err)
{
	autoclose int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r;

	if (own < 0)
		return error_errno(err, "open the network namespace");
	if (setns(launch->init_fd, CLONE_NEWNET) < 0)
		return error_errno(err, "enter the run's network namespace");
	r = look_inside(link, err);
	if (setns(own, CLONE_NEWNET) < 0)
		return error_errno(err, "leave the run's network namespace");
	return r;
}

/* ---- the pair ---- */

static int put_names(struct nl_msg *m, const char *name, uint32_t address, uint32_t mtu)
{
	unsigned char mac[END_MAC_BYTES];

	end_mac(address, mac);
	return nla_put_string(m, IFLA_IFNAME, name) | nla_put(m, IFLA_ADDRESS, sizeof(mac), mac) |
	       (mtu ? nla_put_u32(m, IFLA_MTU, mtu) : 0);
}

static int put_pair(struct nl_msg *m, const struct link *link)
{
	struct ifinfomsg inside = {.ifi_family = AF_UNSPEC};
	struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO), *data, *peer;

	if (!info || nla_put_string(m, IFLA_INFO_KIND, "veth") < 0)
		return -ENOMEM;
	data = nla_nest_start(m, IFLA_INFO_DATA);
	peer = data ? nla_nest_start(m, VETH_INFO_PEER) : NULL;
	if (!peer || nlmsg_append(m, &inside, sizeof(inside), NLMSG_ALIGNTO) < 0 ||
		put_names(m, INSIDE_NAME, link->ends.run, link->mtu) < 0 ||
		nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)link->namespace_fd) < 0)
		return -ENOMEM;
	nla_nest_end(m, peer);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	return 0;
}

/* -EEXIST: another run has these addresses. */
static int make_pair(struct link *link, struct error *err)
{
	struct ifinfomsg host = {.ifi_family = AF_UNSPEC};
	struct nl_msg *m = nlmsg_alloc_simple(
		RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	int failed = 0;

	network_end_name(&link->ends, link->name);
	if (m)
		failed = nlmsg_append(m, &host, sizeof(host), NLMSG_ALIGNTO) |
			 put_names(m, link->name, link->ends.host, link->mtu) | put_pair(m, link);
	return netlink_send_one(&link->here, m, failed, err);
}

/* netdevice(7) works on any socket, in the namespace of that socket. */
static int index_of(
	const struct netlink *netlink, const char *name, unsigned *ret_index, struct error *err)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(netlink->fd, SIOCGIFINDEX, &request) < 0)
		return error_errno(err, "look at the link %s", name);
	*ret_index = (unsigned)request.ifr_ifindex;
	return 0;
}

/* The kernel gives a name to one of those who ask at the same time, so taking the name is taking
 * the addresses. */
static int take_addresses(struct link *link, struct error *err)
{
	uint32_t count = network_pool_links(&link->pool), at = 0;
	int r = -EEXIST;

	if (getrandom(&at, sizeof(at), 0) != sizeof(at))
		return error_errno(err, "getrandom");
	for (uint32_t tries = 0; r == -EEXIST && tries < count; tries++) {
		network_pool_ends(&link->pool, (at + tries) % count, &link->ends);
		r = make_pair(link, err);
	}
	if (r == -EEXIST)
		return error_set(err, -EADDRNOTAVAIL, ERROR_UNSUPPORTED,
			"all %u links of the pool %s are in use", count, link->network->pool);
	if (r < 0)
		return error_wrap(err, "make a link");
	r = index_of(&link->here, link->name, &link->index, err);
	return r < 0 ? r : index_of(&link->inside, INSIDE_NAME, &link->inside_index, err);
}

/* ---- its two ends ---- */

static int send_addresses(const struct link *link, const struct end *end, struct error *err)
{
	const uint32_t own = htonl(end->own), other = htonl(end->other);
	int r = end_send_address(end, AF_INET, &own, LINK_PREFIX, err);

	if (r == 0)
		r = end_send_neighbour(end, AF_INET, &other, err);
	if (r == 0 && link->pool.has6)
		r = end_send_address(end, AF_INET6, end->own6, LINK6_PREFIX, err);
	if (r == 0 && link->pool.has6)
		r = end_send_neighbour(end, AF_INET6, end->other6, err);
	return r;
}

/* IPv6 of the host's end has no other way in than these files. */
static int set_ipv6_here(const struct link *link, struct error *err)
{
	static const char *const off[] = {"accept_ra", "accept_redirects", "accept_source_route"};
	char path[128];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", link->name);
	if (access(path, F_OK) < 0)
		return 0; /* no IPv6 at all: then there is no pool6 either */
	if (!link->pool.has6)
		return io_write_file(AT_FDCWD, path, "1", err);
	for (size_t i = 0; r == 0 && i < array_size(off); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", link->name, off[i]);
		r = io_write_file(AT_FDCWD, path, "0", err);
	}
	return r;
}

static int set_up_inside(struct link *link, struct error *err)
{
	const struct end end = end_of(link, false);
	const uint32_t gateway = htonl(end.other);
	int r = end_send_settings(&end, false, "", err);

	if (r == 0)
		r = send_addresses(link, &end, err);
	if (r == 0)
		r = end_send_up(&end, err);
	if (r == 0)
		r = end_send_default_route(&end, AF_INET, &gateway, err);
	if (r == 0 && link->pool.has6)
		r = end_send_default_route(&end, AF_INET6, end.other6, err);
	return r < 0 ? error_wrap(err, "set up the run's end of the link") : 0;
}

static const char *run_id(const Berm__Wire__Plan *plan)
{
	static const char name[] = "BERM_RUN=";

	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], name, sizeof(name) - 1) == 0)
			return plan->environment[i] + sizeof(name) - 1;
	return "";
}

static int set_up_here(const struct launch *launch, struct link *link, struct error *err)
{
	const struct end end = end_of(link, true);
	char alias[128];
	int r;

	snprintf(alias, sizeof(alias), "berm run %s", run_id(launch->plan));
	r = end_send_settings(&end, link->uplink != NULL, alias, err);
	if (r == 0)
		r = set_ipv6_here(link, err);
	if (r == 0)
		r = send_addresses(link, &end, err);
	return r < 0 ? error_wrap(err, "set up the link %s", link->name) : 0;
}

/* IPv6 is forwarded by all interfaces of a host or by none, so that a link to the host alone needs
 * the filter as soon as the host is a router. */
static int filter(struct launch *launch, const struct link *link, struct error *err)
{
	struct netlink owner = NETLINK_NONE;
	bool router = false;
	int r = 0;

	if (link->pool.has6)
		r = uplink_read_flag("/proc/sys/net/ipv6/conf/all/forwarding", &router, err);
	if (r == 0 && (link->uplink || router))
		r = network_filter_make(link->name, link->uplink, &owner, err);
	launch->filter_fd = take_fd(&owner.fd);
	return r;
}

static int make(struct launch *launch, struct link *link, struct error *err)
{
	const Berm__Wire__Network *network = link->network;
	struct end end;
	int r = network_pool_read4(network->pool, &link->pool, err);

	if (r == 0)
		r = network_pool_read6(network->pool6, &link->pool, err);
	if (r == 0)
		r = uplink_look(link->uplink, link->pool.has6, &link->mtu, err);
	if (r == 0)
		r = uplink_check_pool(&link->pool, err);
	if (r == 0)
		r = visit(launch, link, err);
	if (r == 0)
		r = netlink_open(NETLINK_ROUTE, &link->here, err);
	if (r == 0)
		r = take_addresses(link, err);
	if (r < 0)
		return r;
	launch->link_index = link->index;
	r = set_up_here(launch, link, err);
	if (r == 0)
		r = set_up_inside(link, err);
	if (r == 0)
		r = filter(launch, link, err);
	end = end_of(link, true);
	/* Until here not one packet went either way. */
	return r < 0 ? r : end_send_up(&end, err);
}

int network_link(struct launch *launch, struct error *err)
{
	struct link link = {.network = launch->plan->network,
		.uplink = *launch->plan->network->uplink ? launch->plan->network->uplink : NULL,
		.namespace_fd = -1,
		.here = NETLINK_NONE,
		.inside = NETLINK_NONE};
	int r = 0;

	if (link.network->mode == BERM__WIRE__NETWORK_MODE__NETWORK_LINK)
		r = make(launch, &link, err);
	netlink_close(&link.here);
	netlink_close(&link.inside);
	own_close(&link.namespace_fd);
	return r;
}

void network_unlink(struct launch *launch)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int)launch->link_index};
	autonetlink struct netlink here = NETLINK_NONE;
	struct nl_msg *m;

	own_close(&launch->filter_fd);
	if (launch->link_index == 0 || netlink_open(NETLINK_ROUTE, &here, NULL) < 0)
		return;
	/* Mostly it is gone already, or about to: with the run's namespace. */
	m = nlmsg_alloc_simple(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK);
	(void)!netlink_send_one(
		&here, m, m ? nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) : 0, NULL);
	launch->link_index = 0;
}
