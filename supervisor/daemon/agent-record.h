/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/agent.pb-c.h"

/* What somebody did to an agent. All borrowed. */
struct agent_deed {
	const char *what;                /* "add", "set", "rename", "retire" or "settle" */
	const Berm__Wire__Agent *before; /* NULL: there was none */
	const Berm__Wire__Agent *after;
	const char *reason; /* or NULL */
};

/* Have it in the log of the state directory, with each thing that was changed as it was and as it
 * is now. */
int agent_record(const char *state, const struct agent_deed *deed, struct error *err) must_check;
