/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The value of a name that a row may use, written out here as numbers from the kernel's uapi: a
 * constant that the code under test has wrong must not be wrong in its rows too. */
bool constants_find(const char *name, uint64_t *ret_value);
