/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The hold of a commit: whom the profile of the run wants asked before what it staged is kept. */

#include "daemon/changes.h"
#include "daemon/session.h"

/* When the change set is made: keep in its head who is to be asked, as the plan of the run has it.
 * Nothing where nobody is. -ENOMEM. */
int changes_hold_keep(const struct session *session, Berm__Wire__ChangeHead *head) must_check;

bool changes_is_held(const struct change_set *set);
/* All that is to be known of the set: */
struct changes_shown {
	const char *lines; /* for people; what is too much for a question is counted */
	const char *json;  /* for programs: one line */
};
/* Ask, wait, and record what was said. The set is unlocked meanwhile, so that whoever is asked can
 * look at it: afterwards it is to be opened anew, and compared. Kind REFUSED where somebody said
 * no; -EBUSY (REFUSED), asking nobody, where it could not be committed anyway. */
int changes_hold(const char *state, struct change_set *set, const struct changes_shown *shown,
	struct error *err) must_check;
