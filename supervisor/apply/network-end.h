/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/netlink.h"

#include <netinet/in.h>
#include <stdbool.h>

#define END_MAC_BYTES 6

/* One end of a run's link, as its messages need it; borrowed. */
struct end {
	struct netlink *netlink; /* of the namespace that it is in */
	unsigned index;
	uint32_t own, other; /* host order */
	bool has6;
	const struct in6_addr *own6, *other6;
};

/* The hardware address of the end with that address: locally administered and told by the address,
 * so that the ends know each other without asking. */
void end_mac(uint32_t address, unsigned char ret_mac[END_MAC_BYTES]);

/* One message each (rtnetlink(7)). family: AF_INET, AF_INET6; addresses in network order. */
int end_send_address(const struct end *end, int family, const void *address, uint8_t prefix,
	struct error *err) must_check;
/* Where the other end is, for good: nobody has to ask, and no answer is believed. */
int end_send_neighbour(
	const struct end *end, int family, const void *address, struct error *err) must_check;
int end_send_default_route(
	const struct end *end, int family, const void *gateway, struct error *err) must_check;
/* Settings of IPv4 whatever this host's defaults are, and no IPv6 address that nobody gave. */
int end_send_settings(
	const struct end *end, bool forward, const char *alias, struct error *err) must_check;
int end_send_up(const struct end *end, struct error *err) must_check;
