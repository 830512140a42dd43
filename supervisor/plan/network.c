/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

/* With no network but its own loopback a run reaches nothing, so that every denial holds. */
static void denials_hold(struct compiler *c)
{
	for (size_t i = 0; i < c->profile->network.deny.count; i++)
		rule_enforced(c, rule_index(c, RULES_NETWORK_DENY, i), "network namespace");
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
	if (c->profile->network.mode == NETWORK_MODE_HOST) {
		n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_HOST;
		rule_enforced(c, rule, "nothing (the host's network)");
		note(c,
			"%s: the run uses the host's network, every service of this machine "
			"included",
			rule_text(c, rule));
		note_resolver(c);
		return 0;
	}
	n->mode = BERM__WIRE__NETWORK_MODE__NETWORK_NONE;
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
