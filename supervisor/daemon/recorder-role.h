/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* The recorder as a process (daemon/role.h); ROLE_FD is a connected socket of its first client. */

/* Without a client for this long it closes the log and ends. */
#define RECORDER_IDLE_MS 10000

/* The whole life of that process; returns its exit code. */
int recorder_role(int argc, char **argv);

/* Start that process for a state directory (absolute path), apart from this one: it outlives it.
 * Returns a connected socket that does not block; its other end is the recorder's first client. */
int recorder_launch(const char *state, struct error *err) must_check;
