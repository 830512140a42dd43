/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"

/* Secrets out of text before a record is made of it: values that are known to be secret, what looks
 * like a well-known kind of secret, and what a profile's expressions match. "[redacted:NAME]" takes
 * their place; nothing of them, no digest either, is kept. Pure; the time is bounded by the length
 * of the text times the number of values and patterns. */

#define REDACT_VALUE_BYTES_MIN 6 /* shorter ones would blank words that are none */
#define REDACT_VALUES_MAX 1024
#define REDACT_PATTERNS_MAX 64

struct redactor;

int redactor_create(struct redactor **ret_redactor, struct error *err) must_check;
void redactor_destroy(struct redactor *redactor); /* NULL is fine; wipes the values */

/* A secret, and the name to show in its place; also found in its percent-encoded form. Shorter
 * ones than REDACT_VALUE_BYTES_MIN are passed over. -E2BIG: REDACT_VALUES_MAX are there. */
int redactor_add_value(struct redactor *redactor, const char *name, const char *value,
	struct error *err) must_check;
/* An expression of a profile. Errors: those of pattern_create(); -E2BIG. */
int redactor_add_pattern(
	struct redactor *redactor, const char *expression, struct error *err) must_check;

/* Append the text without its secrets; true where there were some. cut: its end is missing, so that
 * a secret may have begun there. What cannot be looked through within the bounds is left out as a
 * whole. */
bool redact_text(const struct redactor *redactor, const char *text, size_t length, bool cut,
	struct text *out);
/* The same for a command line, where an option (--password) makes a secret of the next word. Fills
 * one text a word: ret_words[count], zero-initialised, finished by the caller. */
bool redact_words(const struct redactor *redactor, const char *const *words, size_t count,
	struct text *ret_words);
