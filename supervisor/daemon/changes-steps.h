/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The steps of a commit: each one call that can be taken back. */

#include "daemon/changes-internal.h"

#define STAGING_BYTES (sizeof(CHANGES_RESERVED) + CHANGES_RUN_MAX)
#define STEP_NAME_BYTES 24

struct steps {
	struct change_set *set;
	Berm__Wire__ChangeJournal *journal;
	int staging_fd;
	struct error *err;
};

/* Do what is not done yet, then look once more whether what was replaced is what it should have
 * been. Whoever changes the workspace meanwhile makes it fail; what it found in the place of a file
 * is in the staging directory then, and steps_back() puts it back. */
int steps_forward(struct steps *s) must_check;
/* Take back what is done. What cannot be put back stays in the staging directory: an error. */
int steps_back(struct steps *s) must_check;
/* The workspace's own directory to the disk. 0 or -errno. */
int steps_sync_workspace(struct change_set *set) must_check;
