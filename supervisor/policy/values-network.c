/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/host.h"
#include "policy/port.h"
#include "policy/read.h"

#include "base/number.h"

#include <arpa/inet.h>
#include <string.h>

#define LABEL_MAX 63
#define WIDE_BITS_4 8 /* fewer leading bits than this are worth a warning */
#define WIDE_BITS_6 16

/* What is wrong with the labels of a name, or NULL. */
static const char *label_problem(const char *name, bool wildcard)
{
	unsigned labels = 0;

	for (const char *at = name;; at++) {
		size_t n = strcspn(at, ".");

		if (n == 0)
			return "has an empty label";
		if (n > LABEL_MAX)
			return "has a label longer than 63 characters";
		if (at[0] == '-' || at[n - 1] == '-')
			return "has a label that begins or ends with -";
		labels++;
		at += n;
		if (*at == '\0')
			break;
	}
	if (wildcard && labels < 2)
		return "covers a whole top-level domain";
	return NULL;
}

/* What is wrong with a host in lower case, or NULL. */
static const char *host_problem(const char *host)
{
	size_t stars = strspn(host, "*");
	const char *name = host + stars + (stars > 0 && host[stars] == '.');
	const char *problem, *odd = name + strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	struct address address;

	if (strstr(host, "://"))
		return "has a scheme; write the name alone";
	if (stars > 0 && host[stars] == '\0')
		return "covers every host";
	if (stars > 2 || (stars > 0 && host[stars] != '.') || *odd == '*')
		return "has a wildcard that is not a whole label at the start";
	if ((unsigned char)*odd >= 0x80)
		return "has letters outside ASCII; write its xn-- form";
	if (*odd == ':')
		return "has a `:`; ports go into ports, IPv6 addresses into cidr";
	if (*odd)
		return "holds a character that no host name has";
	if (strlen(name) > HOST_NAME_MAX_BYTES)
		return "is longer than 253 characters";
	problem = label_problem(name, stars > 0);
	if (problem || (host_pattern_is_valid(host) && !address_parse(name, &address)))
		return problem;
	return stars > 0 ? "covers an ending under which strangers register names"
			 : "looks like an address; write cidr instead, with /32";
}

const char *value_host(struct reader *r, const struct node *node)
{
	char *host = reader_copy(r, node->text);
	const char *problem;

	if (!host)
		return NULL;
	for (char *c = host; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	problem = host_problem(host);
	if (!problem)
		return host;
	diagnostics_report(r->d, CODE_HOST, node->at, "host `%s` %s", node->text, problem);
	return NULL;
}

/* An address range as it is written: the words of a diagnostic need more than whether it is good.
 */
struct cidr {
	int family;
	unsigned char address[16];
	size_t bytes; /* of the address: 4 or 16 */
	unsigned bits;
};

static bool cidr_parse(const char *text, struct cidr *ret_cidr)
{
	struct cidr cidr = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	char address[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	uint64_t bits;

	if (n >= sizeof(address) || text[n] != '/')
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	cidr.bytes = cidr.family == AF_INET6 ? 16 : 4;
	if (inet_pton(cidr.family, address, cidr.address) != 1 ||
		!number_parse_u64(text + n + 1, &bits) || bits > cidr.bytes * 8)
		return false;
	cidr.bits = (unsigned)bits;
	*ret_cidr = cidr;
	return true;
}

/* Clear the bits behind the first cidr->bits; true where one was set. */
static bool clear_rest(struct cidr *cidr)
{
	bool any = false;

	for (unsigned i = cidr->bits; i < cidr->bytes * 8; i++) {
		unsigned char bit = (unsigned char)(0x80u >> i % 8);

		any |= (cidr->address[i / 8] & bit) != 0;
		cidr->address[i / 8] &= (unsigned char)~bit;
	}
	return any;
}

const char *value_cidr(struct reader *r, const struct node *node)
{
	char text[INET6_ADDRSTRLEN], shown[INET6_ADDRSTRLEN + 8];
	struct cidr cidr;
	bool rest, six;

	if (!cidr_parse(node->text, &cidr)) {
		diagnostics_report(r->d, CODE_CIDR, node->at,
			"range `%s` is not an address, / and a number of bits%s", node->text,
			strchr(node->text, '/') ? "" : "; one address is /32, or /128 in IPv6");
		return NULL;
	}
	six = cidr.family == AF_INET6;
	rest = clear_rest(&cidr);
	inet_ntop(cidr.family, cidr.address, text, sizeof(text));
	snprintf(shown, sizeof(shown), "%s/%u", text, cidr.bits);
	if (rest) {
		diagnostics_report(r->d, CODE_CIDR, node->at,
			"range `%s` has bits set behind its first %u; did you mean %s?", node->text,
			cidr.bits, shown);
		return NULL;
	}
	if (six && IN6_IS_ADDR_V4MAPPED((struct in6_addr *)cidr.address)) {
		diagnostics_report(r->d, CODE_CIDR, node->at,
			"range `%s` is IPv4 written as IPv6; write the IPv4 range, it "
			"covers both",
			node->text);
		return NULL;
	}
	if (cidr.bits > 0 && cidr.bits < (six ? WIDE_BITS_6 : WIDE_BITS_4))
		diagnostics_report(r->d, CODE_WARNING_WIDE, node->at,
			"range %s covers a large part of the Internet", shown);
	return reader_copy(r, shown);
}

bool listen_parse(const char *text, char ret_address[INET6_ADDRSTRLEN], uint16_t ret_range[2])
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool six = n > 2 && text[0] == '[' && text[n - 1] == ']';
	unsigned char address[16];

	if (six) {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= INET6_ADDRSTRLEN || !port_range_parse(colon + 1, ret_range))
		return false;
	memcpy(ret_address, text, n);
	ret_address[n] = '\0';
	return inet_pton(six ? AF_INET6 : AF_INET, ret_address, address) == 1;
}

const char *value_listen(struct reader *r, const struct node *node)
{
	char address[INET6_ADDRSTRLEN];
	uint16_t range[2];

	if (listen_parse(node->text, address, range))
		return node->text;
	diagnostics_report(r->d, CODE_LISTEN, node->at,
		"`%s` is not ADDRESS:PORT or ADDRESS:PORT-PORT, such as 127.0.0.1:3000-3999",
		node->text);
	return NULL;
}
