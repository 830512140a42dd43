/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide-internal.h"
#include "policy/host.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/number.h"
#include "base/own.h"
#include "base/path.h"

/* Where an operation of connecting goes to, parsed. */
struct endpoint {
	struct address address;             /* where is_address */
	char name[HOST_NAME_MAX_BYTES + 1]; /* else */
	bool is_address;
	uint16_t port;
	const char *proto; /* "tcp" or "udp" */
	const char *by;    /* the connecting program, or NULL where unknown; borrowed */
};

/* Credentials of the machine itself are served here, to whoever can connect. A rule must lie inside
 * one of these ranges to allow an address of it. Sources: RFC 3927 and RFC 4291 (link-local); the
 * metadata pages of AWS (169.254.169.254, fd00:ec2::254), Alibaba (100.100.100.200), Azure
 * (168.63.129.16) and Oracle (192.0.0.192). */
static const char *const metadata[] = {"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"};

/* What the run's own namespace answers: 0.0.0.0 and :: connect to it as well (Linux, ip(7)). */
static const char *const own_ranges[] = {"127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128"};

const char *decide_own_range(size_t i)
{
	if (i < array_size(metadata))
		return metadata[i];
	i -= array_size(metadata);
	return i < array_size(own_ranges) ? own_ranges[i] : NULL;
}

static bool address_in_any(const struct address *address, const char *const *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct address_range range;

		if (address_range_parse(ranges[i], &range) && address_in_range(address, &range))
			return true;
	}
	return false;
}

/* The IPv4 address that a NAT64 gateway reaches under 64:ff9b::/96 (RFC 6052): a way around an IPv4
 * deny. */
static bool nat64_address(const struct address *address, struct address *ret_ipv4)
{
	static const uint8_t well_known[12] = {0x00, 0x64, 0xff, 0x9b};
	char text[INET_ADDRSTRLEN];

	if (memcmp(address->bytes, well_known, sizeof(well_known)) != 0)
		return false;
	return inet_ntop(AF_INET, address->bytes + 12, text, sizeof(text)) &&
	       address_parse(text, ret_ipv4);
}

static bool is_metadata(const struct address *address)
{
	struct address inner;

	return address_in_any(
		nat64_address(address, &inner) ? &inner : address, metadata, array_size(metadata));
}

const char *const *metadata_ranges(size_t *ret_count)
{
	*ret_count = array_size(metadata);
	return metadata;
}

bool range_opens_metadata(const struct address_range *range)
{
	/* A base that is metadata lies inside, unless the range is wider than the widest of those
	 * ranges: fe80::/10 and, counted from the mapped form, 169.254.0.0/16. */
	return is_metadata(&range->base) && range->prefix >= (range->base.is_ipv4 ? 112 : 10);
}

/* "443", "443/tcp" or "443/udp". */
static bool port_parse(const char *text, struct endpoint *e)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char port[8];
	uint64_t number;

	if (slash && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0)
		return false;
	if (length >= sizeof(port))
		return false;
	memcpy(port, text, length);
	port[length] = '\0';
	if (!number_parse_u64(port, &number) || number == 0 || number > UINT16_MAX)
		return false;
	e->proto = slash && slash[1] == 'u' ? "udp" : "tcp";
	e->port = (uint16_t)number;
	return true;
}

/* A name, an IPv4 address, or an IPv6 address in brackets; text is changed. */
static bool host_parse(char *text, struct endpoint *e)
{
	size_t length = strlen(text);

	if (text[0] != '[') {
		if (strchr(text, ':'))
			return false;
		e->is_address = address_parse(text, &e->address);
		return e->is_address || host_name_normalise(text, e->name);
	}
	if (length < 4 || text[length - 1] != ']')
		return false;
	text[length - 1] = '\0';
	e->is_address = strchr(text, ':') && address_parse(text + 1, &e->address);
	return e->is_address;
}

#define TARGET_MAX_BYTES (HOST_NAME_MAX_BYTES + 16)

