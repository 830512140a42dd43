/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/host.h"

#include "base/own.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/number.h"

#define IPV4_PREFIX_BITS 96

static const uint8_t ipv4_mapped[12] = {[10] = 0xff, [11] = 0xff};

bool address_parse(const char *text, struct address *ret_address)
{
	struct address parsed = {0};
	uint8_t four[4];

	if (inet_pton(AF_INET, text, four) == 1) {
		memcpy(parsed.bytes, ipv4_mapped, sizeof(ipv4_mapped));
		memcpy(parsed.bytes + sizeof(ipv4_mapped), four, sizeof(four));
	} else if (inet_pton(AF_INET6, text, parsed.bytes) != 1) {
		return false;
	}
	parsed.is_ipv4 = memcmp(parsed.bytes, ipv4_mapped, sizeof(ipv4_mapped)) == 0;
	*ret_address = parsed;
	return true;
}

/* True where every bit from `from` on is zero. */
static bool rest_is_zero(const uint8_t bytes[16], unsigned from)
{
	for (unsigned bit = from; bit < 128; bit++)
		if (bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

bool address_range_parse(const char *text, struct address_range *ret_range)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	struct address_range range = {.prefix = 128};
	uint64_t prefix;

	if (length >= sizeof(address))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	if (!address_parse(address, &range.base))
		return false;
	if (slash) {
		/* "10.0.0.0/8" counts from the IPv4 part, "::ffff:10.0.0.0/104" is already whole.
		 */
		bool dotted = range.base.is_ipv4 && !strchr(address, ':');

		if (!number_parse_u64(slash + 1, &prefix) || prefix > (dotted ? 32 : 128))
			return false;
		range.prefix = (unsigned)prefix + (dotted ? IPV4_PREFIX_BITS : 0);
		if (range.base.is_ipv4 && range.prefix < IPV4_PREFIX_BITS)
			return false;
	}
	if (!rest_is_zero(range.base.bytes, range.prefix))
		return false;
	*ret_range = range;
	return true;
}

bool address_in_range(const struct address *address, const struct address_range *range)
{
	unsigned whole = range->prefix / 8, left = range->prefix % 8;

	if (address->is_ipv4 != range->base.is_ipv4)
		return false;
	if (memcmp(address->bytes, range->base.bytes, whole) != 0)
		return false;
	return left == 0 || ((address->bytes[whole] ^ range->base.bytes[whole]) >> (8 - left)) == 0;
}

/* A last label like "1", "0x7f" or "017": the C resolver's inet_aton(3) would read such a "name" as
 * an address. */
static bool label_is_number(const char *label, size_t length)
{
	size_t digits = strspn(label, "0123456789");

	if (digits >= length)
		return true;
	return label[0] == '0' && label[1] == 'x' &&
	       2 + strspn(label + 2, "0123456789abcdef") >= length;
}

bool host_name_normalise(const char *text, char ret_name[HOST_NAME_MAX_BYTES + 1])
{
	char name[HOST_NAME_MAX_BYTES + 1];
	size_t length = strlen(text);

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > HOST_NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
	name[length] = '\0';
	for (const char *label = name;; label++) {
		size_t n = strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_");

		if (n == 0 || n > 63 || label[0] == '-' || label[n - 1] == '-')
			return false;
		if (label[n] == '\0') {
			if (label_is_number(label, n))
				return false;
			break;
		}
		if (label[n] != '.')
			return false;
		label += n;
	}
	memcpy(ret_name, name, length + 1);
	return true;
}

/* Registries that sell names one level further down, under most two-letter country domains. */
static bool is_public_suffix(const char *name)
{
	static const char *const seconds[] = {"ac", "co", "com", "edu", "gob", "gov", "go", "gv",
		"ltd", "mil", "ne", "net", "nom", "or", "org", "plc", "sch"};
	const char *dot = strchr(name, '.');

	if (!dot)
		return true;
	if (strchr(dot + 1, '.') || strlen(dot + 1) != 2)
		return false;
	for (size_t i = 0; i < array_size(seconds); i++)
		if (strlen(seconds[i]) == (size_t)(dot - name) &&
			strncmp(seconds[i], name, (size_t)(dot - name)) == 0)
			return true;
	return false;
}

/* The name after the wildcard, normalised; ret_any_depth: "**.". False for an invalid pattern. */
static bool pattern_split(
	const char *pattern, char ret_rest[HOST_NAME_MAX_BYTES + 1], unsigned *ret_stars)
{
	unsigned stars = 0;

	while (stars < 2 && pattern[stars] == '*')
		stars++;
	if (stars > 0 && pattern[stars] != '.')
		return false;
	if (!host_name_normalise(pattern + stars + (stars > 0), ret_rest))
		return false;
	if (stars > 0 && is_public_suffix(ret_rest))
		return false;
	*ret_stars = stars;
	return true;
}

bool host_pattern_is_valid(const char *pattern)
{
	char rest[HOST_NAME_MAX_BYTES + 1];
	struct address address;
	unsigned stars;

	return address_parse(pattern, &address) || pattern_split(pattern, rest, &stars);
}

bool host_matches(const char *pattern, const char *host)
{
	char rest[HOST_NAME_MAX_BYTES + 1];
	size_t host_length = strlen(host), rest_length;
	unsigned stars;

	if (!pattern_split(pattern, rest, &stars))
		return false;
	if (stars == 0)
		return strcmp(rest, host) == 0;
	rest_length = strlen(rest);
	if (host_length < rest_length + 2 || host[host_length - rest_length - 1] != '.' ||
		strcmp(host + host_length - rest_length, rest) != 0)
		return false;
	return stars == 2 || strcspn(host, ".") == host_length - rest_length - 1;
}
