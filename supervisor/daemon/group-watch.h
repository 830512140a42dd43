/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/pace.h"

#include <stdbool.h>

/* What the phase of a group means for one run, for as long as that lasts. The run looks at the
 * group's file itself: whoever changes a phase need not reach any run, and a run that cannot read
 * the file is as in the most restrictive reading of it. Changes are seen at once (inotify), what
 * time brings when it comes, and everything at the latest after GROUP_WATCH_MS. Where this process
 * or the host has no descriptor or no memory left, what was seen last holds for
 * GROUP_WATCH_BLIND_MS, and it is tried again. */

#define GROUP_WATCH_MS 5000
#define GROUP_WATCH_BLIND_MS 1000
#define GROUP_WATCH_AGAIN_MS 100

struct group_watch;

/* groups' state directory, the group's name and the agent's id, copied. A group that is not there,
 * or goes away, is unknown. */
int group_watch_open(const char *state, const char *group, const char *agent,
	struct group_watch **ret_watch, struct error *err) must_check;
/* Readable when group_watch_look() may have something new. */
int group_watch_fd(const struct group_watch *watch);
/* What holds now. True where it is something else than the last time, and the first time.
 * *ret_phase: enum phase; PHASE_COUNT: unknown. */
bool group_watch_look(
	struct group_watch *watch, struct pace_effects *ret_effects, unsigned *ret_phase);
void group_watch_close(struct group_watch *watch); /* NULL is fine */