static bool endpoint_parse(const char *object, struct endpoint *ret_endpoint)
{
	static const char by[] = " by ";
	const char *end = strstr(object, by);
	size_t length = end ? (size_t)(end - object) : strlen(object);
	struct endpoint e = {.by = end ? end + strlen(by) : NULL};
	char target[TARGET_MAX_BYTES + 1], *colon;

	if (length > TARGET_MAX_BYTES || (e.by && !path_is_normal(e.by)))
		return false;
	memcpy(target, object, length);
	target[length] = '\0';
	colon = strrchr(target, ':');
	if (!colon || !port_parse(colon + 1, &e))
		return false;
	*colon = '\0';
	if (!host_parse(target, &e))
		return false;
	*ret_endpoint = e;
	return true;
}

bool endpoint_split(const char *object, struct endpoint_words *ret_words)
{
	struct endpoint_words words = {0};
	struct endpoint e;

	if (strncmp(object, "unix:", 5) == 0) {
		words.is_unix = true;
		if (strlen(object + 5) >= sizeof(words.host) || !path_is_normal(object + 5))
			return false;
		strcpy(words.host, object + 5);
		*ret_words = words;
		return true;
	}
	if (!endpoint_parse(object, &e))
		return false;
	words.port = e.port;
	words.is_address = e.is_address;
	words.is_udp = e.proto[0] == 'u';
	words.by = e.by;
	words.is_metadata = e.is_address && is_metadata(&e.address);
	if (!e.is_address)
		strcpy(words.host, e.name);
	else if (e.address.is_ipv4)
		inet_ntop(AF_INET, e.address.bytes + 12, words.host, sizeof(words.host));
	else
		inet_ntop(AF_INET6, e.address.bytes, words.host, sizeof(words.host));
	*ret_words = words;
	return true;
}

/* How rules are read. */
enum reading {
	/* What stands in the way: a rule that cannot be read matches, an unknown program is meant,
	 * and an IPv4 address is known in its NAT64 spelling. */
	READING_WIDE,
	/* What opens: only what is certain, and for a metadata address a rule inside its range. */
	READING_NARROW,
};

static bool port_matches(const struct network_rule *rule, const struct endpoint *e)
{
	if (rule->proto && strcmp(rule->proto, e->proto) != 0)
		return false;
	if (rule->port_count == 0)
		return true;
	for (size_t i = 0; i < rule->port_count; i++)
		if (e->port >= rule->ports[i][0] && e->port <= rule->ports[i][1])
			return true;
	return false;
}

static bool program_matches(
	const struct network_rule *rule, const struct endpoint *e, enum reading reading)
{
	if (rule->by_count == 0)
		return true;
	if (!e->by)
		return reading == READING_WIDE;
	for (size_t i = 0; i < rule->by_count; i++)
		if (strcmp(rule->by[i], e->by) == 0)
			return true;
	return false;
}

static bool address_matches(
	const struct network_rule *rule, const struct address *address, enum reading reading)
{
	const char *words = rule->cidr ? rule->cidr : rule->host;
	bool broken = reading == READING_WIDE;
	struct address_range range;

	if (!words)
		return broken;
	if (!rule->cidr && !address_parse(words, &range.base))
		return broken && !host_pattern_is_valid(words);
	if (!address_range_parse(words, &range))
		return broken;
	if (!address_in_range(address, &range))
		return false;
	return reading == READING_WIDE || !is_metadata(address) || range_opens_metadata(&range);
}

static bool endpoint_matches(
	const struct network_rule *rule, const struct endpoint *e, enum reading reading)
{
	struct address inner;

	if (!port_matches(rule, e) || !program_matches(rule, e, reading))
		return false;
	if (e->is_address)
		return address_matches(rule, &e->address, reading) ||
		       (reading == READING_WIDE && nat64_address(&e->address, &inner) &&
			       address_matches(rule, &inner, reading));
	if (!rule->host)
		return reading == READING_WIDE && !rule->cidr;
	return host_matches(rule->host, e->name) ||
	       (reading == READING_WIDE && !host_pattern_is_valid(rule->host));
}

static const struct network_rule *rules_match(
	const struct network_rules *rules, const struct endpoint *e, enum reading reading)
{
	for (size_t i = 0; i < rules->count; i++)
		if (endpoint_matches(&rules->items[i], e, reading))
			return &rules->items[i];
	return NULL;
}

