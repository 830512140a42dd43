/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/groups.h"

/* What the two halves of the groups share: the files, and what is recorded. */

/* The most changes that time alone can bring at once: primary to emergency, and what is between. */
#define GROUPS_STEPS_MAX 16

/* The file as it is. */
int group_read(const struct groups *groups, const char *name, struct pace_group *ret_group,
	struct error *err) must_check;
int group_write(
	const struct groups *groups, const struct pace_group *group, struct error *err) must_check;

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
