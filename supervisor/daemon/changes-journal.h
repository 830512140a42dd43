/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A commit's journal and the directory in the workspace that it speaks of. */

#include "daemon/changes-internal.h"

#define JOURNAL_STUCK                                                                              \
	"what a commit that was broken off had put into the workspace is gone: nothing can be "    \
	"done any more but a rollback, and the workspace is as somebody left it"

/* A journal of a commit that copies, without steps; *ret is freed by the caller, also after a
 * failure. 0 or -ENOMEM. */
int journal_new(const struct change_set *set, Berm__Wire__ChangeJournal **ret) must_check;
int journal_write(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err) must_check;
/* All phases that may follow, the one that says forward last. */
int journal_write_all(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err) must_check;
/* The journal says that all is staged: do it. A failure of a step takes back those before it; a
 * failure to take back leaves the journal, for the next one. 0: set->committed. */
int journal_forward(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err) must_check;
int journal_back(
	struct change_set *set, Berm__Wire__ChangeJournal *journal, struct error *err) must_check;
int journal_forget(struct change_set *set, struct error *err) must_check;
bool journal_is_recorded(const struct change_set *set);

/* The staging directory, with the owner's rights. */
int journal_make_staging(struct change_set *set, int *ret_fd, struct error *err) must_check;
/* Durably: nobody looks for it once the journal, or the change set, is gone. */
int journal_forget_staging(struct change_set *set, struct error *err) must_check;
bool journal_staging_is_gone(struct change_set *set);
