/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "policy/decide-internal.h"
#include "policy/host.h"
#include "policy/port.h"

#include <arpa/inet.h>
#include <string.h>

/* How many wildcards a host begins with, and what follows them. */
static unsigned stars_of(const char *host, const char **ret_rest)
{
	unsigned stars = (unsigned)strspn(host, "*");

	*ret_rest = host + stars + (stars > 0);
	return stars;
}

/* True where every name that narrow stands for is one that wide stands for. */
static bool host_covers(const char *wide, const char *narrow)
{
	const char *w, *n;
	unsigned wide_stars = stars_of(wide, &w), stars = stars_of(narrow, &n);
	size_t wl = strlen(w), nl = strlen(n);

	if (strcmp(wide, narrow) == 0)
		return true;
	if (stars == 0)
		return host_matches(wide, narrow);
	if (wide_stars < 2)
		return false;
	return strcmp(w, n) == 0 ||
	       (nl > wl && n[nl - wl - 1] == '.' && strcmp(n + nl - wl, w) == 0);
}

static bool cut_host(
	const struct network_rule *a, const struct network_rule *b, struct network_rule *out)
{
	if (host_covers(b->host, a->host))
		out->host = a->host;
	else if (host_covers(a->host, b->host))
		out->host = b->host;
	else
		return false;
	return true;
}

/* The narrower of two ranges. A range inside the metadata ranges opens them, a wider one around it
 * does not: then nothing is in both. Widely, as an ask stands before an allow b, only b must open
 * them. */
static bool cut_cidr(const struct network_rule *a, const struct network_rule *b, bool widely,
	struct network_rule *out)
{
	struct address_range ra, rb, *narrow, *wide;

	if (!address_range_parse(a->cidr, &ra) || !address_range_parse(b->cidr, &rb))
		return false;
	narrow = ra.prefix >= rb.prefix ? &ra : &rb;
	wide = narrow == &ra ? &rb : &ra;
	if (!address_in_range(&narrow->base, wide))
		return false;
	out->cidr = narrow == &ra ? a->cidr : b->cidr;
	return !range_opens_metadata(narrow) || range_opens_metadata(widely ? &rb : wide);
}

static bool cut_ports(struct narrowing *n, const struct network_rule *a,
	const struct network_rule *b, struct network_rule *out)
{
	const struct network_rule *only = a->port_count ? a : b;

	out->ports = only->ports;
	out->port_count = only->port_count;
	if (!a->port_count || !b->port_count)
		return true;
	out->ports = NULL;
	out->port_count = 0;
	for (size_t i = 0; i < a->port_count; i++) {
		for (size_t j = 0; j < b->port_count; j++) {
			uint16_t low =
				a->ports[i][0] > b->ports[j][0] ? a->ports[i][0] : b->ports[j][0];
			uint16_t high =
				a->ports[i][1] < b->ports[j][1] ? a->ports[i][1] : b->ports[j][1];
			uint16_t(*grown)[2];

			if (low > high || out->port_count == NARROW_ENTRIES_MAX)
				continue;
			grown = arena_grow(n->arena, out->ports, out->port_count, sizeof(*grown));
			n->no_memory |= !grown;
			if (!grown)
				return false;
			out->ports = grown;
			grown[out->port_count][0] = low;
			grown[out->port_count++][1] = high;
		}
	}
	return out->port_count > 0;
}

static bool cut_by(struct narrowing *n, const struct network_rule *a, const struct network_rule *b,
	struct network_rule *out)
{
	const struct network_rule *only = a->by_count ? a : b;

	out->by = only->by;
	out->by_count = only->by_count;
	if (!a->by_count || !b->by_count)
		return true;
	out->by_count = 0;
	out->by = arena_alloc(n->arena, a->by_count * sizeof(*out->by));
	n->no_memory |= !out->by;
	for (size_t i = 0; out->by && i < a->by_count; i++) {
		for (size_t j = 0; j < b->by_count; j++) {
			if (strcmp(a->by[i], b->by[j]) == 0) {
				out->by[out->by_count++] = a->by[i];
				break;
			}
		}
	}
	return out->by && out->by_count > 0;
}

