/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/network-pool.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#define LINK_BITS 30
#define LINK6_BITS 126

static int split(const char *text, unsigned most_bits, char ret_address[INET6_ADDRSTRLEN],
	unsigned *ret_bits)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : 0;
	uint64_t bits;

	if (length == 0 || length >= INET6_ADDRSTRLEN || !number_parse_u64(slash + 1, &bits) ||
		bits > most_bits)
		return -EINVAL;
	memcpy(ret_address, text, length);
	ret_address[length] = '\0';
	*ret_bits = (unsigned)bits;
	return 0;
}

static int check_bits(
	const char *text, unsigned bits, unsigned least, unsigned most, struct error *err)
{
	if (bits >= least && bits <= most)
		return 0;
	return error_set(
		err, -EINVAL, ERROR_INPUT, "%s: a pool has between /%u and /%u", text, least, most);
}

/* Loopback, link-local, multicast and what is above would be no addresses that are routed. */
static bool is_unicast(uint32_t first, uint32_t last)
{
	static const struct {
		uint32_t first, last;
	} taken[] = {{0x00000000, 0x00ffffff}, {0x7f000000, 0x7fffffff}, {0xa9fe0000, 0xa9feffff},
		{0xe0000000, 0xffffffff}};

	for (size_t i = 0; i < array_size(taken); i++)
		if (first <= taken[i].last && last >= taken[i].first)
			return false;
	return true;
}

int network_pool_read4(const char *text, struct network_pool *pool, struct error *err)
{
	char address[INET6_ADDRSTRLEN];
	struct in_addr base;
	uint32_t mask;
	int r;

	if (split(text, 32, address, &pool->bits) < 0 || inet_pton(AF_INET, address, &base) != 1)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s: not an IPv4 prefix such as 10.143.0.0/16", text);
	r = check_bits(text, pool->bits, NETWORK_POOL_BITS_MIN, NETWORK_POOL_BITS_MAX, err);
	if (r < 0)
		return r;
	pool->base = ntohl(base.s_addr);
	mask = UINT32_MAX >> pool->bits;
	if (pool->base & mask)
		return error_set(err, -EINVAL, ERROR_INPUT, "%s: bits are set behind the first %u",
			text, pool->bits);
	if (!is_unicast(pool->base, pool->base | mask))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s: holds addresses that are not for hosts", text);
	return 0;
}

/* Global and unique local unicast: 2000::/3 and fc00::/7. */
static bool is_unicast6(const struct in6_addr *base, unsigned bits)
{
	return (bits >= 3 && base->s6_addr[0] >> 5 == 1) ||
	       (bits >= 7 && base->s6_addr[0] >> 1 == 0x7e);
}

int network_pool_read6(const char *text, struct network_pool *pool, struct error *err)
{
	char address[INET6_ADDRSTRLEN];
	int r;

	pool->has6 = text && *text;
	if (!pool->has6)
		return 0;
	if (split(text, 128, address, &pool->bits6) < 0 ||
		inet_pton(AF_INET6, address, &pool->base6) != 1)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s: not an IPv6 prefix such as fd62:6572:6d00::/64", text);
	r = check_bits(text, pool->bits6, NETWORK_POOL6_BITS_MIN, NETWORK_POOL6_BITS_MAX, err);
	if (r < 0)
		return r;
	for (unsigned bit = pool->bits6; bit < 128; bit++)
		if (pool->base6.s6_addr[bit / 8] & 0x80 >> bit % 8)
			return error_set(err, -EINVAL, ERROR_INPUT,
				"%s: bits are set behind the first %u", text, pool->bits6);
	if (!is_unicast6(&pool->base6, pool->bits6))
		return error_set(err, -EINVAL, ERROR_INPUT,
			"%s: neither global (2000::/3) nor local (fc00::/7) addresses", text);
	return 0;
}

uint32_t network_pool_links(const struct network_pool *pool)
{
	unsigned bits = LINK_BITS - pool->bits;

	if (pool->has6 && LINK6_BITS - pool->bits6 < bits)
		bits = LINK6_BITS - pool->bits6;
	return 1u << bits;
}

void network_pool_ends(
	const struct network_pool *pool, uint32_t number, struct network_ends *ret_ends)
{
	struct network_ends ends = {.host = pool->base + number * 4 + 1,
		.run = pool->base + number * 4 + 2,
		.has6 = pool->has6,
		.host6 = pool->base6};
	uint32_t low;

	if (pool->has6) {
		/* The pool's own bits end before these, so adding is setting. */
		memcpy(&low, &ends.host6.s6_addr[12], sizeof(low));
		low = htonl(ntohl(low) + number * 4);
		memcpy(&ends.host6.s6_addr[12], &low, sizeof(low));
		ends.run6 = ends.host6;
		ends.host6.s6_addr[15] |= 1;
		ends.run6.s6_addr[15] |= 2;
	}
	*ret_ends = ends;
}

void network_end_name(const struct network_ends *ends, char ret_name[IFNAMSIZ])
{
	snprintf(ret_name, IFNAMSIZ, "berm-%08" PRIx32, ends->host & ~UINT32_C(3));
}
