/* SPDX-License-Identifier: Apache-2.0 */
/* Counts lines, words and bytes of its standard input: the program that the agent builds. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

int main(void)
{
	unsigned long lines = 0, words = 0, bytes = 0;
	bool in_word = false;
	int c;

	while ((c = getchar()) != EOF) {
		bytes++;
		lines += c == '\n';
		words += !isspace(c) && !in_word;
		in_word = !isspace(c);
	}
	printf("%lu %lu %lu\n", lines, words, bytes);
	return ferror(stdin) ? 1 : 0;
}
