/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/kill-wire.h"

/* The other end of the kill switch. */

/* Where the socket of this user's kill switch is: its directory, made where it is absent; an open
 * descriptor. */
int kill_switch_directory(struct error *err) must_check;
/* Send the order to the kill switch of this user, else to root's, or where socket (a path) says,
 * and wait for its answer for timeout_ms at most. -ENOENT (kind NOT_FOUND): none is there. */
int kill_switch_ask(const char *socket, const struct kill_order *order, unsigned timeout_ms,
	struct kill_answer *ret_answer, struct error *err) must_check;
