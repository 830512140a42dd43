/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/groups.h"

#include "apply/caller.h"

#include <unistd.h>

int groups_caller(const struct groups *groups, uid_t *ret_uid, struct error *err)
{
	struct caller caller;

	caller_identify(&caller);
	if (geteuid() == 0 && caller.uid == CALLER_NOBODY)
		return error_set(err, -EPERM, ERROR_REFUSED,
			"nobody knows who asks: what sudo, doas and pkexec left in the environment "
			"names different people");
	/* Without a list it is for the host to say who may act as the owner. */
	*ret_uid = groups->authority_path ? caller.uid : groups->owner;
	return 0;
}
