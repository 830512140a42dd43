/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/groups-internal.h"

/* The run of a group's backup that berm itself starts when the group comes to alternate: which
 * agent that is says the group, which command groups.yaml (daemon/group-hooks.h), and a process of
 * its own does it (daemon/backup-role.h). Each change asks for one, and its number is what keeps a
 * second one away: who begins with it writes that down first, under the group's lock. So a kill
 * costs the run at worst, which is told, and never starts two. */

/* Start the process for that group; nobody waits for it. */
int group_backup_launch(
	const struct groups *groups, const char *name, struct error *err) must_check;
/* Whoever looks at a group: start the process where nobody did, or where the one that had begun is
 * gone without a word. Quiet. */
void group_backup_look(const struct groups *groups, const struct pace_group *group);

/* From its first step to its last that process holds groups/NAME.backup.
 * Returns a descriptor; -EWOULDBLOCK: another one has it. */
int group_backup_hold(const struct groups *groups, const char *name, struct error *err) must_check;

/* Whether the log lacks something of the group: whoever brought the change about may be telling it
 * still, and takes that out of the file when it is told. */
bool group_backup_is_early(const struct groups *groups, const char *name);

struct group_backup {
	struct pace_takeover takeover;
	char agent[AGENT_ID_BYTES + 1];
	char by[PACE_NAME_MAX + 1];
};
/* Begin with it: 1 where it was due and is ours, 0 where nothing is to be done. lasts: a run that
 * was started for an earlier change is there, and this one has that. What another process had begun
 * with and did not bring to its end is told, unless `lasts`. */
int group_backup_take(struct groups *groups, const char *name, bool lasts,
	struct group_backup *ret_backup, struct error *err) must_check;
/* It is over. why: it was not started, and this is why; NULL: it ran, and `words` says how it
 * ended. */
int group_backup_end(struct groups *groups, const char *name, const struct group_backup *backup,
	const char *why, const char *words, struct error *err) must_check;
