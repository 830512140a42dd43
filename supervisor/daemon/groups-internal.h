/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/groups.h"

/* What the two halves of the groups share: the files, and what is recorded. */

/* The file as it is. */
int group_read(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct error *err) must_check;
int group_write(
	const struct groups *groups, const struct pace_group *group, struct error *err) must_check;

/* The id of the agent of that name or id, where it is one of the group and in service. ret_name:
 * may be NULL. Kind INPUT where it is not. */
int group_agent(const struct groups *groups, const char *group, const char *agent,
	char ret_id[AGENT_ID_BYTES + 1], char ret_name[AGENT_NAME_MAX + 1],
	struct error *err) must_check;

/* One thing for the log. */
struct group_told {
	struct pace_outcome outcome;
	const char *refusal; /* NULL: as the outcome says */
	const char *by, *reason;
	const uint8_t *key; /* AUTHORITY_KEY_BYTES, or NULL */
	uint64_t number;
};

/* Write them to the log, in order, and wait until they are on the disk. group: for the words of a
 * refusal, and its name. */
int group_tell(const struct groups *groups, const struct pace_group *group,
	const struct group_told *told, size_t count, struct error *err) must_check;
