/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>

#define NETWORK_POOL_BITS_MIN 8
#define NETWORK_POOL_BITS_MAX 29
#define NETWORK_POOL6_BITS_MIN 16
#define NETWORK_POOL6_BITS_MAX 125

/* The operator's prefixes, out of which each run's link takes four addresses. */
struct network_pool {
	uint32_t base; /* host order */
	unsigned bits;
	bool has6;
	struct in6_addr base6;
	unsigned bits6;
};

/* The two ends of one link: the second and the third address of a /30, and of a /126. */
struct network_ends {
	uint32_t host, run; /* host order */
	bool has6;
	struct in6_addr host6, run6;
};

/* Read "10.143.0.0/16" and "fd00::/64" (NULL or "": no IPv6). Prefixes that cannot be a pool are
 * refused (kind INPUT): host bits set, too short or too long, not of plain unicast addresses. */
int network_pool_read4(const char *text, struct network_pool *pool, struct error *err) must_check;
int network_pool_read6(const char *text, struct network_pool *pool, struct error *err) must_check;

/* How many links the pool has addresses for, at least 1. */
uint32_t network_pool_links(const struct network_pool *pool);
/* The addresses of the link with that number, less than network_pool_links(). */
void network_pool_ends(
	const struct network_pool *pool, uint32_t number, struct network_ends *ret_ends);
/* "berm-0a8f0004": the host's end is named after its /30, so that the kernel itself lets only one
 * run have it. */
void network_end_name(const struct network_ends *ends, char ret_name[IFNAMSIZ]);
