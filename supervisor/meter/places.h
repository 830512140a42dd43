/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The anchors of a run: one for each mount of its namespace, and those that the plan names. */

#include "meter/join.h"

struct places {
	struct meter_anchor_rule *anchors; /* path and fd owned */
	size_t count;
	size_t capacity;
};

/* Undo the escapes of one field of mountinfo in place (proc(5): \040 and the like). */
void run_places_unescape(char *field);
/* Look at the namespace and the root of a process that waits. Release with run_places_finish(),
 * also after a failure. */
int run_places_gather(const Berm__Wire__Plan *plan, pid_t pid, struct places *ret_places,
	struct error *err) must_check;
void run_places_finish(struct places *places);
