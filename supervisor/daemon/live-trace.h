/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/session.h"

/* What the profile says to a call of trace mode. True where it is refused: *ret_operation is the
 * word for it (static), *ret_rule what decides. */
bool live_trace_denied(const struct session *session, const struct trace_event *event,
	const char **ret_operation, struct denial_rule *ret_rule);
