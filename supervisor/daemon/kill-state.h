/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/kill-order.h"

#include "base/error.h"

#include <stdbool.h>

/* Which state directory of which host an order to kill is for. A random number in the directory,
 * together with the host's machine-id(5): a name that means something else in another place, a copy
 * of the directory on another host, and another directory in its place are all somebody else. */

/* make: give the directory a number where it has none (as its owner). Errors: kind NOT_FOUND where
 * it has none; REFUSED where somebody else than the caller or root wrote it. */
int kill_state_id(const char *state, bool make, uint8_t ret_id[KILL_ORDER_STATE_BYTES],
	struct error *err) must_check;
