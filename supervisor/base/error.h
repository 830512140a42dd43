/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdint.h>

#define ERROR_TEXT_MAX 512

/* Who has to act; decides the exit code at the outermost level (see docs/architecture.md). */
enum error_kind {
	ERROR_INTERNAL = 0, /* berm or the host failed: exit 125 from run, 3 elsewhere */
	ERROR_INPUT,        /* the caller's words, profile or files are wrong: exit 2 */
	ERROR_UNSUPPORTED,  /* this host cannot: exit 125 from run, 3 elsewhere */
	ERROR_REFUSED,      /* policy says no: exit 126 */
	ERROR_NOT_FOUND,    /* the command is not there: exit 127 */
	ERROR_KIND_COUNT
};

/* One failure: plain, fixed size and never allocated, so that it also crosses a clone boundary by
 * write(2). */
struct error {
	int32_t code;              /* negative errno, never 0 once set */
	uint32_t kind;             /* enum error_kind */
	char text[ERROR_TEXT_MAX]; /* NUL-terminated; may hold text from a profile, escape when
				      shown */
};

/* Set err (may be NULL) to "text: strerror(errno)" and return -errno (or -EIO where errno is 0). */
int error_errno(struct error *err, const char *format, ...) printf_like(2, 3);
/* Set err (may be NULL) to the text with an explicit negative errno and kind; returns code. */
int error_set(struct error *err, int code, enum error_kind kind, const char *format, ...)
	printf_like(4, 5);
/* Put "context: " before the text that err holds; returns its code. */
int error_wrap(struct error *err, const char *format, ...) printf_like(2, 3);
