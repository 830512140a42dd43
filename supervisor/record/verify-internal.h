/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/reader.h"
#include "record/verify.h"

/* After a head or seal that was right: up to here nobody but the holder of a wiped key can have
 * written it. */
struct signed_end {
	uint64_t offset;
	uint64_t sequence;
	uint8_t hash[CHAIN_HASH_BYTES];
	bool is_head;
	bool closing; /* a closing seal: whoever goes on says so first */
	bool rotated; /* a seal after which the segment ends */
};

struct verifier {
	const struct verify_options *options;
	struct verify_result result;
	uint8_t *window; /* SEGMENT_WINDOW_BYTES, borrowed */

	/* What must come next. */
	uint8_t head_key[PUBLIC_KEY_BYTES];
	uint8_t seal_key[PUBLIC_KEY_BYTES];
	uint64_t seal_epoch;
	uint64_t sequence; /* of the last record */
	uint64_t told;     /* of the last one that `each` was told of */
	uint8_t hash[CHAIN_HASH_BYTES];
	uint64_t boot_ns;
	uint64_t since_seal;
	uint64_t seal_records; /* as the segment's head declares */

	uint64_t segment;
	struct signed_end end;    /* in this segment, or the one before while a head is looked at */
	uint64_t segment_size;    /* of the one before, as far as it counts */
	bool failed;              /* `result` says how */
	uint64_t stub;            /* highest segment of which only the head is left */
	uint64_t removed_told;    /* highest that a retention record names, sealed or not */
	uint64_t removed_through; /* the same under a seal */
	bool anchor_in_stub;      /* what was anchored is among what was removed */
};

/* One frame, in a buffer that holds the hash before it, at that offset. VERIFY_GOOD, or what is
 * wrong. *ret_told is what `each` said. */
enum verify_reason verifier_head(
	struct verifier *v, const struct frame *frame, const uint8_t *previous_hash) must_check;
enum verify_reason verifier_frame(
	struct verifier *v, const struct frame *frame, uint64_t offset, int *ret_told) must_check;
/* True where the frame is the head of the next segment, signed as it must be, and says that the
 * present one was abandoned: only what is before *ret_end counts of it. */
bool verifier_abandons(const struct verifier *v, const struct frame *frame, uint64_t *ret_end);
