/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/network-end.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

void end_mac(uint32_t address, unsigned char ret_mac[END_MAC_BYTES])
{
	uint32_t be = htonl(address);

	ret_mac[0] = 0x02;
	ret_mac[1] = 0xbe;
	memcpy(ret_mac + 2, &be, sizeof(be));
}

int end_send_address(
	const struct end *end, int family, const void *address, uint8_t prefix, struct error *err)
{
	size_t length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	struct ifaddrmsg head = {.ifa_family = (uint8_t)family,
		.ifa_prefixlen = prefix,
		/* Nobody else is on the link to have the same address; waiting for that would keep
		 * it from being used for seconds. */
		.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = end->index};
	struct nl_msg *m = nlmsg_alloc_simple(
		RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	int failed = 0;

	if (m)
		failed = nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) |
			 nla_put(m, IFA_LOCAL, (int)length, address) |
			 nla_put(m, IFA_ADDRESS, (int)length, address);
	return netlink_send_one(end->netlink, m, failed, err);
}

int end_send_neighbour(const struct end *end, int family, const void *address, struct error *err)
{
	size_t length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	struct ndmsg head = {.ndm_family = (uint8_t)family,
		.ndm_ifindex = (int)end->index,
		.ndm_state = NUD_PERMANENT};
	struct nl_msg *m = nlmsg_alloc_simple(
		RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	unsigned char mac[END_MAC_BYTES];
	int failed = 0;

	end_mac(end->other, mac);
	if (m)
		failed = nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) |
			 nla_put(m, NDA_DST, (int)length, address) |
			 nla_put(m, NDA_LLADDR, sizeof(mac), mac);
	return netlink_send_one(end->netlink, m, failed, err);
}

int end_send_default_route(
	const struct end *end, int family, const void *gateway, struct error *err)
{
	size_t length = family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	struct rtmsg head = {.rtm_family = (uint8_t)family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	struct nl_msg *m = nlmsg_alloc_simple(
		RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	int failed = 0;

	if (m)
		failed = nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) |
			 nla_put(m, RTA_GATEWAY, (int)length, gateway) |
			 nla_put_u32(m, RTA_OIF, end->index);
	return netlink_send_one(end->netlink, m, failed, err);
}

/* An end's settings of IPv4, whatever this host's defaults are; no IPv6 address of its own making
 * where it has IPv6. */
int end_send_settings(const struct end *end, bool forward, const char *alias, struct error *err)
{
	const struct {
		int setting;
		uint32_t value;
	} rows[] = {
		{IPV4_DEVCONF_FORWARDING, forward},
		{IPV4_DEVCONF_RP_FILTER, 1},
		{IPV4_DEVCONF_ARP_IGNORE, 1},
		{IPV4_DEVCONF_PROXY_ARP, 0},
		{IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},
		{IPV4_DEVCONF_SEND_REDIRECTS, 0},
		{IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0},
		{IPV4_DEVCONF_ROUTE_LOCALNET, 0},
		{IPV4_DEVCONF_ACCEPT_LOCAL, 0},
	};
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int)end->index};
	struct nl_msg *m = nlmsg_alloc_simple(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK);
	struct nlattr *families = NULL, *family = NULL, *settings = NULL;
	int failed = -ENOMEM;

	if (m && nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) == 0 &&
		nla_put_string(m, IFLA_IFALIAS, alias) == 0)
		families = nla_nest_start(m, IFLA_AF_SPEC);
	family = families ? nla_nest_start(m, AF_INET) : NULL;
	settings = family ? nla_nest_start(m, IFLA_INET_CONF) : NULL;
	if (settings) {
		failed = 0;
		for (size_t i = 0; i < array_size(rows); i++)
			failed |= nla_put_u32(m, rows[i].setting, rows[i].value);
		nla_nest_end(m, settings);
		nla_nest_end(m, family);
		family = end->has6 ? nla_nest_start(m, AF_INET6) : NULL;
		if (family) {
			failed |= nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
			nla_nest_end(m, family);
		}
		nla_nest_end(m, families);
	}
	return netlink_send_one(end->netlink, m, failed, err);
}

int end_send_up(const struct end *end, struct error *err)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC,
		.ifi_index = (int)end->index,
		/* Nobody is asked for a neighbour, and no membership is reported: the kernel would
		 * do it with sockets that count as the run's. */
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP | IFF_MULTICAST};
	struct nl_msg *m = nlmsg_alloc_simple(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK);
	int failed = m ? nlmsg_append(m, &head, sizeof(head), NLMSG_ALIGNTO) : 0;

	return netlink_send_one(end->netlink, m, failed, err);
}
