/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/changes-internal.h"

#include <grp.h>
#include <sys/fsuid.h>

/* setfsuid(2): the only way to be another user for files alone. Leaving 0 takes the capabilities
 * that pass over permissions out of the effective set, coming back returns them (capabilities(7)).
 * It reports no failure: asking for the id -1 changes nothing and returns what holds. */
static bool become(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid;
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
	if (become(set->head->owner_uid, set->head->owner_gid))
		return 0;
	owner_leave(set);
	return -EPERM;
}

/* A process that could not come back would go on with the wrong rights: there is nothing to go on
 * with then. */
void owner_leave(const struct change_set *set)
{
	if (is_other(set) && !become(geteuid(), getegid()))
		abort();
}
