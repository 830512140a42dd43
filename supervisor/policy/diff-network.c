/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "policy/decide-internal.h"
#include "policy/port.h"

#include <arpa/inet.h>
#include <string.h>

/* What to ask about connections.
 *
 * Address ranges cut the line of addresses into pieces, ports the line of ports, and names are told
 * apart by the longest pattern that ends as they do and by how many labels stand before it. So the
 * first address of each piece, the first port of each piece and two names before each pattern stand
 * for all. Of all their combinations only those are asked about that a changed rule speaks of. */

#define PROBES_MAX 200000 /* beyond, nothing is asked and what changed counts as wider */

struct points {
	uint8_t (*items)[16];
	size_t count;
};

struct names {
	const char **items;
	size_t count;
};

/* All that tells connections apart. */
struct axes {
	struct points addresses;
	struct names hosts; /* names and addresses, ready for host:port */
	uint16_t *ports;
	size_t port_count;
	struct names by; /* NULL: the program is not known */
	bool protocols;  /* some rule names one */
};

static void add_name(struct differ *d, struct names *names, const char *name)
{
	const char **grown = arena_grow(d->arena, names->items, names->count, sizeof(*grown));

	d->no_memory |= !grown;
	if (!grown)
		return;
	names->items = grown;
	grown[names->count++] = name;
}

static void add_name_once(struct differ *d, struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->items[i] && strcmp(names->items[i], name) == 0)
			return;
	}
	add_name(d, names, name);
}

static void add_port(struct differ *d, struct axes *a, unsigned port)
{
	uint16_t *grown;

	if (port == 0 || port > UINT16_MAX)
		return;
	for (size_t i = 0; i < a->port_count; i++) {
		if (a->ports[i] == port)
			return;
	}
	grown = arena_grow(d->arena, a->ports, a->port_count, sizeof(*grown));
	d->no_memory |= !grown;
	if (!grown)
		return;
	a->ports = grown;
	grown[a->port_count++] = (uint16_t)port;
}

static void add_point(struct differ *d, struct points *points, const uint8_t bytes[16])
{
	uint8_t(*grown)[16];

	for (size_t i = 0; i < points->count; i++) {
		if (memcmp(points->items[i], bytes, 16) == 0)
			return;
	}
	grown = arena_grow(d->arena, points->items, points->count, sizeof(*grown));
	d->no_memory |= !grown;
	if (!grown)
		return;
	points->items = grown;
	memcpy(grown[points->count++], bytes, 16);
}

/* The first address of a range and the first one behind it. */
static void add_range(struct differ *d, struct points *points, const struct address_range *range)
{
	uint8_t next[16];
	unsigned bit = range->prefix;

	add_point(d, points, range->base.bytes);
	memcpy(next, range->base.bytes, sizeof(next));
	/* Add one to the bits before the prefix. */
	while (bit-- > 0) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		next[bit / 8] ^= mask;
		if (next[bit / 8] & mask) {
			add_point(d, points, next);
			return;
		}
	}
}

