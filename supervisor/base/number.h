/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>

/* Strict numbers: the whole string, decimal digits only, no sign, no leading zero but "0" itself,
 * no white space, nothing that overflows. Each returns false and leaves *ret_value alone otherwise.
 */
bool number_parse_u64(const char *text, uint64_t *ret_value) must_check;
/* "512", "64KiB", "2MiB", "1GiB", "1TiB": bytes. Only these suffixes (10k, KB … are refused). */
bool number_parse_size(const char *text, uint64_t *ret_bytes) must_check;
/* "250ms", "30s", "15m", "2h", "30d": milliseconds. A bare number is refused. */
bool number_parse_duration(const char *text, uint64_t *ret_ms) must_check;
/* "0%" to "1000%": whole per cent. */
bool number_parse_percent(const char *text, uint64_t *ret_percent) must_check;
/* Render bytes the way number_parse_size() reads them, exactly: "1536" or "3KiB". buffer >= 32
 * bytes. */
const char *number_format_size(uint64_t bytes, char *buffer, size_t capacity);
/* Render milliseconds the way number_parse_duration() reads them, exactly. buffer >= 32 bytes. */
const char *number_format_duration(uint64_t ms, char *buffer, size_t capacity);
