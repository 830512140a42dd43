/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/text.h"

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_COUNT };

/* True where a descriptor shows colours to a person: a terminal, not "dumb", and NO_COLOR is not
 * set (no-color convention: present and not empty). */
bool paint_wanted(int fd);

/* Append a word padded to width columns (0 = none), painted where wanted says so. */
void paint_word(struct text *out, bool wanted, enum paint paint, const char *word, unsigned width);
