/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"
#include "wire/record.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* What the chain needs of a record, without unpacking it. */
struct record_view {
	uint64_t sequence;
	uint64_t boot_ns;
	int64_t timestamp;         /* wall clock, ns */
	uint64_t run_sequence;     /* 0 where there is none */
	uint32_t body;             /* field number in the oneof (BERM__WIRE__RECORD__BODY_…) */
	const uint8_t *body_bytes; /* borrowed: the packed body */
	size_t body_length;
};

/* True where the bytes are the one packed form of a Record: fields in order of their numbers, each
 * at most once unless repeated, no unknown ones, shortest varints, no NUL in a string, exactly one
 * body, and sequence, timestamp and boot_ns present. Allocates nothing, looks at each byte once.
 * For such bytes packing what unpacking gives yields the same bytes (tests/fuzz/fuzz-record.c). */
bool record_view_read(const uint8_t *bytes, size_t length, struct record_view *ret_view) must_check;
/* The same for what somebody else tells of a record: evidence, chain and body, and none of the
 * fields before them, which are the recorder's (record/envelope.h). Since fields stand in order,
 * such bytes behind an envelope are a canonical Record. */
struct record_part {
	const uint8_t *bytes; /* borrowed */
	size_t length;
	uint32_t body; /* field number in the oneof */
};
bool record_part_read(const uint8_t *bytes, size_t length, struct record_part *ret_part) must_check;
/* The same rules for any message of record.proto; those of Record about presence do not apply. */
bool canonical_is(
	const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t length) must_check;
