/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/session.h"
#include "policy/learn.h"

/* Run the request once in a process of its own, with the tool's stdout on our stderr, and add what
 * it did to learn as one more run; learn NULL: only run. Always traced. ret_code receives the exit
 * code that `berm run` would give. Errors: that the run could not begin (kinds as session_load()
 * and run_plan() give them). */
int learn_run(const struct session_request *request, struct learn *learn, int *ret_code,
	struct error *err) must_check;
