/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/meter.h"

/* With no network but its own loopback a run reaches nothing, so that every denial holds. */
static void denials_hold(struct compiler *c)
{
	for (size_t i = 0; i < c->profile->network.deny.count; i++)
		rule_enforced(c, rule_index(c, RULES_NETWORK_DENY, i), "network namespace");
	for (size_t i = 0; i < c->profile->network.ask.count; i++)
		rule_enforced(c, rule_index(c, RULES_NETWORK_ASK, i), "network namespace");
	for (size_t i = 0; i < c->profile->network.listen.count; i++)
		rule_enforced(c, rule_index(c, RULES_NETWORK_LISTEN, i),
			"network namespace (the run's own loopback)");
}

/* With the host's network but without its resolver's settings every name fails to resolve, which
 * looks like a network that is down. */
static void note_resolver(struct compiler *c)
{
	static const char path[] = "/etc/resolv.conf";

	for (size_t i = 0; i < c->grant_count; i++) {
		if (!c->grants[i].dropped && (path_is_beneath(path, c->grants[i].path) ||
						     path_is_beneath(path, c->grants[i].written)))
			return;
	}
	note(c, "%s: %s is not granted, so that names of hosts cannot be looked up; fs.read: [%s]",
		rule_text(c, rule_index(c, RULES_NETWORK_MODE, 0)), path, path);
}

static int host_network(struct compiler *c, Berm__Wire__Network *n)
{
	const struct profile *p = c->profile;

	n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_HOST;
	rule_enforced(c, n->rule, "nothing (the host's network)");
	note(c, "%s: the run uses the host's network, every service of this machine included",
		rule_text(c, n->rule));
	note_resolver(c);
	for (size_t i = 0; !meter_sees_network(c) && i < p->network.deny.count; i++) {
		int r = meter_missing(c, rule_index(c, RULES_NETWORK_DENY, i),
			"without cgroup programs nothing keeps a run that has the host's network "
			"from these addresses");

		if (r < 0)
			return r;
	}
	if (p->network.deny.count && meter_sees_network(c))
		meter_addresses(c);
	return 0;
}

/* The rule that asks for more than the loopback. */
static uint32_t link_rule(const struct compiler *c)
{
	return rule_index(
		c, c->profile->network.allow.count ? RULES_NETWORK_ALLOW : RULES_NETWORK_LISTEN, 0);
}

/* Why the run can have no link; 0 where it can, 1 where the operator lets it run without one. */
static int check_link(struct compiler *c)
{
	int r = 0;

	if (!meter_sees_network(c))
		r = meter_missing(c, link_rule(c),
			"without cgroup programs nothing keeps a run to the addresses that it may "
			"reach, so that it gets none");
	else if (!*c->facts->network_pool)
		r = feature_missing(c, "netns", link_rule(c),
			"no addresses are set aside for runs, so that it gets none: set `pool:` "
			"in " METER_NETWORK_FILE);
	else
		return 0;
	return r < 0 ? r : 1;
}

static int link_network(struct compiler *c, Berm__Wire__Network *n)
{
	int r = check_link(c);

	if (r < 0)
		return r;
	rule_enforced(c, n->rule, "network namespace");
	if (r > 0) {
		for (size_t i = 0; i < c->profile->network.allow.count; i++)
			rule_enforced(c, rule_index(c, RULES_NETWORK_ALLOW, i),
				"nothing (the run has no link)");
		denials_hold(c);
		return 0;
	}
	n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_LINK;
	n->pool = message_string(c, c->facts->network_pool);
	n->pool6 = message_string(c, c->facts->network_pool6);
	n->uplink = message_string(c, c->facts->network_uplink);
	meter_addresses(c);
	return 0;
}

int plan_network(struct compiler *c)
{
	Berm__Wire__Network *n = malloc(sizeof(*n));
	uint32_t rule = rule_index(c, RULES_NETWORK_MODE, 0);
	int r;

	if (!n)
		return -ENOMEM;
	berm__wire__network__init(n);
	c->plan->network = n;
	n->rule = rule;
	if (c->profile->network.mode == NETWORK_MODE_HOST)
		return host_network(c, n);
	n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_NONE;
	if (c->facts->network_namespaces && meter_wants_link(c->profile))
		return link_network(c, n);
	if (c->facts->network_namespaces) {
		rule_enforced(c, rule, "network namespace");
		denials_hold(c);
		return 0;
	}
	r = feature_missing(c, "netns", rule,
		c->facts->landlock_abi >= 4
			? "without a network namespace only TCP is refused, by Landlock; UDP is not"
			: "without a network namespace nothing keeps the run from the host's "
			  "network");
	if (r < 0)
		return r;
	n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_HOST;
	c->network_missing = true;
	return 0;
}
