/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/format.h"
#include "record/storage.h"

#define SEGMENT_WINDOW_BYTES (1U << 20)

/* A segment, frame by frame, through a window of fixed size. Fill in the first three and size and
 * start; release nothing. */
struct segment_reader {
	const struct storage *storage;
	int file;        /* borrowed */
	uint8_t *window; /* SEGMENT_WINDOW_BYTES, borrowed */
	uint64_t size;   /* bytes to read of the file: what a writer adds later is not looked at */
	uint64_t start;  /* offset in the file of the window's first byte */
	size_t filled;
	size_t at; /* the next frame, in the window; the hash before it is in the window too */
};

/* Keep what is not read yet, and the hash before it, and read on. A file that has become shorter
 * makes size smaller. Returns 0 or the storage's error. */
int segment_reader_fill(struct segment_reader *r) must_check;
/* Find the next frame without going past it (add its length to r->at). FRAME_SHORT: the file ends
 * within it, or before it. Returns 0 or the storage's error. */
int segment_reader_frame(struct segment_reader *r, struct frame *ret_frame,
	enum frame_status *ret_status) must_check;
/* Where in the file the next frame begins. */
uint64_t segment_reader_offset(const struct segment_reader *r);
