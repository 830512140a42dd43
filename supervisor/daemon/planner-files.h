/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/arena.h"
#include "policy/files.h"
#include "policy/load.h"
#include "wire/planner.pb-c.h"

/* What a planner may ask about the files of one profile, answered by the process that has rights.
 * What it has handed out it knows, whatever the planner makes of it. */
struct planner_files {
	const struct profile_request *request; /* borrowed */
	struct arena arena;                    /* of the files */
	const struct source_file *sources; /* newest first: what the profile has to be made of */
	crypto_generichash_state digest;
	unsigned trees, tree_files; /* trees begun, files of the last one */
	size_t count, questions;
	uid_t trusted_uid; /* of the last tree */
	bool of_operator;  /* of the profile, as struct profile has it */
	bool missing;      /* a tree has no file */
};

void planner_files_begin(struct planner_files *files, const struct profile_request *request);
void planner_files_finish(struct planner_files *files);
/* Answer a question; what of the reply is allocated is released with planner_file_free(). -EPROTO
 * where it is one that no planner has: about a path that is none of the request's, a ceiling left
 * out, too many. */
int planner_files_answer(struct planner_files *files, const Berm__Wire__PlannerQuestion *question,
	Berm__Wire__PlannerFile *reply, struct error *err) must_check;
void planner_file_free(Berm__Wire__PlannerFile *reply);
/* Whether the profile and all ceilings were read. */
bool planner_files_all_were_read(const struct planner_files *files);
