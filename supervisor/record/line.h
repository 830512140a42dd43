/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/json.h"
#include "record/export.h"

/* A record in the words of `berm log`: what a line for people, and its JSON, are made of. What came
 * from a tool is escaped and bounded. Pure. */

enum line_tone { LINE_PLAIN, LINE_GOOD, LINE_WARN, LINE_BAD };

#define LINE_OBJECT_BYTES_MAX 160

/* Release with line_finish(). */
struct line {
	const char *verdict; /* "DENY", "START" …; static */
	const char *area;    /* "NET", "FILE" …; static */
	enum line_tone tone;
	bool denied;   /* something was refused */
	bool own;      /* about the log itself, of no interest but to who looks after it */
	bool activity; /* what was done, not what was decided */
	struct text operation, object, program, rule, more;
	const char *id; /* of a denial, else the run; "" where neither. As recorded: not escaped */
};

void line_fill(struct line *line, const Berm__Wire__Record *record);
void line_finish(struct line *line);

/* "denial", "run_start" …: the name of the record's body in record.proto. Static. */
const char *line_kind(const Berm__Wire__Record *record);
/* True where an Approval.answer let what was held go on, or left it to somebody else. */
bool line_approval_is_yes(const char *answer);
/* "kernel ring", "queue" …; static. */
const char *line_loss_source(Berm__Wire__LossSource source);

/* A time as a string in UTC with nanoseconds, "2026-11-22T20:14:03.118000000Z"; null where no
 * calendar has it. */
void line_json_time(struct json *j, const char *key, int64_t ns);
/* The members of one JSON object: those of a line, then all of the record under "record".
 * docs/log.md lists them. */
void line_json(struct json *j, const Berm__Wire__Record *record, const struct export_place *place);
