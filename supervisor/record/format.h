/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of a log, as docs/record-format.md defines them. */

#define LOG_ID_BYTES 16
#define CHAIN_HASH_BYTES 32
#define PUBLIC_KEY_BYTES 32
#define SIGNATURE_BYTES 64

#define SEGMENT_HEADER_BYTES                                                                       \
	64                   /* magic 8, log id 16, number 8, hash before the first record 32      \
			      */
#define FRAME_HEADER_BYTES 8 /* length 4, kind 1, zero 3 */
/* One packed record. The longest argv that is kept whole is 128 KiB. */
#define RECORD_BYTES_MAX (160U << 10)
#define FRAME_BYTES_MAX (FRAME_HEADER_BYTES + RECORD_BYTES_MAX + SIGNATURE_BYTES + CHAIN_HASH_BYTES)
/* A writer looks whether a seal is due once a batch: what it adds on its own may come on top of the
 * most that it leaves without one. */
#define UNSEALED_SLACK 4096
#define SEGMENT_NUMBER_MAX 9999999999ULL
#define SEGMENT_NAME_BYTES 32

enum frame_kind {
	FRAME_RECORD = 1,
	FRAME_SIGNED = 2, /* a signature follows the record: heads and seals */
};

/* One frame in somebody's buffer. All borrowed. */
struct frame {
	enum frame_kind kind;
	const uint8_t *start; /* the 32 bytes before it are the hash of what precedes */
	const uint8_t *record;
	size_t record_length;
	const uint8_t *signature; /* NULL for FRAME_RECORD */
	const uint8_t *hash;      /* as stored, CHAIN_HASH_BYTES */
	size_t length;            /* of the whole frame */
};

enum frame_status {
	FRAME_WHOLE,
	FRAME_SHORT, /* the bytes end before it does */
	FRAME_BAD,   /* no frame begins like this */
};

/* Find the frame at the start of the bytes; *ret_frame is written for FRAME_WHOLE only. Neither the
 * record nor the hash is looked at. */
enum frame_status frame_read(
	const uint8_t *bytes, size_t available, struct frame *ret_frame) must_check;
/* Write a frame's header. record_length: 1 to RECORD_BYTES_MAX, without a signature. */
void frame_write_header(uint8_t *at, enum frame_kind kind, size_t record_length);

/* The header of a segment. */
struct segment_header {
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t segment;
	uint8_t previous_hash[CHAIN_HASH_BYTES];
};

void segment_header_write(
	uint8_t ret_bytes[SEGMENT_HEADER_BYTES], const struct segment_header *header);
bool segment_header_read(
	const uint8_t bytes[SEGMENT_HEADER_BYTES], struct segment_header *ret_header) must_check;
/* "0000000001.seg" */
void segment_name(uint64_t segment, char ret_name[SEGMENT_NAME_BYTES]);
/* The number in such a name; 0 where it is no segment's name. */
uint64_t segment_number(const char *name) must_check;

/* The hash of a record: BLAKE2b-256 over the hash before it, the frame's header, its record and its
 * signature; keyed to this use by the personal string, to this log by the salt. bytes begin with
 * the hash before it and end before its own. */
void chain_hash(const uint8_t log_id[LOG_ID_BYTES], const uint8_t *bytes, size_t length,
	uint8_t ret_hash[CHAIN_HASH_BYTES]);
/* The same for a frame within a buffer that also holds the hash before it; true where the stored
 * hash is that of its content. */
bool frame_hash_matches(const uint8_t log_id[LOG_ID_BYTES], const struct frame *frame) must_check;

/* What a signed frame says is signed: what is hashed but for the signature, under a word of its own
 * for heads and seals. */
enum signed_kind { SIGNED_HEAD, SIGNED_SEAL, SIGNED_KIND_COUNT };
#define SIGNED_DIGEST_BYTES 64
/* bytes: the hash before the frame, its header and its record. */
void signed_digest(enum signed_kind kind, const uint8_t log_id[LOG_ID_BYTES], const uint8_t *bytes,
	size_t length, uint8_t ret_digest[SIGNED_DIGEST_BYTES]);
/* True where the frame, in a buffer that holds the hash before it, was signed with that key. */
bool frame_is_signed_by(const struct frame *frame, enum signed_kind kind,
	const uint8_t log_id[LOG_ID_BYTES], const uint8_t public_key[PUBLIC_KEY_BYTES]) must_check;
