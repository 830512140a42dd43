/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/paint.h"

#include <stdlib.h>
#include <string.h>

#define RESET "\033[0m"

/* ECMA-48 (SGR): colours 30-37 are the terminal's own, so they fit its background. */
static const char *const sequences[PAINT_COUNT] = {
	[PAINT_PLAIN] = "",
	[PAINT_GOOD] = "\033[32m",
	[PAINT_WARN] = "\033[33m",
	[PAINT_BAD] = "\033[31m",
};

bool paint_wanted(int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
}

void paint_word(struct text *out, bool wanted, enum paint paint, const char *word, unsigned width)
{
	bool coloured = wanted && paint != PAINT_PLAIN;

	text_printf(out, "%s%-*s%s", coloured ? sequences[paint] : "", (int)width, word,
		coloured ? RESET : "");
}
