/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/test-report.h"
#include "daemon/session.h"

/* Try the cases of a suite in a real run of the profile and correct the results of the model:
 * a case that passed fails where the kernel disagrees; where nothing can be learnt the result stays
 * and *ret_untried counts it. Commands of TEST_RUN cases run one by one, their output goes to
 * stderr. request: of the session that gave the profile; its argv is not read. Errors: a run that
 * cannot start. */
int test_live(const struct session_request *request, const struct profile *profile,
	struct test_suite *suite, unsigned *ret_untried, struct error *err) must_check;
