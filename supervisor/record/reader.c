/* SPDX-License-Identifier: Apache-2.0 */
#include "record/reader.h"

#include <assert.h>
#include <string.h>

static_assert(SEGMENT_WINDOW_BYTES > FRAME_BYTES_MAX + CHAIN_HASH_BYTES,
	"room for a frame and the hash before it");

int segment_reader_fill(struct segment_reader *r)
{
	size_t keep_from = r->at >= CHAIN_HASH_BYTES ? r->at - CHAIN_HASH_BYTES : 0;
	uint64_t left;
	ssize_t n;

	memmove(r->window, r->window + keep_from, r->filled - keep_from);
	r->start += keep_from;
	r->filled -= keep_from;
	r->at -= keep_from;
	left = r->size - r->start - r->filled;
	if (left > SEGMENT_WINDOW_BYTES - r->filled)
		left = SEGMENT_WINDOW_BYTES - r->filled;
	n = r->storage->ops->read(
		r->storage->context, r->file, r->window + r->filled, left, r->start + r->filled);
	if (n < 0)
		return (int)n;
	r->filled += (size_t)n;
	if ((uint64_t)n < left)
		r->size = r->start + r->filled;
	return 0;
}

int segment_reader_frame(
	struct segment_reader *r, struct frame *ret_frame, enum frame_status *ret_status)
{
	int result;

	*ret_status = frame_read(r->window + r->at, r->filled - r->at, ret_frame);
	if (*ret_status != FRAME_SHORT || r->start + r->filled >= r->size)
		return 0;
	result = segment_reader_fill(r);
	if (result == 0)
		*ret_status = frame_read(r->window + r->at, r->filled - r->at, ret_frame);
	return result;
}

uint64_t segment_reader_offset(const struct segment_reader *r)
{
	return r->start + r->at;
}
