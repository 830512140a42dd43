/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "cli/verb.h"
#include "daemon/session.h"
#include "policy/diff.h"

/* What the verbs of `berm profile` share. */

struct profile_options {
	bool json;
	const char *directory;
	const char *ceiling;
	const char *state_dir;
};

/* The rows for a verb whose option struct begins with a struct profile_options called common. */
#define PROFILE_OPTION_ROWS(type)                                                                  \
	{"json", 0, OPTION_FLAG, offsetof(type, common.json), NULL, NULL,                          \
		"one JSON object instead of lines"},                                               \
		{"directory", 'C', OPTION_TEXT, offsetof(type, common.directory), "DIR", NULL,     \
			"what ${WORKDIR} is; default: here"},                                      \
		{"ceiling", 0, OPTION_TEXT, offsetof(type, common.ceiling), "FILE",                \
			"BERM_CEILING",                                                            \
			"a profile that narrows this one, beside /etc/berm/ceiling.yaml"},         \
	{                                                                                          \
		"state-dir", 0, OPTION_TEXT, offsetof(type, common.state_dir), "DIR",              \
			"BERM_STATE_DIR", "what ${STATE} is"                                       \
	}

/* The session request of these options for one profile. */
struct session_request profile_request_of(
	const struct profile_options *options, const char *profile);

/* Print what a failed session has to say: the diagnostics of the profile as they are, then err.
 * Exit code of err. */
int profile_report_failure(
	const struct verb *verb, const struct session *session, const struct error *err);

/* "file:line" where the file is known, else "berm" (berm's own default), escaped. */
void profile_put_place(struct text *out, const char *file, uint32_t line);
/* Words that came from a profile, escaped and bounded. */
void profile_put(struct text *out, const char *words);
/* The lines of a comparison, and how many sections are the same. */
void profile_diff_print(const struct diff *diff, struct text *out);
/* The same as members of the object that j is in: direction, lines and same. */
void profile_diff_json(const struct diff *diff, struct json *j);
