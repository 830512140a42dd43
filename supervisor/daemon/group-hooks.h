/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/groups-internal.h"

/* What an operator wants to happen when a group's phase changes, or when somebody has to decide
 * about it: groups.yaml in the state directory, or where that is not there /etc/berm/groups.yaml.
 *
 *	version: 1
 *	groups:
 *	  - name: crew                          # left out: every group that has no entry
 *	    notify: [/usr/local/bin/page, --urgent]
 *	    backup: [/usr/local/bin/take-over]  # what the group's backup runs in alternate
 */

#define GROUP_HOOKS_FILE "groups.yaml"
#define GROUP_HOOKS_FILE_SYSTEM "/etc/berm/groups.yaml"
#define GROUP_NOTIFY_SECONDS 30 /* a program that lasts longer is killed */

struct group_hooks {
	char **notify; /* owned; NULL: nobody */
	char **backup; /* owned; NULL: nothing is started */
};

/* What is to be done for that group. Errors: those of operator_file_read(). */
int group_hooks_read(const struct groups *groups, const char *name, struct group_hooks *ret_hooks,
	struct error *err) must_check;
void group_hooks_finish(struct group_hooks *hooks);
#define autogrouphooks __attribute__((cleanup(group_hooks_finish)))

/* Start what is to be done for what came about, without waiting for it, and note in told what was
 * started. What could not be is said by log_line(). Hold no lock. */
void group_hooks_start(struct groups *groups, const struct pace_group *group,
	struct group_told *told, size_t count);
