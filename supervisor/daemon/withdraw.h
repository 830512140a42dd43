/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/runs-named.h"
#include "govern/approval.h"

#include <stddef.h>

/* Take back what is held until a person answers: a run that is not begun, a run's first write, a
 * commit. Whoever waits is told by its question's file; a yes that comes later is for nobody, and
 * a run that has seen its yes looks once more when its place is written, as with a halt
 * (daemon/halts.h). */

#define WITHDRAW_LOCK_MS                                                                           \
	2000 /* whoever kills waits for others so long, and only where one waits                   \
	      */

/* What was held. */
struct withdrawn {
	char run[APPROVAL_ID_MAX + 1]; /* of a commit: an id of its own */
	char id[APPROVAL_ID_MAX + 1];  /* of the question */
	uint32_t on;                   /* one of HELD_… */
};

/* Zero-initialise; release with withdrawal_finish(). */
struct withdrawal {
	struct withdrawn *items; /* owned */
	size_t count;
	bool was_approved; /* there are some with a yes, which may have begun meanwhile */
};

/* All that the name stands for: of a run by the beginning of its id. words: by whom and why. An
 * error where something may be held still; what was taken back until then is in *ret_withdrawal.
 * Nothing is locked where nobody waits. */
int withdraw_held(const char *state, const struct runs_named *named, const char *words,
	struct withdrawal *ret_withdrawal, struct error *err) must_check;
void withdrawal_finish(struct withdrawal *withdrawal);
/* Runs that are not begun, whose ids begin so, and for which nobody has answered. 0 also where that
 * cannot be told. */
size_t withdraw_count(const char *state, const char *prefix);
