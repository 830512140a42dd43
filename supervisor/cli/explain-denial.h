/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/log-show.h"

#include <limits.h>

/* `berm explain` with the id of a refusal. */

struct explain_words {
	struct log_request request;
	const char *profile; /* the file to take the advice from, or NULL */
	bool json;
};

/* True where the words are the id of a refusal: a run's id, "." or "-", a number. */
bool explain_is_denial(const char *words);
/* Look it up in the log and tell it. Exit code. */
int explain_denial(const struct verb *verb, const struct explain_words *words, const char *id);

/* A refusal as the log has it. Release with explain_finish(). */
struct refusal {
	char id[96];
	Berm__Wire__Record *first; /* its first record; owned */
	Berm__Wire__Record *start; /* of its run, or NULL; owned */
	char rule_file[PATH_MAX];  /* that a rule of the run came from, or "" */
	int64_t last_ns;
	uint64_t count;
	enum log_trust trust; /* the worst of its records */
};

/* What has become of a file that a rule came from. */
enum rule_file_state {
	RULE_FILE_UNKNOWN, /* the log does not say what it was */
	RULE_FILE_SAME,
	RULE_FILE_CHANGED,
	RULE_FILE_GONE /* or cannot be read */
};

struct rule_file {
	enum rule_file_state state;
	char path[PATH_MAX]; /* of the file, or "" */
	char line[256]; /* RULE_FILE_SAME: the rule's line without the blanks around it, or "" */
};

/* The file that the rule of the refusal came from, as it is today. */
void explain_rule_file(const struct refusal *refusal, struct rule_file *ret_file);
/* The path of the profile itself as the run's start has it: NULL where it does not. The caller's.
 */
char *explain_profile_path(const struct refusal *refusal);
/* The names of the run's files that are not any more what they were, separated by commas. */
void explain_changed_files(const struct refusal *refusal, struct text *out);

enum advice_state {
	ADVICE_NONE,    /* no profile could be read */
	ADVICE_SAME,    /* from the profile of the run */
	ADVICE_CHANGED, /* from a profile that is another one today */
};

struct advice {
	enum advice_state state;
	char file[ERROR_TEXT_MAX + 32]; /* the profile's file, or why there is none */
	bool allowed;                   /* the profile would allow it today */
	bool keep_denied;
	char hint[512];
	char reason[512]; /* the rule's own, or "" */
};

/* What the profile of the run says about it: the line that would allow it, or why it should stay
 * denied. */
void explain_advise(const struct explain_words *words, const struct refusal *refusal,
	struct advice *ret_advice);
