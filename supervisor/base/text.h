/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing string. Zero-initialise; release with text_finish() (or declare with autotext).
 * A failed allocation makes `failed` true and further writes no-ops: check once, at the end. */
struct text {
	char *data;    /* NUL-terminated once anything was written, else NULL; owned */
	size_t length; /* bytes, without the NUL */
	size_t capacity;
	bool failed;
};

void text_finish(struct text *t);
#define autotext __attribute__((cleanup(text_finish)))

void text_append(struct text *t, const char *bytes, size_t length);
void text_puts(struct text *t, const char *string);
void text_printf(struct text *t, const char *format, ...) printf_like(2, 3);
/* The string written so far; "" where nothing was. Borrowed until the next write. */
const char *text_string(const struct text *t);
/* Take the string out (caller frees); NULL when an allocation failed. */
char *text_take(struct text *t) must_check;

/* Decode one UTF-8 character strictly (RFC 3629: no overlong forms, no surrogates); length > 0.
 * Returns its length in bytes, 0 when the bytes are not valid. */
size_t text_decode(const char *bytes, size_t length, uint32_t *ret_point);
/* True for characters that change how the rest of a line is shown: controls (tab and line feed are
 * among them), bidi, zero width, separators, tags. */
bool text_point_is_deceptive(uint32_t point);
/* True where the bytes are valid UTF-8 without any such character; also where there are none. */
bool text_is_one_line(const char *bytes, size_t length);

/* Append bytes that a tool, a profile or a file name made, safe for a terminal and one line:
 * printable UTF-8 stays, everything else (controls, ESC, bidi and zero-width characters, invalid
 * bytes) becomes \xNN or \u{N}; backslash becomes \\. At most max_bytes of output, then "…".
 */
void text_escape(struct text *t, const char *bytes, size_t length, size_t max_bytes);

/* Edit distance between two short words, for "did you mean"; words over 63 bytes give 64. */
unsigned text_distance(const char *a, const char *b);
/* The entry of names[count] nearest to word, or NULL where none is near enough to be meant. */
const char *text_nearest(const char *word, const char *const *names, size_t count);
