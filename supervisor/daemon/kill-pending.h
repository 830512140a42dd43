/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/record.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

/* Kills that are not in the log yet, since the recorder or the disk of the log failed: a file each
 * in STATE/kills.pending, for whoever comes next. */

#define KILL_PENDING_DIR "kills.pending"

/* Best effort. */
void kill_pending_put(const char *state, const Berm__Wire__Kill *kills, size_t count);
/* Whether there are any. */
bool kill_pending_is_there(const char *state);
/* Have those that are there recorded, and forget them. Returns how many; -errno where they could
 * not be recorded, and stay. */
int kill_pending_flush(const char *state, unsigned timeout_ms, struct error *err) must_check;
