/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/network-probe.h"

#include "apply/netlink.h"
#include "apply/network-filter.h"
#include "apply/network-uplink.h"
#include "base/io.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

static int try_pair(struct error *err)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	autonetlink struct netlink netlink = NETLINK_NONE;
	struct nl_msg *m;
	struct nlattr *info = NULL;
	int failed = -ENOMEM;
	int r = netlink_open(NETLINK_ROUTE, &netlink, err);

	if (r < 0)
		return r;
	m = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	if (m && nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0)
		info = nla_nest_start(m, IFLA_LINKINFO);
	if (info) {
		failed = nla_put_string(m, IFLA_INFO_KIND, "veth");
		nla_nest_end(m, info);
	}
	r = netlink_send_one(&netlink, m, failed, err);
	return r < 0 ? error_wrap(err, "make a veth pair (CONFIG_VETH)") : 0;
}

static int try_all(bool filter, struct error *err)
{
	autonetlink struct netlink owner = NETLINK_NONE;
	int r;

	if (unshare(CLONE_NEWNET) < 0)
		return error_errno(err, "make a network namespace");
	r = try_pair(err);
	return r == 0 && filter ? network_filter_make("berm-probe", "lo", &owner, err) : r;
}

/* The namespace and all in it go with the child. */
static int try_in_child(bool filter, struct error *err)
{
	struct error told = {0};
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "pipe");
	pid = fork();
	if (pid == 0) {
		(void)!try_all(filter, &told);
		_exit(io_write_all(ends[1], &told, sizeof(told)) < 0);
	}
	close(ends[1]);
	if (pid < 0 || io_read_exact(ends[0], &told, sizeof(told)) < 0)
		error_set(&told, -EIO, ERROR_INTERNAL, "the trial ended early");
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return told.code ? error_set(err, told.code, ERROR_UNSUPPORTED, "%s", told.text) : 0;
}

int network_probe(const Berm__Wire__HostFacts *facts, struct error *err)
{
	const char *uplink = *facts->network_uplink ? facts->network_uplink : NULL;
	struct network_pool pool = {0};
	uint32_t mtu;
	int r = try_in_child(uplink != NULL, err);

	if (r < 0 || !*facts->network_pool)
		return r;
	r = network_pool_read4(facts->network_pool, &pool, err);
	if (r == 0)
		r = network_pool_read6(facts->network_pool6, &pool, err);
	if (r == 0)
		r = uplink_look(uplink, pool.has6, &mtu, err);
	return r < 0 ? r : uplink_check_pool(&pool, err);
}
