/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a fuzz target shares with its two drivers: libFuzzer's own main, and replay.c, which gives
 * the kept inputs to the target as an ordinary test. A target checks with assert(3), which stays on
 * in every build. */

#include "base/text.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The whole target, for one input. Returns 0; what is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True where the text is UTF-8 that a terminal shows as it is; line feeds are allowed. */
static inline bool is_safe_to_show(const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		uint32_t point;
		size_t n = text_decode(text + i, length - i, &point);

		if (!n || (point != '\n' && text_point_is_deceptive(point)))
			return false;
		i += n;
	}
	return true;
}

/* The input as a string (caller frees). */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *string = malloc(size + 1);

	assert(string);
	if (size)
		memcpy(string, data, size);
	string[size] = '\0';
	return string;
}
