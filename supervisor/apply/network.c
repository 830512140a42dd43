/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

/* lo is always the first interface of a new network namespace (net/core/dev.c, LOOPBACK_IFINDEX).
 */
#define LOOPBACK_INDEX 1

/* The message is made here, before clone3(2), since the child allocates nothing. */
int network_prepare(struct launch *launch, struct error *err)
{
	struct ifinfomsg info = {.ifi_family = AF_UNSPEC,
		.ifi_index = LOOPBACK_INDEX,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP};
	struct nl_msg *message;
	int r = -ENOMEM;

	if (launch->plan->network->mode != BERM__WIRE__NETWORK_MODE__NETWORK_NONE)
		return 0;
	message = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
	if (message && nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) == 0 &&
		nlmsg_hdr(message)->nlmsg_len <= sizeof(launch->lo_up)) {
		launch->lo_up_length = nlmsg_hdr(message)->nlmsg_len;
		memcpy(launch->lo_up, nlmsg_hdr(message), launch->lo_up_length);
		r = 0;
	}
	nlmsg_free(message);
	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "make the message that brings lo up") : 0;
}

int network_up(const struct launch *launch, struct error *err)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	autoclose int fd = -1;

	if (launch->lo_up_length == 0)
		return 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return error_errno(err, "open a netlink socket");
	if (send(fd, launch->lo_up, launch->lo_up_length, 0) != (ssize_t)launch->lo_up_length)
		return error_errno(err, "bring lo up");
	if (recv(fd, &answer, sizeof(answer), 0) <
			(ssize_t)(sizeof(answer.header) + sizeof(answer.error)) ||
		answer.header.nlmsg_type != NLMSG_ERROR)
		return error_set(
			err, -EPROTO, ERROR_INTERNAL, "bring lo up: no answer from the kernel");
	if (answer.error.error != 0) {
		errno = -answer.error.error;
		return error_errno(err, "bring lo up");
	}
	return 0;
}
