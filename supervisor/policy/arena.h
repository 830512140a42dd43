/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>

/* Memory that is given back all at once. Zero-initialise; release with arena_finish(). */
struct arena {
	struct arena_block *blocks; /* newest first; owned */
};

void arena_finish(struct arena *arena);
#define autoarena __attribute__((cleanup(arena_finish)))

/* size zeroed bytes, aligned for any type; NULL when memory ran out. */
void *arena_alloc(struct arena *arena, size_t size) must_check;
/* A copy of length bytes with a NUL after them; NULL when memory ran out. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length) must_check;
/* A copy of a string; NULL when memory ran out. */
char *arena_string(struct arena *arena, const char *string) must_check;
/* Room for one more item behind items[count]: returns items, or a larger copy of it, the new item
 * zeroed; NULL when memory ran out. Every growth of an array must go through this, since it takes
 * the capacity from the count; one that was made otherwise needs arena_capacity() of room. */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t item_size) must_check;
/* Items for which an array of `count` has to have room, so that arena_grow() can take it further.
 */
size_t arena_capacity(size_t count);
