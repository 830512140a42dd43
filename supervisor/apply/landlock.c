/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <stddef.h>
#include <sys/prctl.h>

/* The size that an older kernel knows; landlock_create_ruleset(2) answers E2BIG to a larger one
 * with new bits set. */
static size_t ruleset_size(uint32_t abi)
{
	return abi >= 6   ? sizeof(struct sys_landlock_ruleset)
	       : abi >= 4 ? offsetof(struct sys_landlock_ruleset, scoped)
			  : offsetof(struct sys_landlock_ruleset, handled_net);
}

static int add_path(int ruleset, const Berm__Wire__LandlockPath *rule, struct error *err)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rule->access};
	autoclose int fd = open(rule->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "landlock: open %s", rule->path);
	attr.parent_fd = fd;
	if (sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PATH, &attr) < 0)
		return error_errno(err, "landlock: add a rule for %s", rule->path);
	return 0;
}

/* Runs after pivot_root(2): every path is the run's own. */
int landlock_apply(struct launch *launch, struct error *err)
{
	const Berm__Wire__Landlock *plan = launch->plan->landlock;
	struct sys_landlock_ruleset attr;
	autoclose int ruleset = -1;
	int r;

	if (!plan || plan->abi == 0)
		return 0;
	attr = (struct sys_landlock_ruleset){plan->handled_fs, plan->handled_net, plan->scoped};
	ruleset = sys_landlock_create_ruleset(&attr, ruleset_size(plan->abi), 0);
	if (ruleset < 0)
		return error_errno(err, "landlock: make a ruleset");
	for (size_t i = 0; i < plan->n_paths; i++) {
		r = add_path(ruleset, plan->paths[i], err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < plan->n_ports; i++) {
		const struct {
			uint64_t access, port;
		} port = {plan->ports[i]->access, plan->ports[i]->port};

		if (sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PORT, &port) < 0)
			return error_errno(
				err, "landlock: add a rule for port %u", plan->ports[i]->port);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "set no_new_privs");
	if (sys_landlock_restrict_self(ruleset, 0) < 0)
		return error_errno(err, "landlock: restrict");
	return 0;
}
