/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>

/* Where a proposal goes. The directory is opened before anything runs, so that no run can lead us
 * elsewhere afterwards. Zero-initialise with directory_fd -1; release with learn_save_finish(). */
struct learn_save {
	int directory_fd;
	char profile[256];      /* the file's name in it, "new.yaml" */
	char observations[256]; /* "new.learn.json" */
	char name[64];          /* for the profile's name: key, "new" */
	bool force;
};

/* Errors: kind INPUT where the name is none, its directory is not there, or one of the files is and
 * force is false. */
int learn_save_open(
	const char *out, bool force, struct learn_save *save, struct error *err) must_check;
/* Write both; each one is complete or not there. */
int learn_save_write(const struct learn_save *save, const struct text *profile,
	const struct text *observations, struct error *err) must_check;
void learn_save_finish(struct learn_save *save);
