/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/perform.h"
#include "wire/supervisor.pb-c.h"

/* The other end of a supervisor's socket: berm run for whom a supervisor runs, and berm supervise
 * --status. */

/* True where the host has a supervisor, and this user has no agent of that name: what is one's own
 * comes first. */
bool supervisor_is_asked(const char *agent);

/* Have the run done by the supervisor at that socket (NULL: the host's), with this process's
 * standard streams, and wait for its end. Signals that berm run forwards go there too. What is
 * neither a pipe nor a terminal nor a null device is copied from and to a pipe. Errors: what the
 * supervisor said, or that it is not there; with an error nothing ran. */
int supervisor_run(const char *socket, Berm__Wire__SuperviseRun *run,
	struct performance *ret_performance, struct error *err) must_check;

/* How the supervisor is; release with free_unpacked. socket NULL: the usual one of this user. */
int supervisor_status(
	const char *socket, Berm__Wire__SuperviseReply **ret_reply, struct error *err) must_check;
