/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* What a program says that was asked: a gate, or the exec channel of approvals. In order of
 * strength: of several the last one counts. */
enum verdict { VERDICT_ALLOW, VERDICT_ASK, VERDICT_DENY, VERDICT_COUNT };

#define ANSWER_BYTES_MAX 4096 /* of its output */
#define ANSWER_WORDS_MAX 200

struct answer {
	enum verdict verdict;
	char by[ANSWER_WORDS_MAX + 1];     /* UTF-8, not NUL; not safe for a terminal */
	char reason[ANSWER_WORDS_MAX + 1]; /* likewise */
};

/* "allow", "ask", "deny". */
const char *verdict_name(enum verdict verdict);
/* The stricter of two. */
enum verdict verdict_join(enum verdict a, enum verdict b);

/* Read one JSON object (RFC 8259) and nothing beside it:
 *
 *	{"decision": "allow", "by": "alice", "reason": "…", "scope": "once"}
 *
 * decision is "allow", "deny" or "ask" and must be there; by and reason are strings of at most
 * ANSWER_WORDS_MAX bytes; scope is "once" or "run", which mean the same. Another member, one that
 * is there twice or is no string, and whatever is not JSON: -EBADMSG. */
int answer_read(
	const char *bytes, size_t length, struct answer *ret_answer, struct error *err) must_check;