/* An IPv4 address is known in its NAT64 spelling too, see decide-network.c. */
static void add_nat64(struct differ *d, struct points *points)
{
	static const uint8_t well_known[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t count = points->count;

	for (size_t i = 0; i < count; i++) {
		uint8_t twin[16];

		if (memcmp(points->items[i], mapped, sizeof(mapped)) != 0)
			continue;
		memcpy(twin, points->items[i], sizeof(twin));
		memcpy(twin, well_known, sizeof(well_known));
		add_point(d, points, twin);
	}
}

/* A label that makes a name of which nothing speaks by itself. */
static const char *fresh_host(struct differ *d, const char *rest, const struct names *taken)
{
	for (unsigned i = 0;; i++) {
		const char *host =
			i ? diff_words(d, "x%u.%s", i, rest) : diff_words(d, "x.%s", rest);
		bool used = d->no_memory;

		for (size_t j = 0; j < taken->count && !used; j++) {
			size_t n = strlen(taken->items[j]), m = strlen(host);

			used = n >= m && strcmp(taken->items[j] + n - m, host) == 0;
		}
		if (!used || d->no_memory)
			return host;
	}
}

/* literals: every name and every rest of a pattern. */
static void add_hosts(struct differ *d, struct axes *a, const struct names *literals)
{
	for (size_t i = 0; i < literals->count; i++) {
		const char *one = fresh_host(d, literals->items[i], literals);

		add_name(d, &a->hosts, literals->items[i]);
		add_name(d, &a->hosts, one);
		add_name(d, &a->hosts, diff_words(d, "x.%s", one));
	}
	for (size_t i = 0; i < a->addresses.count; i++) {
		char text[INET6_ADDRSTRLEN] = "";

		inet_ntop(AF_INET6, a->addresses.items[i], text, sizeof(text));
		add_name(d, &a->hosts, diff_words(d, "[%s]", text));
	}
}

static void add_rule(
	struct differ *d, struct axes *a, const struct network_rule *rule, struct names *literals)
{
	const char *words = rule->cidr ? rule->cidr : rule->host;
	struct address_range range;

	if (words && address_range_parse(words, &range)) {
		add_range(d, &a->addresses, &range);
	} else if (rule->host) {
		size_t stars = strspn(rule->host, "*");

		add_name_once(
			d, literals, rule->host + stars + (stars && rule->host[stars] == '.'));
	}
	for (size_t i = 0; i < rule->port_count; i++) {
		add_port(d, a, rule->ports[i][0]);
		add_port(d, a, rule->ports[i][1] + 1U);
	}
	for (size_t i = 0; i < rule->by_count; i++)
		add_name_once(d, &a->by, rule->by[i]);
	a->protocols |= rule->proto != NULL;
}

static void add_rules(
	struct differ *d, struct axes *a, const struct profile *p, struct names *literals)
{
	for (enum list_id list = LIST_NET_ALLOW; list <= LIST_NET_DENY; list++) {
		for (size_t i = 0; i < diff_list_count(p, list); i++)
			add_rule(d, a, diff_list_entry(p, list, i), literals);
	}
}

static void add_fresh_program(struct differ *d, struct names *by)
{
	const char *name = "/x";
	size_t count = by->count;

	for (unsigned i = 1;; i++) {
		bool taken = false;

		for (size_t j = 1; j < count; j++)
			taken |= strcmp(by->items[j], name) == 0;
		if (!taken || d->no_memory)
			break;
		name = diff_words(d, "/x%u", i);
	}
	if (count > 1)
		add_name(d, by, name);
}

static void find_axes(struct differ *d, struct axes *a)
{
	static const char *const everywhere[] = {"0.0.0.0/0", "::/0", "64:ff9b::/96"};
	struct names literals = {0};
	struct address_range range;

	add_name(d, &a->by, NULL);
	add_port(d, a, 1);
	add_rules(d, a, d->was.profile, &literals);
	add_rules(d, a, d->now.profile, &literals);
	for (size_t i = 0; decide_own_range(i); i++) {
		if (address_range_parse(decide_own_range(i), &range))
			add_range(d, &a->addresses, &range);
	}
	for (size_t i = 0; i < array_size(everywhere); i++) {
		if (address_range_parse(everywhere[i], &range))
			add_range(d, &a->addresses, &range);
	}
	add_nat64(d, &a->addresses);
	add_name_once(d, &literals, "localhost");
	/* Names that end as nothing in the two profiles does. */
	add_name_once(d, &literals, fresh_host(d, "invalid", &literals));
	add_hosts(d, a, &literals);
	add_fresh_program(d, &a->by);
}

static bool network_changed(const struct differ *d)
{
	if (d->was.profile->network.mode != d->now.profile->network.mode)
		return true;
	for (size_t i = 0; i < d->change_count; i++) {
		if (diff_lists[d->changes[i].list].kind == ENTRY_NETWORK ||
			d->changes[i].list == LIST_FAMILIES)
			return true;
	}
	return false;
}

/* False where certainly no changed rule speaks about the host, whatever the port. */
static bool host_matters(const struct differ *d, const char *host)
{
	char object[HOST_NAME_MAX_BYTES + 16];

	snprintf(object, sizeof(object), "%s:1", host);
	if (d->was.profile->network.mode != d->now.profile->network.mode)
		return true;
	for (size_t i = 0; i < d->change_count; i++) {
		const struct change *c = &d->changes[i];
		struct network_rule rule;
		struct profile only = {.network.deny = {&rule, 1}};
		struct verdict v;

		if (c->list == LIST_FAMILIES)
			return true;
		if (diff_lists[c->list].kind != ENTRY_NETWORK)
			continue;
		rule = *(const struct network_rule *)c->entry;
		rule.port_count = rule.by_count = 0;
		rule.proto = NULL;
		decide(&only, OPERATION_CONNECT, object, &v);
		if (strcmp(v.rule, "network.deny") == 0)
			return true;
	}
	return false;
}

static void ask_connect(struct differ *d, const char *host, unsigned port, bool udp, const char *by)
{
	char object[HOST_NAME_MAX_BYTES + 32 + 4096];
	struct verdict was, now;

	snprintf(object, sizeof(object), "%s:%u%s%s%s", host, port, udp ? "/udp" : "",
		by ? " by " : "", by ? by : "");
	decide(d->was.profile, OPERATION_CONNECT, object, &was);
	decide(d->now.profile, OPERATION_CONNECT, object, &now);
	diff_book(d, &(struct probe){OPERATION_CONNECT, object, was.decision, now.decision});
}

static void ask_host(struct differ *d, const struct axes *a, const char *host)
{
	for (size_t i = 0; i < a->port_count && !d->no_memory; i++) {
		for (size_t j = 0; j < a->by.count; j++) {
			ask_connect(d, host, a->ports[i], false, a->by.items[j]);
			if (a->protocols)
				ask_connect(d, host, a->ports[i], true, a->by.items[j]);
		}
	}
}

static void mark_all(struct differ *d, enum list_id first, enum list_id last)
{
	for (size_t i = 0; i < d->change_count; i++) {
		if (d->changes[i].list >= first && d->changes[i].list <= last)
			diff_mark(&d->changes[i], true, "too many rules to compare");
	}
}

void diff_probe_network(struct differ *d)
{
	struct axes a = {0};
	size_t matter = 0;

	if (!network_changed(d))
		return;
	find_axes(d, &a);
	for (size_t i = 0; i < a.hosts.count && !d->no_memory; i++) {
		if (host_matters(d, a.hosts.items[i]))
			a.hosts.items[matter++] = a.hosts.items[i];
	}
	if (matter * a.port_count * a.by.count * 2 > PROBES_MAX) {
		mark_all(d, LIST_NET_ALLOW, LIST_NET_DENY);
		d->loose[OPERATION_CONNECT] = "too many rules to compare";
		return;
	}
	for (size_t i = 0; i < matter; i++)
		ask_host(d, &a, a.hosts.items[i]);
}

/* True where the entry lets the address and port be listened at; 0.0.0.0 and :: are every address
 * of their family, see narrow_network(). */
static bool entry_listens(const char *entry, const char *address, unsigned port)
{
	char own[INET6_ADDRSTRLEN];
	uint16_t range[2];

	if (!listen_parse(entry, own, range) || port < range[0] || port > range[1])
		return false;
	return strcmp(own, address) == 0 ||
	       (strcmp(own, "0.0.0.0") == 0 && !strchr(address, ':')) ||
	       (strcmp(own, "::") == 0 && strchr(address, ':'));
}

static bool profile_listens(const struct profile *p, const char *address, unsigned port)
{
	if (p->network.mode == NETWORK_MODE_HOST)
		return true;
	for (size_t i = 0; i < p->network.listen.count; i++) {
		if (entry_listens(p->network.listen.items[i].text, address, port))
			return true;
	}
	return false;
}

static void add_listen(
	struct differ *d, const struct profile *p, struct names *addresses, struct axes *a)
{
	for (size_t i = 0; i < p->network.listen.count; i++) {
		char address[INET6_ADDRSTRLEN];
		uint16_t range[2];

		if (!listen_parse(p->network.listen.items[i].text, address, range))
			continue;
		add_name_once(d, addresses, diff_words(d, "%s", address));
		add_port(d, a, range[0]);
		add_port(d, a, range[1] + 1U);
	}
}

static void ask_listen(struct differ *d, const char *address, unsigned port)
{
	bool was = profile_listens(d->was.profile, address, port);
	bool now = profile_listens(d->now.profile, address, port);
	const char *example;

	if (was == now)
		return;
	example = diff_words(d, strchr(address, ':') ? "listen [%s]:%u: %s" : "listen %s:%u: %s",
		address, port, now ? "deny -> allow" : "allow -> deny");
	for (size_t i = 0; i < d->change_count; i++) {
		const struct string_rule *rule = d->changes[i].entry;

		if (d->changes[i].list == LIST_LISTEN && entry_listens(rule->text, address, port))
			diff_mark(&d->changes[i], now, example);
	}
}

/* Listening is no operation of decide(): the same idea, with addresses as they are written. */
void diff_probe_listen(struct differ *d)
{
	struct names addresses = {0};
	struct axes a = {0};

	add_listen(d, d->was.profile, &addresses, &a);
	add_listen(d, d->now.profile, &addresses, &a);
	for (size_t i = 0; i < addresses.count && !d->no_memory; i++) {
		for (size_t j = 0; j < a.port_count; j++)
			ask_listen(d, addresses.items[i], a.ports[j]);
	}
}
