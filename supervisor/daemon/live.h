/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/session.h"

/* A session while its tool runs: the callbacks of apply/, the meter, and the socket by which others
 * look at it and change what it may do. */

/* Run the session's plan to its end. Always fills *ret_result, the session's denials and effects.
 */
void live_run(struct session *session, struct run_result *ret_result);
