/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* A fixed stream of numbers for property tests (xorshift64*, Vigna 2016): the same in every run, so
 * that a failure can be seen again. One stream a process, with a seed that random_seed() replaces
 * (0 is taken as 1). */
void random_seed(uint64_t seed);
uint64_t random_u64(void);
/* 0 to limit - 1; limit > 0. */
uint32_t random_below(uint32_t limit);
