/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* The kill switch: a small process of its own that kills runs when somebody who may says so over
 * its own socket. It needs nothing of what it stops: no supervisor, no run's berm, no lock, no
 * recorder. Another process, which has no rights, talks to clients (daemon/kill-front.h); this one
 * kills. */

/* Serve until SIGTERM or SIGINT. state: absolute path. Errors: -EALREADY (kind REFUSED): one runs
 * already. */
int kill_switch_serve(const char *state, struct error *err) must_check;
