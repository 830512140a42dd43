/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/netlink.h"

/* The packet filter of one run's link: an nf_tables table of its own, named after the link, which
 * the returned socket owns (NFT_TABLE_F_OWNER, Linux 5.12): the kernel removes it with the socket,
 * however berm ends, and nobody else can change or flush it. What comes in by the link may go out
 * by the uplink alone and is masqueraded there; what goes out by the link belongs to a connection
 * that the run began. Without an uplink (NULL) nothing is forwarded either way. Release with
 * netlink_close(). */
int network_filter_make(const char *link, const char *uplink, struct netlink *ret_owner,
	struct error *err) must_check;