/* What is in both rules, with the place and reason of a. */
static bool cut_rules(struct narrowing *n, const struct network_rule *a,
	const struct network_rule *b, bool widely, struct network_rule *ret_part)
{
	struct network_rule part = *a;

	if (a->host && b->host ? !cut_host(a, b, &part)
			       : !a->cidr || !b->cidr || !cut_cidr(a, b, widely, &part))
		return false;
	if (a->proto && b->proto && strcmp(a->proto, b->proto) != 0)
		return false;
	part.proto = a->proto ? a->proto : b->proto;
	if (!cut_ports(n, a, b, &part) || !cut_by(n, a, b, &part))
		return false;
	*ret_part = part;
	return true;
}

static bool same_ports(const struct network_rule *a, const struct network_rule *b)
{
	return a->port_count == b->port_count &&
	       (a->port_count == 0 ||
		       memcmp(a->ports, b->ports, a->port_count * sizeof(*a->ports)) == 0);
}

static bool same_rule(const struct network_rule *a, const struct network_rule *b)
{
	return (a->host ? a->host == b->host : a->cidr == b->cidr) && a->proto == b->proto &&
	       a->by_count == b->by_count && same_ports(a, b);
}

/* What a rule is compared with. */
struct others {
	const struct network_rules *lists[3];
	bool widely; /* see cut_cidr() */
};

/* Append to out what the rule and any of the others share. key: for the note, or NULL. True where
 * that is the whole rule. */
static bool cut(struct narrowing *n, const struct network_rule *rule, const struct others *others,
	struct network_rules *out, const char *key)
{
	const struct network_rule *by = NULL;
	size_t from = out->count;

	for (size_t i = 0; i < array_size(others->lists) && others->lists[i]; i++) {
		for (size_t j = 0; j < others->lists[i]->count; j++) {
			const struct network_rule *other = &others->lists[i]->items[j];
			struct network_rule part;

			if (!cut_rules(n, rule, other, others->widely, &part))
				continue;
			by = other;
			if (same_rule(rule, &part)) {
				out->count = from;
				narrow_add(n, out, *rule);
				return true;
			}
			narrow_add(n, out, part);
		}
	}
	if (key)
		narrow_note(n, key, rule->host ? rule->host : rule->cidr, rule->at,
			by ? "what both allow" : NULL, by ? &by->at : NULL);
	return false;
}

/* An ask about IPv4 addresses also stands in the way of their NAT64 spelling (RFC 6052), which an
 * IPv6 rule may allow: the same ask in that spelling. False where the rule is not about IPv4. */
static bool nat64_twin(
	struct narrowing *n, const struct network_rule *rule, struct network_rule *ret_twin)
{
	char address[INET_ADDRSTRLEN], text[64];
	struct address_range range;

	if (!rule->cidr || !address_range_parse(rule->cidr, &range) || !range.base.is_ipv4 ||
		!inet_ntop(AF_INET, range.base.bytes + 12, address, sizeof(address)))
		return false;
	snprintf(text, sizeof(text), "64:ff9b::%s/%u", address, range.prefix);
	*ret_twin = *rule;
	ret_twin->cidr = arena_string(n->arena, text);
	n->no_memory |= !ret_twin->cidr;
	return ret_twin->cidr != NULL;
}

/* The loopback of the run's own network is there without a rule. */
static struct network_rule own_items[] = {
	{.cidr = "127.0.0.0/8"},
	{.cidr = "::1/128"},
	{.cidr = "0.0.0.0/32"},
	{.cidr = "::/128"},
	{.host = "localhost"},
};
static const struct network_rules own_rules = {.items = own_items, .count = array_size(own_items)};

/* What one side asks about stays, as far as the other side allows at least asking. In the way of
 * what both allow, it stays in every reading that decide() gives it there. */
