/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the files of the redaction only. */

#include "record/redact.h"

#define REDACT_SPANS_MAX 256 /* secrets of one text; with more, all of it goes */

struct redact_span {
	size_t begin, end;
	const char *name; /* static, or of the redactor */
};

struct redact_spans {
	struct redact_span items[REDACT_SPANS_MAX];
	size_t count;
	bool overflow; /* more than there is room for, or not to be told */
};

static inline void redact_add(
	struct redact_spans *spans, size_t begin, size_t end, const char *name)
{
	if (spans->count == REDACT_SPANS_MAX) {
		spans->overflow = true;
		return;
	}
	spans->items[spans->count++] = (struct redact_span){begin, end, name};
}

/* redact-shapes.c: what looks like a well-known kind of secret. */
void redact_shapes(const char *text, size_t length, struct redact_spans *spans);
/* The word is an option whose value is a secret, and the next word is that value. */
bool redact_is_option(const char *word);
