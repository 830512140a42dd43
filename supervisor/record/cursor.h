/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/canonical.h"
#include "record/reader.h"

/* A log, record by record and without a key, for who wants to read it: also one that is being
 * written, and as far as that goes a damaged one. Only verify_log() says whether it is the true
 * one. Memory of a fixed size. */

struct cursor_place {
	uint64_t segment;
	uint64_t offset; /* of a frame; 0: the start of the segment */
};

enum cursor_step {
	CURSOR_RECORD,
	CURSOR_BREAK, /* something here is no record, or a segment is missing; it is passed over */
	CURSOR_END,   /* no more at present: a later call looks again */
};

/* Borrowed until the next call. */
struct cursor_record {
	struct frame frame; /* the hash before it stands before it */
	struct record_view view;
	struct cursor_place at;
	bool linked; /* its hash is that of its content and of what is before it */
};

struct cursor {
	const struct storage *storage;
	int dir;          /* borrowed */
	uint64_t segment; /* 0: before the first */
	uint64_t bound;   /* bytes of it that count, as the next one says; else UINT64_MAX */
	uint64_t broken;  /* where a break was told already */
	uint64_t stop;    /* the last segment to be read; 0: all */
	uint8_t log_id[LOG_ID_BYTES];
	uint8_t hash[CHAIN_HASH_BYTES]; /* of the last record given */
	bool has_hash;
	bool head_only; /* of this segment no more than the head was given */
	struct segment_reader reader;
};

/* Start before the first segment. Release with cursor_close(). */
int cursor_open(
	const struct storage *s, int dir, struct cursor *ret_cursor, struct error *err) must_check;
/* Go on from there; what is before it is not looked at. */
void cursor_seek(struct cursor *c, const struct cursor_place *place);
/* The next record, or why there is none. ret_record is written for CURSOR_RECORD only. Errors: the
 * storage's. */
int cursor_next(struct cursor *c, struct cursor_record *ret_record, enum cursor_step *ret_step,
	struct error *err) must_check;
/* Bytes behind the last whole record, at CURSOR_END. */
uint64_t cursor_torn(const struct cursor *c);
void cursor_close(struct cursor *c);
#define autocursor __attribute__((cleanup(cursor_close)))

/* The first segment with a number over `after`, and the highest of all; 0 where there is none. */
int cursor_segments(const struct storage *s, int dir, uint64_t after, uint64_t *ret_first,
	uint64_t *ret_last, struct error *err) must_check;
