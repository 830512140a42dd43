/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/pin.h"
#include "record/storage.h"

/* The keys that sign heads and seals. There are two chains; each key is derived from a secret
 * state, and after it has signed, the state is replaced by its hash and the old one is wiped, in
 * memory and in the file. Who takes the present state can sign what comes, never again what was.
 * The file (0600, two slots that are written in turn) also knows how far the log had been sealed,
 * so that a log that was put back to an older copy is noticed when the recorder starts. */

#define KEYS_FILE "recorder.key"
#define KEYS_PIN_FILE "recorder.pub"

/* A place in the log: after the frame with this sequence number. */
struct log_position {
	uint64_t segment; /* 0: before the first */
	uint64_t offset;  /* bytes of the segment up to here */
	uint64_t sequence;
	uint64_t reason; /* SEAL_… of the seal that it is after; 0: a head */
	uint8_t hash[CHAIN_HASH_BYTES];
};

struct keys;

/* Draw new keys and write their files into dir; keys must not be there. The public half goes into
 * KEYS_PIN_FILE. Errors: -EEXIST; storage's; -ENOMEM and what mlock(2) says, since keys are never
 * kept in memory that could be swapped out. */
int keys_create(
	const struct storage *s, int dir, struct keys **ret_keys, struct error *err) must_check;
/* Read them. Errors: -ENOENT; -EPERM where others than the owner may use the file, or it is another
 * user's; -EBADMSG where no slot is whole; and as above. */
int keys_load(
	const struct storage *s, int dir, struct keys **ret_keys, struct error *err) must_check;
/* Keep every other recorder from signing with them until they are destroyed, also one that has
 * another log directory, or another lock file in the same. -EWOULDBLOCK: another one has them. */
int keys_lock(struct keys *keys, struct error *err) must_check;
/* Wipe them from memory. NULL is fine. */
void keys_destroy(struct keys *keys);

const uint8_t *keys_log_id(const struct keys *keys);
/* SIGNED_SEAL: number of the next seal, from 1. SIGNED_HEAD: number of the next segment. */
uint64_t keys_number(const struct keys *keys, enum signed_kind kind);
/* As of the last advance that reached the disk. */
const struct log_position *keys_position(const struct keys *keys);
/* The key that signs next (steps 0) or the one after it (steps 1). */
void keys_public(const struct keys *keys, enum signed_kind kind, unsigned steps,
	uint8_t ret_public[PUBLIC_KEY_BYTES]);
void keys_sign(const struct keys *keys, enum signed_kind kind,
	const uint8_t digest[SIGNED_DIGEST_BYTES], uint8_t ret_signature[SIGNATURE_BYTES]);
/* What the present key of that kind signed is on the disk and ends at `position`: go on to the next
 * key and wipe this one. After an error the keys must not be used any more. */
int keys_advance(struct keys *keys, enum signed_kind kind, const struct log_position *position,
	struct error *err) must_check;
