/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"
#include "policy/decide.h"
#include "policy/host.h"
#include "policy/port.h"

#include <netinet/in.h>

/* network.allow, ask, deny and listen as what the kernel compares: blocks of 128 bits, in which
 * IPv4 is ::ffff:a.b.c.d. deny wins over allow, whatever the prefixes, so that what an allow is not
 * meant for is either denied for everybody or cut out of that allow. The answers are those of
 * decide(), which tests/plans compares them with. */

#define PORT_LAST 65535
#define BITS 128

static const struct address_range everything = {.prefix = 0};
#define IPV4_BLOCK                                                                                 \
	{                                                                                          \
		.base = {.bytes = {[10] = 0xff, [11] = 0xff}, .is_ipv4 = true}, .prefix = 96       \
	}
static const struct address_range ipv4 = IPV4_BLOCK;

static bool within(const struct address_range *inner, const struct address_range *outer)
{
	unsigned whole = outer->prefix / 8, rest = outer->prefix % 8;

	if (inner->prefix < outer->prefix ||
		memcmp(inner->base.bytes, outer->base.bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((inner->base.bytes[whole] ^ outer->base.bytes[whole]) >> (8 - rest)) == 0;
}

static bool overlap(const struct address_range *a, const struct address_range *b)
{
	return within(a, b) || within(b, a);
}

/* What all entries of one line have in common. */
struct line {
	const uint16_t (*ports)[2];
	size_t port_count; /* 0: all */
	uint32_t protocol;
	bool allow, listen;
	uint32_t rule;
};

static void add_entry(struct compiler *c, const struct address_range *range,
	const struct line *line, uint32_t first, uint32_t last)
{
	Berm__Wire__MeterAddress *a = METER_ADD(c, addresses, berm__wire__meter_address__init);

	if (!a)
		return;
	message_bytes(c, &a->address, range->base.bytes, sizeof(range->base.bytes));
	a->prefix_bits = range->prefix;
	a->first_port = first;
	a->last_port = last;
	a->protocol = line->protocol;
	a->allow = line->allow;
	a->listen = line->listen;
	a->rule = line->rule;
}

static void add_block(
	struct compiler *c, const struct address_range *range, const struct line *line)
{
	if (line->port_count == 0)
		add_entry(c, range, line, 0, PORT_LAST);
	for (size_t i = 0; i < line->port_count; i++)
		add_entry(c, range, line, line->ports[i][0], line->ports[i][1]);
}

struct holes {
	struct address_range items[16];
	size_t count;
};

/* The parts of a block that lie in no hole. */
static void add_without(struct compiler *c, const struct address_range *range,
	const struct holes *holes, const struct line *line)
{
	struct address_range half = {.base = range->base, .prefix = range->prefix + 1};
	bool cut = false;

	for (size_t i = 0; i < holes->count; i++) {
		if (within(range, &holes->items[i]))
			return;
		cut |= within(&holes->items[i], range);
	}
	if (!cut) {
		add_block(c, range, line);
		return;
	}
	add_without(c, &half, holes, line);
	half.base.bytes[range->prefix / 8] |= (uint8_t)(0x80U >> range->prefix % 8);
	add_without(c, &half, holes, line);
}

/* The IPv4 block as NAT64 gateways spell it (RFC 6052). */
static struct address_range nat64_of(const struct address_range *range)
{
	struct address_range twin = {.base = range->base, .prefix = range->prefix};

	memcpy(twin.base.bytes, (const uint8_t[12]){0, 0x64, 0xff, 0x9b}, 12);
	twin.base.is_ipv4 = false;
	return twin;
}

static struct line line_of(const struct network_rule *r, bool allow, uint32_t rule)
{
	return (struct line){.ports = (const uint16_t(*)[2])r->ports,
		.port_count = r->port_count,
		.protocol = !r->proto                 ? 0
			    : strcmp(r->proto, "tcp") ? IPPROTO_UDP
						      : IPPROTO_TCP,
		.allow = allow,
		.rule = rule};
}

/* Rules that the kernel can hold: a name needs the DNS proxy, and a program that a rule is for
 * needs the exec meter. Both are pending, and a run that has them is refused. */
static bool is_block(const struct network_rule *r, struct address_range *ret_range)
{
	return r->cidr && !r->by_count && address_range_parse(r->cidr, ret_range);
}

/* True where an allow is for some of the block. */
static bool is_allowed_somewhere(const struct profile *p, const struct address_range *block)
{
	const struct network_rules *allow = &p->network.allow;

	for (size_t i = 0; i < allow->count; i++) {
		struct address_range range;

		/* No IPv6 block holds an IPv4 address, though in the kernel's numbers it does. */
		if (is_block(&allow->items[i], &range) &&
			range.base.is_ipv4 == block->base.is_ipv4 && overlap(&range, block))
			return true;
	}
	return p->network.mode == NETWORK_MODE_HOST;
}

/* True where an allow lies inside the block, and so was meant for it. */
static bool is_opened(const struct profile *p, const struct address_range *block)
{
	const struct network_rules *allow = &p->network.allow;

	for (size_t i = 0; i < allow->count; i++) {
		struct address_range range;

		if (is_block(&allow->items[i], &range) && within(&range, block))
			return true;
	}
	return false;
}

/* True where another line allows the same of all of IPv4. */
static bool ipv4_is_as_open(const struct profile *p, const struct network_rule *r)
{
	const struct network_rules *allow = &p->network.allow;

	for (size_t i = 0; i < allow->count; i++) {
		const struct network_rule *o = &allow->items[i];
		struct address_range range;

		if (is_block(o, &range) && range.prefix == ipv4.prefix && within(&range, &ipv4) &&
			!o->port_count && (!o->proto || (r->proto && !strcmp(r->proto, o->proto))))
			return true;
	}
	return false;
}

/* Addresses that a block of its own must name: see range_opens_metadata(). */
static void list_guarded(struct holes *guarded)
{
	size_t count;
	const char *const *ranges = metadata_ranges(&count);

	*guarded = (struct holes){0};
	for (size_t i = 0; i < count && guarded->count + 2 <= array_size(guarded->items); i++) {
		struct address_range range;

		if (!address_range_parse(ranges[i], &range))
			continue;
		guarded->items[guarded->count++] = range;
		if (range.base.is_ipv4)
			guarded->items[guarded->count++] = nat64_of(&range);
	}
}

static void add_allow(struct compiler *c, size_t i, const struct holes *guarded)
{
	const struct profile *p = c->profile;
	const struct network_rule *r = &p->network.allow.items[i];
	uint32_t rule = rule_index(c, RULES_NETWORK_ALLOW, i);
	struct line line = line_of(r, true, rule);
	struct address_range range;
	struct holes holes = {0};

	if (!is_block(r, &range))
		return;
	rule_enforced(c, rule, "network namespace, cgroup programs");
	/* What others open is not open by this line. */
	for (size_t k = 0; k < guarded->count; k++) {
		if (!within(&range, &guarded->items[k]) && is_opened(p, &guarded->items[k]))
			holes.items[holes.count++] = guarded->items[k];
	}
	if (range.prefix < ipv4.prefix && within(&ipv4, &range) && is_opened(p, &ipv4) &&
		!ipv4_is_as_open(p, r) && holes.count < array_size(holes.items))
		holes.items[holes.count++] = ipv4;
	add_without(c, &range, &holes, &line);
	if (!range.base.is_ipv4 && !*c->facts->network_pool6)
		note(c, "%s: no IPv6 addresses are set aside for runs: set `pool6:` in %s",
			rule_text(c, rule), METER_NETWORK_FILE);
}

/* berm's own denials: what no allow was meant for. */
static void add_guards(struct compiler *c, const struct holes *guarded)
{
	const struct profile *p = c->profile;
	const struct line own = {.rule = 0};
	bool ipv6 = false;

	for (size_t i = 0; i < guarded->count; i++) {
		if (is_allowed_somewhere(p, &guarded->items[i]) &&
			!is_opened(p, &guarded->items[i]))
			add_block(c, &guarded->items[i], &own);
	}
	for (size_t i = 0; i < p->network.allow.count; i++) {
		struct address_range range;

		ipv6 |= is_block(&p->network.allow.items[i], &range) &&
			range.prefix < ipv4.prefix && within(&ipv4, &range);
	}
	/* ::/0 is every IPv6 address, and in the kernel's numbers IPv4 lies in it. */
	if (ipv6 && !is_opened(p, &ipv4))
		add_block(c, &ipv4, &own);
}

static void add_denials(
	struct compiler *c, enum rule_section section, const struct network_rules *rules)
{
	/* ::/0 is no IPv4 address, and denying it takes none of them away. */
	const struct holes nothing = {0}, but_ipv4 = {.items = {IPV4_BLOCK}, .count = 1};

	for (size_t i = 0; i < rules->count; i++) {
		const struct network_rule *r = &rules->items[i];
		uint32_t rule = rule_index(c, section, i);
		struct line line = line_of(r, false, rule);
		struct address_range range, twin;

		if (!r->cidr || !address_range_parse(r->cidr, &range))
			continue;
		add_without(c, &range,
			!range.base.is_ipv4 && is_allowed_somewhere(c->profile, &ipv4) ? &but_ipv4
										       : &nothing,
			&line);
		twin = nat64_of(&range);
		if (range.base.is_ipv4 && is_allowed_somewhere(c->profile, &twin))
			add_block(c, &twin, &line);
		rule_enforced(c, rule,
			r->by_count ? "cgroup programs (for every program)" : "cgroup programs");
		if (section == RULES_NETWORK_ASK)
			note(c, "%s: nobody can be asked yet, so it is denied", rule_text(c, rule));
	}
}

static void add_listens(struct compiler *c)
{
	const struct string_rules *listen = &c->profile->network.listen;

	for (size_t i = 0; i < listen->count; i++) {
		struct line line = {.allow = true,
			.listen = true,
			.port_count = 1,
			.rule = rule_index(c, RULES_NETWORK_LISTEN, i)};
		char text[INET6_ADDRSTRLEN];
		struct address_range range = {.prefix = BITS};
		uint16_t ports[1][2];

		if (!listen_parse(listen->items[i].text, text, ports[0]) ||
			!address_parse(text, &range.base))
			continue;
		line.ports = (const uint16_t(*)[2])ports;
		/* The unspecified address is every one of its family; an IPv6 socket of that kind
		 * takes IPv4 as well (ipv6(7)). */
		if (strcmp(text, "0.0.0.0") == 0)
			range = ipv4;
		else if (strcmp(text, "::") == 0)
			range = everything;
		add_block(c, &range, &line);
		rule_enforced(c, line.rule, "network namespace, cgroup programs");
	}
}

bool meter_wants_link(const struct profile *p)
{
	for (size_t i = 0; i < p->network.listen.count; i++) {
		char text[INET6_ADDRSTRLEN];
		struct address address;
		uint16_t ports[2];

		/* The loopback of the run's own network is its own. */
		if (listen_parse(p->network.listen.items[i].text, text, ports) &&
			address_parse(text, &address) &&
			!(address.is_ipv4 && address.bytes[12] == 127) && strcmp(text, "::1"))
			return true;
	}
	return p->network.allow.count > 0;
}

void meter_addresses(struct compiler *c)
{
	const struct profile *p = c->profile;
	struct holes guarded;

	if (p->network.mode == NETWORK_MODE_HOST) {
		const struct line open = {
			.allow = true, .rule = rule_index(c, RULES_NETWORK_MODE, 0)};
		struct line listening = open;

		listening.listen = true;
		add_block(c, &everything, &open);
		add_block(c, &everything, &listening);
	} else {
		list_guarded(&guarded);
		for (size_t i = 0; i < p->network.allow.count; i++)
			add_allow(c, i, &guarded);
		add_guards(c, &guarded);
		add_listens(c);
	}
	add_denials(c, RULES_NETWORK_DENY, &p->network.deny);
	add_denials(c, RULES_NETWORK_ASK, &p->network.ask);
}
