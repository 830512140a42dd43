/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <netlink/attr.h>
#include <netlink/msg.h>

/* One conversation with the kernel: messages that libnl builds, each acknowledged before the call
 * returns. The errno and the kernel's own words (NLMSGERR_ATTR_MSG) come back, which libnl's
 * sockets would not keep. */
struct netlink {
	int fd; /* -1: none */
	uint32_t sequence;
};
#define NETLINK_NONE ((struct netlink){.fd = -1})

/* protocol: NETLINK_ROUTE, NETLINK_NETFILTER. The socket belongs to the network namespace that the
 * caller is in now, and stays there. Release with netlink_close(). */
int netlink_open(int protocol, struct netlink *ret_netlink, struct error *err) must_check;
void netlink_close(struct netlink *netlink);
#define autonetlink __attribute__((cleanup(netlink_close)))

/* Send the messages as one datagram and wait for the answer to each that has NLM_F_ACK. The first
 * that failed is the result: -errno, and "strerror (the kernel's words)" in err. */
int netlink_send(struct netlink *netlink, struct nl_msg *const *messages, size_t count,
	struct error *err) must_check;
/* The same for one message, which is freed; NULL and failed (something that did not fit into it)
 * are -ENOMEM. */
int netlink_send_one(
	struct netlink *netlink, struct nl_msg *message, int failed, struct error *err) must_check;
