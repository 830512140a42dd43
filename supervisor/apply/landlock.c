/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* The size that an older kernel knows; landlock_create_ruleset(2) answers E2BIG to a larger one
 * with new bits set. */
static size_t ruleset_size(uint32_t abi)
{
	return abi >= 6   ? sizeof(struct sys_landlock_ruleset)
	       : abi >= 4 ? offsetof(struct sys_landlock_ruleset, scoped)
			  : offsetof(struct sys_landlock_ruleset, handled_net);
}

static int add_path(const struct launch *launch, int ruleset, const Berm__Wire__LandlockPath *rule,
	struct error *err)
{
	struct landlock_path_beneath_attr attr = {.allowed_access = rule->access};
	autoclose int fd = open(rule->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_errno(err, "landlock: open %s", rule->path);
	r = copies_check(launch, rule->path, fd, err);
	if (r < 0)
		return r;
	attr.parent_fd = fd;
	if (sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PATH, &attr) < 0)
		return error_errno(err, "landlock: add a rule for %s", rule->path);
	return 0;
}

/* The tool's own streams: a script that writes to /dev/stderr opens what descriptor 2 refers to
 * anew. The rule gives what the descriptor has already given. One opened for appending gets none,
 * since the new descriptor could overwrite. */
static int add_standard_streams(int ruleset, uint64_t handled, struct error *err)
{
	for (int fd = 0; fd < 3; fd++) {
		struct landlock_path_beneath_attr attr = {.parent_fd = fd};
		int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;
		struct stat st;

		if (flags < 0 || fstat(fd, &st) < 0)
			return error_errno(err, "landlock: look at descriptor %d", fd);
		if (!S_ISCHR(st.st_mode) && (!S_ISREG(st.st_mode) || (flags & O_APPEND)))
			continue; /* pipes and sockets need no rule */
		if (mode != O_WRONLY)
			attr.allowed_access |= LANDLOCK_ACCESS_FS_READ_FILE;
		if (mode != O_RDONLY)
			attr.allowed_access |=
				LANDLOCK_ACCESS_FS_WRITE_FILE | SYS_LANDLOCK_FS_TRUNCATE;
		if (S_ISCHR(st.st_mode))
			attr.allowed_access |= SYS_LANDLOCK_FS_IOCTL_DEV;
		attr.allowed_access &= handled;
		/* EBADFD: a file of memory (memfd_create(2)), which Landlock does not look at. */
		if (attr.allowed_access &&
			sys_landlock_add_rule(ruleset, SYS_LANDLOCK_RULE_PATH, &attr) < 0 &&
			errno != EBADFD)
			return error_errno(err, "landlock: add a rule for descriptor %d", fd);
	}
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
		r = add_path(launch, ruleset, plan->paths[i], err);
		if (r < 0)
			return r;
	}
	r = add_standard_streams(ruleset, plan->handled_fs, err);
	if (r < 0)
		return r;
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
