/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/arena.h"

#include <stdalign.h>
#include <string.h>

#define BLOCK_BYTES 16384
#define GROW_FIRST 4

struct arena_block {
	struct arena_block *next;
	size_t used, size; /* bytes of data */
	alignas(max_align_t) char data[];
};

void arena_finish(struct arena *arena)
{
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->blocks;
	size_t bytes;

	if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &bytes))
		return NULL;
	bytes &= ~(alignof(max_align_t) - 1);
	if (!block || block->size - block->used < bytes) {
		size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;

		block = calloc(1, sizeof(*block) + room);
		if (!block)
			return NULL;
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	block->used += bytes;
	return block->data + block->used - bytes;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	if (copy && length)
		memcpy(copy, bytes, length);
	return copy;
}

char *arena_string(struct arena *arena, const char *string)
{
	return arena_copy(arena, string, strlen(string));
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t item_size)
{
	bool full = count == 0 || (count >= GROW_FIRST && (count & (count - 1)) == 0);
	char *larger;

	if (!full) {
		memset((char *)items + count * item_size, 0, item_size);
		return items;
	}
	larger = arena_alloc(arena, (count ? count * 2 : GROW_FIRST) * item_size);
	if (larger && count)
		memcpy(larger, items, count * item_size);
	return larger;
}

size_t arena_capacity(size_t count)
{
	size_t capacity = GROW_FIRST;

	while (count && capacity < count)
		capacity *= 2;
	return count ? capacity : 0;
}
