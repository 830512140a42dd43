/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "redteam/world.h"

/* A directory with something to change for each technique of the act "write", and whether it was.
 * Judged by what is there, never by what the tool says. */

#define TECHNIQUES_MAX 64

struct victims {
	char directory[2 * WORLD_PATH_MAX];
	char *before[TECHNIQUES_MAX]; /* owned */
};

bool victims_make(struct world *world, struct victims *victims, const char *directory);
/* How many were changed, and which: changed[] of TECHNIQUES_MAX. */
unsigned victims_look(const struct victims *victims, bool *changed);
/* The names of those that count, for people. */
void victims_name(const bool *changed, struct text *out);
void victims_finish(struct victims *victims);
/* Run the act without berm on victims of its own: what has an effect on this host, in works[]. */
unsigned victims_control(struct world *world, bool *works);
