/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/confine.h"

#include <stdbool.h>
#include <sys/types.h>

/* The processes that berm starts beside a run: berm executes itself, with a word that says what it
 * is to be, and a state directory. */
enum role_kind {
	ROLE_RECORDER,
	ROLE_SINKS,
	ROLE_ANCHOR,
	ROLE_SESSION,
	ROLE_KILL_FRONT,
	ROLE_PLANNER,
	ROLE_BACKUP,
	ROLE_COUNT
};

/* Descriptor that a role is started with; what it is, the role says. */
#define ROLE_FD 3

/* The role whose word stands first in a command line; ROLE_COUNT where none does. */
enum role_kind role_find(int argc, char **argv);
/* Be that: the whole life of the process. Returns its exit code. */
int role_main(enum role_kind role, int argc, char **argv);
/* What that role has to do before it serves: give up all calls that its row of the table does not
 * name, and every place but these. */
int role_confine(enum role_kind role, const struct confine_place *places, size_t count,
	struct error *err) must_check;
/* Start it for a state directory (absolute path): nobody's child, in a session of its own, with no
 * signal blocked or ignored, no environment (but where a user's own runs are, for the role that
 * begins one) and no descriptor of this process but fd, which it gets
 * as ROLE_FD (borrowed; -1: none). That it could be started is known, not what becomes of it: it
 * talks through fd, or not at all. */
int role_launch(enum role_kind role, const char *state, int fd, struct error *err) must_check;
/* The same for a child that this process ends and waits for, with no state directory. */
int role_spawn(enum role_kind role, int fd, pid_t *ret_pid, struct error *err) must_check;
