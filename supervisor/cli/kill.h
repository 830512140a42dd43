/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "cli/verb.h"
#include "daemon/kill.h"

/* What the verbs that end runs share. */

/* A line for each run. */
void kill_put(const struct kill_report *report, struct text *out);
/* Members of an object that is open: "killed", "unfound", "more", "recorded", "not_recorded",
 * "took_us". */
void kill_json(const struct kill_report *report, struct json *j);
/* Say what is left or was not kept; returns the exit code: CLI_GOOD where all are gone. */
int kill_code(
	const struct verb *verb, const struct runs_named *named, const struct kill_report *report);
