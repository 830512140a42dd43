/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Moments at which a test ends this program as kill -9 does, or makes a step fail. They are there
 * with -Dfailpoints=true alone; otherwise nothing of them is compiled.
 *
 * BERM_FAILPOINT in the environment says which, words separated by commas: NAME, NAME:N for the
 * N-th time that the moment comes (1 where it is not said), or NAME:N:ERRNO for a step that is to
 * fail with that number, once. A name that does not exist ends the program at its first failpoint:
 * a test that waits for nothing must not pass.
 * The word "alone" keeps it from other processes of berm that this one starts.
 *
 * Instead of words, "show": each one that is passed is said on stderr, with its number; "list": all
 * there are, and the program ends at the first. */

#ifdef BERM_FAILPOINTS

struct failpoint {
	const char *name;
};

/* 0, or the negative errno that was asked for; does not return where the end was. */
int failpoint_pass(const struct failpoint *point);
/* All of them in this program, in no order; i less than the count. */
size_t failpoint_count(void);
const char *failpoint_name(size_t i);
/* "BERM_FAILPOINT=…" for the environment of another process of berm; NULL: none. Borrowed. */
char *failpoint_environment(void);
/* A number that a test sets in place of a built-in one, by the word NAME=NUMBER in BERM_FAILPOINT.
 */
unsigned long long failpoint_number(const char *name, unsigned long long otherwise);

/* The table of them is a section of its own, which the linker puts together. */
#define failpoint_error(words)                                                                     \
	({                                                                                         \
		static const struct failpoint here_                                                \
			__attribute__((section("berm_failpoints"), used)) = {words};               \
		failpoint_pass(&here_);                                                            \
	})
#define failpoint(words) ((void)failpoint_error(words))

#else

#define failpoint_error(words) 0
#define failpoint(words) ((void)0)

static inline char *failpoint_environment(void)
{
	return NULL;
}

static inline unsigned long long failpoint_number(const char *name, unsigned long long otherwise)
{
	(void)name;
	return otherwise;
}

#endif
