/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/profile.h"
#include "policy/learn.h"

/* Between the files of `berm learn` only. */

struct learn_options {
	struct profile_options common;
	const char *out;
	const char *base;
	const char *runs;
	const char *merge;
	struct word_list env;
	struct word_list allow_degraded;
	uint64_t timeout_ms;
	bool force, verify;
};

/* Everything that a report is made of. All borrowed. */
struct learn_told {
	const struct learn_options *options;
	const struct learn *learn;
	const struct learn_world *world;
	const struct learn_proposal *proposal;
	const struct diff *diff;  /* base against proposal */
	const char *observations; /* the file with them */
	size_t wrong;             /* observations that the model answers otherwise */
	int verified;             /* exit code of the run under the proposal; -1: none */
};

void learn_report(const struct learn_told *told, struct text *out);
void learn_report_json(const struct learn_told *told, struct text *out);

/* Observations as a JSON file, so that later runs can be added to them. */
void learn_file_write(const struct learn *learn, const char *workdir, struct text *out);
/* Read such a file as written for the same work tree. What does not fit the format, a path that is
 * none, or a number out of range is an error (kind INPUT). learn must be empty. */
int learn_file_read(
	const char *path, const char *workdir, struct learn *learn, struct error *err) must_check;
