/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* 0 where the other end of a connected unix socket is a process of owner or of root that is inside
 * of no run: every run has a pid namespace of its own, and a process in one that is nested within
 * ours is refused whatever its uid. Fails closed (kind REFUSED), also where /proc hides it. */
int recorder_peer_check(int fd, uid_t owner, struct error *err) must_check;
/* The same of the words of /proc/PID/status, for tests: true where it has one pid only. */
bool recorder_peer_is_outside(const char *status);
