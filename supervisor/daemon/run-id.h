/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define RUN_ID_LENGTH 26

/* A new run's name: 48 bits of time in milliseconds and 80 random bits, as 26 letters and digits of
 * Crockford's base 32 (the layout of a ULID), so that names sort by time and cannot be guessed. */
int run_id_make(char ret_id[RUN_ID_LENGTH + 1], struct error *err) must_check;
/* The same from given parts, for tests. time_ms < 2^48. */
void run_id_format(
	uint64_t time_ms, const unsigned char random[10], char ret_id[RUN_ID_LENGTH + 1]);
/* True for 26 of these letters and digits. */
bool run_id_is_valid(const char *words);