static void narrow_asks(
	struct narrowing *n, const struct profile *asking, const struct profile *other)
{
	const struct others certain = {
		.lists = {&other->network.allow, &other->network.ask, &own_rules}};
	const struct others allowed = {.lists = {&n->now->network.allow}, .widely = true};
	struct network_rules *out = &n->now->network.ask;
	const char *key = asking == n->was ? "network.ask" : NULL;

	if (other->network.mode == NETWORK_MODE_HOST) {
		narrow_add_all(n, out, &asking->network.ask);
		return;
	}
	for (size_t i = 0; i < asking->network.ask.count; i++) {
		const struct network_rule *rule = &asking->network.ask.items[i];
		struct network_rule twin;

		if (cut(n, rule, &certain, out, key))
			continue;
		(void)cut(n, rule, &allowed, out, NULL);
		if (nat64_twin(n, rule, &twin))
			(void)cut(n, &twin, &allowed, out, NULL);
	}
}

static void narrow_allows(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	const struct network_rules *was = &n->was->network.allow;
	const struct others others = {.lists = {&c->network.allow}};
	struct network_rules *out = &n->now->network.allow;

	if (n->was->network.mode == NETWORK_MODE_HOST) {
		narrow_add_all(n, out, &c->network.allow);
		return;
	}
	if (c->network.mode == NETWORK_MODE_HOST) {
		narrow_add_all(n, out, was);
		return;
	}
	for (size_t i = 0; i < was->count; i++)
		(void)cut(n, &was->items[i], &others, out, "network.allow");
}

/* True where listening at narrow is listening at wide as well; 0.0.0.0 and :: are every address. */
static bool listen_covers(const char *wide, const char *narrow)
{
	char wa[INET6_ADDRSTRLEN], na[INET6_ADDRSTRLEN];
	uint16_t wp[2], np[2];

	if (!listen_parse(wide, wa, wp) || !listen_parse(narrow, na, np))
		return false;
	if (np[0] < wp[0] || np[1] > wp[1])
		return false;
	if (strcmp(wa, na) == 0)
		return true;
	return (strcmp(wa, "0.0.0.0") == 0 && !strchr(na, ':')) ||
	       (strcmp(wa, "::") == 0 && strchr(na, ':'));
}

static void narrow_listen_entry(struct narrowing *n, const struct string_rule *rule)
{
	const struct string_rules *most = &n->ceiling->network.listen;
	struct string_rules *out = &n->now->network.listen;
	const struct string_rule *by = NULL;

	for (size_t i = 0; i < most->count; i++) {
		if (listen_covers(most->items[i].text, rule->text)) {
			narrow_add(n, out, *rule);
			return;
		}
	}
	for (size_t i = 0; i < most->count; i++) {
		struct string_rule part = {most->items[i].text, rule->at};

		if (!listen_covers(rule->text, part.text))
			continue;
		narrow_add(n, out, part);
		by = &most->items[i];
	}
	narrow_note(n, "network.listen", rule->text, rule->at, by ? "what both allow" : NULL,
		by ? &by->at : NULL);
}

static void narrow_listen(struct narrowing *n)
{
	if (n->ceiling->network.mode == NETWORK_MODE_HOST)
		return;
	n->now->network.listen = (struct string_rules){0};
	for (size_t i = 0; i < n->was->network.listen.count; i++)
		narrow_listen_entry(n, &n->was->network.listen.items[i]);
}

void narrow_network(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	now->network.allow = now->network.ask = (struct network_rules){0};
	narrow_allows(n);
	narrow_asks(n, n->was, c);
	narrow_asks(n, c, n->was);
	narrow_add_all(n, &now->network.deny, &c->network.deny);
	narrow_listen(n);
	narrow_unix(n);
	if (n->was->network.mode == NETWORK_MODE_HOST && c->network.mode != NETWORK_MODE_HOST) {
		now->network.mode = NETWORK_MODE_SCOPED;
		narrow_note(n, "network.mode:", "host", now->network.mode_at, "scoped",
			&c->network.mode_at);
		now->network.mode_at = c->network.mode_at;
	}
}