static bool is_own(const struct profile *profile, const struct endpoint *e)
{
	if (profile->network.mode != NETWORK_MODE_SCOPED)
		return false;
	if (!e->is_address)
		return strcmp(e->name, "localhost") == 0;
	return address_in_any(&e->address, own_ranges, array_size(own_ranges));
}

static bool family_is_listed(const struct profile *profile, const char *family)
{
	for (size_t i = 0; i < profile->syscalls.families.count; i++)
		if (strcmp(profile->syscalls.families.items[i].text, family) == 0)
			return true;
	return false;
}

/* A name may have addresses of either family. */
static bool socket_can_be_made(const struct profile *profile, const struct endpoint *e)
{
	if (e->is_address)
		return family_is_listed(profile, e->address.is_ipv4 ? "inet" : "inet6");
	return family_is_listed(profile, "inet") || family_is_listed(profile, "inet6");
}

/* No wall tells a socket file from another file: what the run sees it can connect to, once it can
 * make sockets of that family. An entry of network.unix makes one visible. */
static void decide_unix(const struct profile *profile, const char *path, struct verdict *v)
{
	struct verdict file;

	if (!path_is_normal(path))
		return;
	decide(profile, OPERATION_READ, path, &file);
	if (strcmp(file.rule, "malformed") == 0)
		return;
	if (strcmp(file.rule, "fs.deny") == 0 || strcmp(file.rule, "fs.canaries") == 0) {
		verdict_settle(v, DECISION_DENY, file.rule, file.value, file.reason, &file.at);
		return;
	}
	if (!family_is_listed(profile, "unix")) {
		verdict_settle(v, DECISION_DENY, "syscalls.families", NULL, NULL, NULL);
		return;
	}
	if (file.decision == DECISION_ASK) {
		verdict_settle(v, DECISION_ASK, file.rule, file.value, file.reason, &file.at);
		return;
	}
	for (size_t i = 0; i < profile->network.unix_sockets.count; i++) {
		const struct path_rule *rule = &profile->network.unix_sockets.items[i];

		if (!rule->is_glob && path_is_beneath(path, rule->path)) {
			verdict_settle(v, DECISION_ALLOW, "network.unix", rule->written,
				rule->reason, &rule->at);
			return;
		}
	}
	if (file.decision == DECISION_ALLOW)
		verdict_settle(v, DECISION_ALLOW, file.rule, file.value, file.reason, &file.at);
	else
		verdict_settle(v, DECISION_DENY, "network.default", NULL, NULL, NULL);
}

static bool settle_by(struct verdict *v, enum decision decision, const char *name,
	const struct network_rule *rule)
{
	return rule && verdict_settle(v, decision, name, rule->host ? rule->host : rule->cidr,
			       rule->reason, &rule->at);
}

void decide_network(const struct profile *profile, const char *object, struct verdict *v)
{
	const struct network_rule *asked, *allowed;
	struct endpoint e;
	bool own, open;

	if (strncmp(object, "unix:", 5) == 0) {
		decide_unix(profile, object + 5, v);
		return;
	}
	if (!endpoint_parse(object, &e))
		return;
	if (settle_by(v, DECISION_DENY, "network.deny",
		    rules_match(&profile->network.deny, &e, READING_WIDE)))
		return;
	if (!socket_can_be_made(profile, &e)) {
		verdict_settle(v, DECISION_DENY, "syscalls.families", NULL, NULL, NULL);
		return;
	}
	allowed = rules_match(&profile->network.allow, &e, READING_NARROW);
	own = is_own(profile, &e);
	open = allowed || own || profile->network.mode == NETWORK_MODE_HOST;
	/* In the way of what would be allowed every ask stands that may be meant. */
	asked = rules_match(&profile->network.ask, &e, open ? READING_WIDE : READING_NARROW);
	if (settle_by(v, DECISION_ASK, "network.ask", asked) ||
		settle_by(v, DECISION_ALLOW, "network.allow", allowed))
		return;
	if (own)
		verdict_settle(v, DECISION_ALLOW, "berm", "loopback",
			"the loopback of the run's own network", NULL);
	else if (open)
		verdict_settle(
			v, DECISION_ALLOW, "network.mode", "host", NULL, &profile->network.mode_at);
	else
		verdict_settle(v, DECISION_DENY, "network.default", NULL, NULL, NULL);
}
