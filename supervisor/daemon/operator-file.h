/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/document.h"

#include <stdbool.h>
#include <sys/types.h>

/* The small files that an operator writes beside the state (recorder.yaml, groups.yaml): one
 * mapping that begins with `version: 1`, read strictly, each key by the row of a table. */

#define OPERATOR_COMMAND_MAX 32 /* words */

/* A key of a mapping, and who reads what stands there. */
struct operator_part {
	const char *name;
	void (*read)(void *context, const struct node *node);
};

struct operator_file {
	const char *path;
	uid_t owner;                       /* trust_read() says whose else it may be */
	const struct operator_part *parts; /* beside the version */
	size_t count;
	bool optional; /* one that is not there says nothing */
};

/* Read the file: its version, and every other key by its part. What is wrong is reported to d, and
 * the first of it is in err. Errors: -EINVAL (kind INPUT), -ENOMEM, those of trust_read(). */
int operator_file_read(const struct operator_file *file, struct diagnostics *d, void *context,
	struct error *err) must_check;

/* Each entry of a mapping to its part; a key that is none of them is told, with the one that may be
 * meant. At most 8 parts. */
void operator_mapping(struct diagnostics *d, const struct node *mapping,
	const struct operator_part *parts, size_t count, void *context);
/* False, and told, where it is no list of words with a program first. words: borrowed from the
 * node, ends with NULL. */
bool operator_command(struct diagnostics *d, const struct node *list,
	const char *words[OPERATOR_COMMAND_MAX + 1]);
/* A copy of such words, NULL where there is no memory. Each word and the array are the caller's:
 * operator_command_free(). */
char **operator_command_copy(const char *const *words);
void operator_command_free(char **command);
