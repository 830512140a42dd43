/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "policy/arena.h"
#include "policy/diagnostics.h"

/* Each function goes both ways, so that what is written and what is read cannot come to be of
 * different forms. Numbers are of fixed width, least byte first. */

struct image {
	struct text *out; /* NULL: it is read */
	const uint8_t *at, *end;
	struct arena *arena;
	const struct source_file *sources; /* newest first */
	bool failed, no_memory;
};

void image_bytes(struct image *m, void *bytes, size_t length);
void image_u64(struct image *m, uint64_t *value);
/* A number below `bound`, in four bytes. */
uint32_t image_below(struct image *m, uint32_t number, uint64_t bound) must_check;
void image_bool(struct image *m, bool *value);
/* NULL has the length 0, others one more than theirs. */
void image_string(struct image *m, const char **string);
/* One that is never NULL. */
void image_needed(struct image *m, const char **string);
void image_source(struct image *m, struct source *at);
void image_limit(struct image *m, struct limit *limit);
/* How many follow, of `least_bytes` at least each. */
size_t image_count(struct image *m, size_t count, size_t least_bytes) must_check;
/* A list of anything. Returns where its elements are. */
void *image_list(struct image *m, void *items, size_t *count, size_t size, size_t least_bytes,
	void (*code)(struct image *m, void *item)) must_check;
/* All of a profile but its files. */
void image_profile(struct image *m, struct profile *profile);

#define IMAGE_WORD(m, field, count)                                                                \
	((field) = (__typeof__(field))image_below((m), (uint32_t)(field), (count)))

#define IMAGE_LIST(m, list, count, least_bytes, code)                                              \
	((list) = image_list((m), (void *)(uintptr_t)(list), &(count), sizeof(*(list)),            \
		 (least_bytes), (code)))
