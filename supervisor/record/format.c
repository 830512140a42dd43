/* SPDX-License-Identifier: Apache-2.0 */
#include "record/format.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <string.h>

static const uint8_t magic[8] = {'B', 'E', 'R', 'M', 'L', 'O', 'G', '1'};

/* Each use of the hash has its own personal string (RFC 7693 calls this the parameter block). */
#define PERSONAL_BYTES crypto_generichash_blake2b_PERSONALBYTES
static const uint8_t personal_record[PERSONAL_BYTES] = "berm record 1";
static const uint8_t personal_signed[SIGNED_KIND_COUNT][PERSONAL_BYTES] = {
	[SIGNED_HEAD] = "berm head 1",
	[SIGNED_SEAL] = "berm seal 1",
};

static_assert(LOG_ID_BYTES == crypto_generichash_blake2b_SALTBYTES, "the log id is the salt");
static_assert(SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");
static_assert(PUBLIC_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");

enum frame_status frame_read(const uint8_t *bytes, size_t available, struct frame *ret_frame)
{
	struct frame frame = {.start = bytes};
	uint32_t length;
	size_t tail;

	if (available < FRAME_HEADER_BYTES)
		return FRAME_SHORT;
	memcpy(&length, bytes, sizeof(length));
	length = le32toh(length);
	if (bytes[4] != FRAME_RECORD && bytes[4] != FRAME_SIGNED)
		return FRAME_BAD;
	frame.kind = bytes[4];
	if (bytes[5] || bytes[6] || bytes[7] || length == 0 || length > RECORD_BYTES_MAX)
		return FRAME_BAD;
	tail = CHAIN_HASH_BYTES + (frame.kind == FRAME_SIGNED ? SIGNATURE_BYTES : 0);
	if (available - FRAME_HEADER_BYTES < length + tail)
		return FRAME_SHORT;
	frame.record = bytes + FRAME_HEADER_BYTES;
	frame.record_length = length;
	frame.signature = frame.kind == FRAME_SIGNED ? frame.record + length : NULL;
	frame.length = FRAME_HEADER_BYTES + length + tail;
	frame.hash = bytes + frame.length - CHAIN_HASH_BYTES;
	*ret_frame = frame;
	return FRAME_WHOLE;
}

void frame_write_header(uint8_t *at, enum frame_kind kind, size_t record_length)
{
	uint32_t length = htole32((uint32_t)record_length);

	assert(record_length > 0 && record_length <= RECORD_BYTES_MAX);
	memcpy(at, &length, sizeof(length));
	at[4] = (uint8_t)kind;
	at[5] = at[6] = at[7] = 0;
}

void segment_header_write(
	uint8_t ret_bytes[SEGMENT_HEADER_BYTES], const struct segment_header *header)
{
	uint64_t segment = htole64(header->segment);

	memcpy(ret_bytes, magic, sizeof(magic));
	memcpy(ret_bytes + 8, header->log_id, LOG_ID_BYTES);
	memcpy(ret_bytes + 24, &segment, sizeof(segment));
	memcpy(ret_bytes + 32, header->previous_hash, CHAIN_HASH_BYTES);
}

bool segment_header_read(
	const uint8_t bytes[SEGMENT_HEADER_BYTES], struct segment_header *ret_header)
{
	if (memcmp(bytes, magic, sizeof(magic)) != 0)
		return false;
	memcpy(ret_header->log_id, bytes + 8, LOG_ID_BYTES);
	memcpy(&ret_header->segment, bytes + 24, sizeof(ret_header->segment));
	ret_header->segment = le64toh(ret_header->segment);
	memcpy(ret_header->previous_hash, bytes + 32, CHAIN_HASH_BYTES);
	return true;
}

void segment_name(uint64_t segment, char ret_name[SEGMENT_NAME_BYTES])
{
	assert(segment > 0 && segment <= SEGMENT_NUMBER_MAX);
	snprintf(ret_name, SEGMENT_NAME_BYTES, "%010llu.seg", (unsigned long long)segment);
}

uint64_t segment_number(const char *name)
{
	uint64_t number = 0;

	if (strlen(name) != 14 || strcmp(name + 10, ".seg") != 0)
		return 0;
	for (int i = 0; i < 10; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(name[i] - '0');
	}
	return number;
}

void chain_hash(const uint8_t log_id[LOG_ID_BYTES], const uint8_t *bytes, size_t length,
	uint8_t ret_hash[CHAIN_HASH_BYTES])
{
	/* Fails for lengths that are out of its range only, and these are constants. */
	int r = crypto_generichash_blake2b_salt_personal(
		ret_hash, CHAIN_HASH_BYTES, bytes, length, NULL, 0, log_id, personal_record);

	assert(r == 0);
}

bool frame_hash_matches(const uint8_t log_id[LOG_ID_BYTES], const struct frame *frame)
{
	uint8_t hash[CHAIN_HASH_BYTES];

	chain_hash(log_id, frame->start - CHAIN_HASH_BYTES, frame->length, hash);
	return memcmp(hash, frame->hash, sizeof(hash)) == 0;
}

void signed_digest(enum signed_kind kind, const uint8_t log_id[LOG_ID_BYTES], const uint8_t *bytes,
	size_t length, uint8_t ret_digest[SIGNED_DIGEST_BYTES])
{
	int r = crypto_generichash_blake2b_salt_personal(ret_digest, SIGNED_DIGEST_BYTES, bytes,
		length, NULL, 0, log_id, personal_signed[kind]);

	assert(r == 0);
}

bool frame_is_signed_by(const struct frame *frame, enum signed_kind kind,
	const uint8_t log_id[LOG_ID_BYTES], const uint8_t public_key[PUBLIC_KEY_BYTES])
{
	uint8_t digest[SIGNED_DIGEST_BYTES];

	if (frame->kind != FRAME_SIGNED)
		return false;
	signed_digest(kind, log_id, frame->start - CHAIN_HASH_BYTES,
		CHAIN_HASH_BYTES + FRAME_HEADER_BYTES + frame->record_length, digest);
	return crypto_sign_verify_detached(frame->signature, digest, sizeof(digest), public_key) ==
	       0;
}
