/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most words that one list option may gather. */
#define OPTION_WORDS_MAX 256

enum option_type {
	OPTION_FLAG,        /* bool */
	OPTION_TEXT,        /* const char *, borrowed from argv or the environment */
	OPTION_DURATION,    /* uint64_t, milliseconds, over 0 */
	OPTION_NUMBER,      /* uint64_t, over 0 */
	OPTION_DESCRIPTOR,  /* int, 0 to INT_MAX; the default of the verb says "not given" */
	OPTION_WORDS,       /* struct word_list, one word each time the option is given */
	OPTION_COMMA_WORDS, /* struct word_list, words separated by commas, repeatable */
	OPTION_TYPE_COUNT
};

/* A list of words; items is NULL-terminated, or NULL while empty. Owned, with the strings in
 * storage. */
struct word_list {
	const char **items;
	size_t count;
};

/* One option of a verb: the row that drives parsing, --help and the error messages. */
struct option_spec {
	const char *name; /* long name without the dashes */
	char letter;      /* short name, 0 where there is none */
	enum option_type type;
	size_t offset;        /* of the field in the verb's option struct */
	const char *argument; /* how help names the value; NULL for a flag */
	const char
		*environment; /* variable that gives the value when the option is absent, or NULL */
	const char *help;
};

struct option_table {
	const struct option_spec *specs;
	size_t count;
	size_t size;          /* bytes of the verb's option struct */
	const void *defaults; /* such a struct, or NULL = all zero */
	bool command_follows; /* the first word that is no option ends the options */
};

/* What the words said. Release with option_finish(). */
struct option_result {
	void *values; /* the verb's option struct; owned */
	int argc;     /* words that are no options */
	char **argv;  /* NULL-terminated; the array is owned, the words are borrowed */
	bool help;    /* --help or -h was there: nothing else counts */
};

/* Read the words after the verb. argv is NULL-terminated and is not changed.
 * "--" ends the options. A value that itself begins with "-" must be joined ("--name=-x"), so that
 * a forgotten value never swallows the next option. Of a single value that is given again the last
 * one counts. Errors: kind INPUT, with "did you mean". */
int option_parse(const struct option_table *table, char **argv, struct option_result *ret_result,
	struct error *err) must_check;
void option_finish(const struct option_table *table, struct option_result *result);
/* The options as aligned lines for --help, --help itself included. */
void option_help(const struct option_table *table, struct text *out);
