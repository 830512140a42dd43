/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

/* setfsuid(2): the only way to be another user for files alone. Leaving 0 takes the capabilities
 * that pass over permissions out of the effective set, coming back returns them (capabilities(7)).
 * It reports no failure: asking for the id -1 changes nothing and returns what holds. */
static bool become(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
}

/* setfsuid(2) leaves those that have to do with other things, and one of them is for the blocks
 * that a file system keeps for root: what a tool staged must not take them. */
static bool set_effective(bool all)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets) < 0)
		return false;
	for (size_t i = 0; i < array_size(sets); i++)
		sets[i].effective = all ? sets[i].permitted : 0;
	return syscall(SYS_capset, &header, sets) == 0;
}

static bool is_other(const struct change_set *set)
{
	return geteuid() == 0 && set->head->owner_uid != 0;
}

int owner_enter(struct change_set *set)
{
	if (!is_other(set))
		return 0;
	/* Root's groups are none of the owner's. */
	if (!set->groups_dropped && setgroups(0, NULL) < 0)
		return -errno;
	set->groups_dropped = true;
	if (become(set->head->owner_uid, set->head->owner_gid) && set_effective(false))
		return 0;
	owner_leave(set);
	return -EPERM;
}

/* A process that could not come back would go on with the wrong rights: there is nothing to go on
 * with then. */
void owner_leave(const struct change_set *set)
{
	if (is_other(set) && !(become(geteuid(), getegid()) && set_effective(true)))
		abort();
}
