/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/record.pb-c.h"

#include <stddef.h>

/* What somebody did to runs, agents or groups, as records that belong to no run: it has a name of
 * the same form as a run's, a start of its own in the log and no receipt. */

struct act {
	const char *state;         /* directory */
	const char *agent, *group; /* it is about, or NULL */
	/* Bodies only; of the kinds that recorder_body_is_allowed() has for acts. */
	const Berm__Wire__Record *const *records;
	size_t count;
};

/* Have the records on the disk in the log of the state directory, waiting at most timeout_ms; a
 * recorder is started where none is. What was done is not undone by an error. */
int act_record(const struct act *act, unsigned timeout_ms, struct error *err) must_check;
