/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Regular expressions (PCRE2, over bytes) that a profile wrote, on text that a tool made: what one
 * search may cost is bounded, see PATTERN_STEPS_MAX. */

#define PATTERN_BYTES_MAX 1024  /* of an expression */
#define PATTERN_STEPS_MAX 20000 /* of one search */
#define PATTERN_HEAP_KIB 256    /* that one search may use */

struct pattern;

/* Errors: -EINVAL (err names what is wrong and where in the expression, from 1), also for one that
 * matches the empty text; -ENOMEM. */
int pattern_create(
	const char *expression, struct pattern **ret_pattern, struct error *err) must_check;
void pattern_destroy(struct pattern *pattern); /* NULL is fine */

/* The first match that begins at `from` or later and is not empty: 1 and its bounds; 0: there is
 * none; -E2BIG: the search would cost more than it may, nothing is known; -ENOMEM. */
int pattern_find(const struct pattern *pattern, const char *text, size_t length, size_t from,
	size_t *ret_begin, size_t *ret_end) must_check;
