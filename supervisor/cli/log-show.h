/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/log-read.h"

/* What the verbs that show a log share. */

/* One record as a line for people. */
void log_show_line(const struct log_item *item, bool paint, struct text *out);

/* The rows of the options that choose records, for an option struct with a struct log_filter called
 * filter. */
#define LOG_FILTER_ROWS(type)                                                                      \
	{"run", 0, OPTION_TEXT, offsetof(type, filter.run), "RUN", NULL,                           \
		"only this run, by the beginning of its id"},                                      \
		{"agent", 0, OPTION_TEXT, offsetof(type, filter.agent), "NAME", NULL,              \
			"only this agent's runs"},                                                 \
		{"denied", 0, OPTION_FLAG, offsetof(type, filter.denied), NULL, NULL,              \
			"only what was refused"},                                                  \
	{                                                                                          \
		"since", 0, OPTION_TEXT, offsetof(type, filter.since), "TIME", NULL,               \
			"not before: 10m (ago), 2026-11-23, 2026-11-23T20:14:03Z"                  \
	}

/* A log that was found and checked. Release with log_session_close(). */
struct log_session {
	struct log_place place;
	struct log_check check;
};

/* Find the log and its key, check it unless `unchecked`, and say on stderr what who reads it must
 * know. False, and the exit code, where there is nothing to read. */
bool log_session_open(const struct verb *verb, const struct log_request *request, bool unchecked,
	struct log_session *session, int *ret_code) must_check;
/* Read it with a reading of which verb, filter, limit, follow, sink and data are set. Exit code:
 * CLI_NO where the log failed the check. */
int log_session_read(struct log_session *session, struct log_reading *reading) must_check;
void log_session_close(struct log_session *session);
#define autologsession __attribute__((cleanup(log_session_close)))
