/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/* The supervisor: one process for a state directory, which starts runs of agents for those who may
 * start them. It lets each be done by a session (daemon/session-role.h), a process of its own that
 * has the client's connection from then on: runs do not end with the supervisor, and the next one
 * finds them. It waits for nobody. */

#define SUPERVISOR_PEERS_MAX 256         /* connections that have not asked yet */
#define SUPERVISOR_SESSIONS_MAX 1024     /* runs; more are refused */
#define SUPERVISOR_SESSIONS_OF_USERS 900 /* of these: others than the operator's */
#define SUPERVISOR_SILENT_MS 5000        /* whoever connects asks within that time */

struct supervisor_options {
	const char *state;  /* a whole path */
	const char *socket; /* a whole path, or NULL for the usual place */
};

/* Be the supervisor until SIGTERM or SIGINT. Returns 0 then; an error where it could not begin. */
int supervisor_serve(const struct supervisor_options *options, struct error *err) must_check;
