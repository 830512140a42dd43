/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HOST_NAME_MAX_BYTES 253

/* Names and addresses of network rules: parsed and compared here and nowhere else. Nothing here
 * asks the DNS. */

/* An IPv6 address, or an IPv4 one in its mapped form (::ffff:a.b.c.d): the two spellings of one
 * IPv4 address are equal. is_ipv4 is true for both. */
struct address {
	uint8_t bytes[16];
	bool is_ipv4;
};

struct address_range {
	struct address base;
	unsigned prefix; /* bits of base.bytes that count, 0-128; IPv4 prefixes are counted from 96
			  */
};

/* "10.0.0.1", "fe80::1", "::ffff:10.0.0.1". Dotted decimal with four parts only; no zone, no port,
 * no brackets. */
bool address_parse(const char *text, struct address *ret_address);
/* "10.0.0.0/8", "fd00::/8"; without "/" the one address. False where bits beyond the prefix are
 * set. */
bool address_range_parse(const char *text, struct address_range *ret_range);
/* Never true across families: "::/0" holds no IPv4 address. */
bool address_in_range(const struct address *address, const struct address_range *range);

/* Lower case, no trailing dot, labels of letters, digits, "-" and "_", and nothing that a resolver
 * could take for a number ("127.1", "0x7f000001"). Writes at most HOST_NAME_MAX_BYTES + 1 bytes. */
bool host_name_normalise(const char *text, char ret_name[HOST_NAME_MAX_BYTES + 1]);
/* What network rules may hold: a name, "*.name" or "**.name" with at least two labels after the
 * wildcard, and not directly over a public suffix ("*.com", "*.co.uk"); or an address. */
bool host_pattern_is_valid(const char *pattern);
/* "*." stands for exactly one label, "**." for one or more, the apex is never included. host is
 * normalised. An invalid pattern matches nothing. */
bool host_matches(const char *pattern, const char *host);
