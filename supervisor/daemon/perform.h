/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/session.h"

/* A whole run, from the caller's words to what is said of it afterwards. */

/* Which words are wanted. */
struct performance_wanted {
	bool record; /* the status record of docs/status-record.md */
	bool footer; /* the short list for people */
};

/* What came of a run. Zero-initialise; release with performance_finish(). */
struct performance {
	int code;         /* what berm run exits with */
	bool was_refused; /* nothing was set up */
	/* In the order in which they are said on stderr; each empty where there is nothing to say.
	 */
	struct text diagnostics;     /* of the profile */
	char reason[ERROR_TEXT_MAX]; /* for log_line(): why it did not start or had to end */
	struct text footer, record;
};

/* Do all that the request asks for. Returns ret_performance->code. */
int perform(const struct session_request *request, const struct performance_wanted *wanted,
	struct performance *ret_performance);
/* What berm run exits with where it failed so. */
int perform_exit_code(const struct error *err);
void performance_finish(struct performance *performance);
#define autoperformance __attribute__((cleanup(performance_finish)))
