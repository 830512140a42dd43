/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/agent.pb-c.h"

/* Have it in the log of the state directory that somebody changed an agent. what: "add", "set",
 * "rename" or "retire"; former: its name before a rename, or NULL. The agent is as it is now. */
int agent_record(const char *state, const char *what, const Berm__Wire__Agent *agent,
	const char *former, struct error *err) must_check;
