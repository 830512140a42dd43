/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "cli/option.h"

/* One verb: everything that parsing, help and dispatch know about it. One file a verb defines one
 * of these. */
struct verb {
	const char *name;    /* the words after "berm": "run", "profile check" */
	const char *summary; /* half a line for the list of verbs */
	const char *usage;   /* the words after the name; NULL for a verb that only has children */
	const char *details; /* paragraphs for --help, or NULL */
	struct option_table options;
	/* options: the verb's own option struct, filled. argc, argv: the words that are no options.
	 * Returns the process's exit code. NULL for a verb that only has children. */
	int (*function)(const struct verb *verb, const void *options, int argc, char **argv);
	const struct verb *const *children; /* NULL-terminated, or NULL */
};

extern const struct verb verb_run;
extern const struct verb verb_ps;
extern const struct verb verb_inspect;
extern const struct verb verb_top;
extern const struct verb verb_kill;
extern const struct verb verb_killswitch;
extern const struct verb verb_halt;
extern const struct verb verb_supervise;
extern const struct verb verb_agent;
extern const struct verb verb_agent_add;
extern const struct verb verb_agent_set;
extern const struct verb verb_agent_list;
extern const struct verb verb_agent_show;
extern const struct verb verb_agent_retire;
extern const struct verb verb_agent_settle;
extern const struct verb verb_pace;
extern const struct verb verb_pace_show;
extern const struct verb verb_pace_set;
extern const struct verb verb_changes;
extern const struct verb verb_approvals;
extern const struct verb verb_approve;
extern const struct verb verb_deny;
extern const struct verb verb_log;
extern const struct verb verb_log_verify;
extern const struct verb verb_log_trace;
extern const struct verb verb_log_export;
extern const struct verb verb_doctor;
extern const struct verb verb_learn;
extern const struct verb verb_profile;
extern const struct verb verb_profile_check;
extern const struct verb verb_profile_show;
extern const struct verb verb_profile_explain;
extern const struct verb verb_profile_diff;
extern const struct verb verb_profile_test;
extern const struct verb verb_profile_try;
extern const struct verb verb_profile_sign;
extern const struct verb verb_profile_verify;
extern const struct verb verb_profile_schema;
extern const struct verb verb_profile_reference;
extern const struct verb verb_explain;
extern const struct verb verb_redteam;
extern const struct verb verb_help;

/* Every verb of the first level in the order of the help, NULL-terminated. */
extern const struct verb *const verbs[];

/* The last word of the verb's name (borrowed). */
const char *verb_word(const struct verb *verb);
/* The verb that words name, children included: *ret_used words belong to its name. words is
 * NULL-terminated. NULL and err (kind INPUT, with "did you mean") where there is none, and
 * *ret_group is then the verb whose child was looked for (NULL on the first level). */
const struct verb *verb_find(
	char **words, int *ret_used, const struct verb **ret_group, struct error *err);
/* The "usage:" lines of a verb. */
void verb_usage(const struct verb *verb, struct text *out);
/* The whole --help text of a verb, or of berm where verb is NULL. */
void verb_help_text(const struct verb *verb, struct text *out);

/* Say on stderr what is wrong with the words and how the verb is used; returns CLI_BAD_INPUT. */
int verb_misused(const struct verb *verb, const char *format, ...) printf_like(2, 3);
/* Say on stderr that the verb failed; returns the exit code of the error's kind. */
int verb_failed(const struct verb *verb, const struct error *err);
/* Write the text to stdout; returns code, or CLI_HOST_CANNOT where that failed. */
int verb_print(const struct text *out, int code);
