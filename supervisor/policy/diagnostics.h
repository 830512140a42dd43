/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"
#include "policy/profile.h"

/* The text of one profile file, kept as long as its profile so that lines can be quoted. */
struct source_file {
	const struct source_file *next; /* read before this one */
	const char *name;               /* as shown; struct source.file is this very pointer */
	const char *real;               /* absolute, links followed */
	const char *data;               /* NUL-terminated */
	size_t length;
	bool of_root; /* belongs to root */
};

/* Every kind of error, warning and note there is. The order is that of `codes`. */
enum code_id {
	CODE_SYNTAX,
	CODE_ENCODING,
	CODE_UNKNOWN_KEY,
	CODE_DUPLICATE_KEY,
	CODE_WRONG_TYPE,
	CODE_ALIAS,
	CODE_TAG,
	CODE_SECOND_DOCUMENT,
	CODE_TOO_BIG,
	CODE_MISSING_KEY,
	CODE_VERSION,
	CODE_NAME,
	CODE_UNKNOWN_WORD,
	CODE_NUMBER,
	CODE_UNIT,
	CODE_BOOL,
	CODE_EMPTY,
	CODE_UNSET_VARIABLE,
	CODE_DOLLAR,
	CODE_PATH,
	CODE_GLOB,
	CODE_EXTENDS_MISSING,
	CODE_EXTENDS_CYCLE,
	CODE_EXTENDS_DEPTH,
	CODE_UNTRUSTED,
	CODE_UNREADABLE,
	CODE_REMOVE_ABSENT,
	CODE_REMOVE_KEY,
	CODE_HOST,
	CODE_CIDR,
	CODE_QUOTE,
	CODE_EVERYWHERE,
	CODE_ONE_OF,
	CODE_PORTS,
	CODE_PROTECTED_ROOT,
	CODE_UNKNOWN_NAME,
	CODE_ENV_NAME,
	CODE_SAMPLE,
	CODE_HOST_NETWORK,
	CODE_PATH_ABSENT,
	CODE_LISTEN,
	CODE_TEST,
	CODE_LINE,
	CODE_PROFILE_WRITABLE,
	CODE_CEILING,
	CODE_CALL_NEVER,
	CODE_CALL_ESSENTIAL,
	CODE_TRIGGER,
	CODE_EXPRESSION,
	CODE_OPERATOR,
	CODE_WARNING_COVERED,
	CODE_WARNING_EXEC_WRITABLE,
	CODE_WARNING_WIDE,
	CODE_WARNING_LINKS,
	CODE_WARNING_ENV_ALL,
	CODE_WARNING_READ_ALL,
	CODE_WARNING_NEVER,
	CODE_WARNING_KEEP,
	CODE_NOTE_NARROWED,
	CODE_NOTE_DROPPED,
	CODE_NOTE_SYMLINK,
	CODE_NOTE_SELF,
	CODE_COUNT
};

struct code {
	const char *id;    /* "E001", "W001" or "N001": error, warning, note */
	const char *title; /* a few words */
	const char *help;  /* one paragraph, for `berm explain E001` */
};
extern const struct code codes[CODE_COUNT];

/* The row with that id ("E012"), or NULL. */
const struct code *code_find(const char *id);

struct diagnostics {
	struct text *out;                /* borrowed */
	const struct source_file *files; /* newest first; borrowed */
	unsigned errors, warnings, notes;
};

/* Append "file:line:col: error[E001]: text", the line and a caret under the place. The text is
 * escaped, since it quotes what authors wrote. A place without a line gets no quote, one without a
 * file no place. Of errors, warnings and notes those beyond the first 50 each are counted and
 * not printed. */
void diagnostics_report(struct diagnostics *d, enum code_id code, struct source at,
	const char *format, ...) printf_like(4, 5);
