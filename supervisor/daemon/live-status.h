/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/session.h"
#include "wire/control.pb-c.h"

/* What a session says of itself while it lasts: every list and string bounded, so that it fits into
 * one answer (control.h). 0, or -ENOMEM with a status that is filled in part. */
int live_status(const struct session *session, uint64_t uptime_ms,
	Berm__Wire__RunStatus *status) must_check;
