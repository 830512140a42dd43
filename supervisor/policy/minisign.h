/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Signatures of profiles in the format of minisign(1): Ed25519 over BLAKE2b-512 of the file, and a
 * second signature over the first one and the trusted comment. Pure: what is read and written is
 * text. Only what minisign calls prehashed ("ED") is taken. */

#define MINISIGN_KEY_ID_BYTES 8
#define MINISIGN_PUBLIC_BYTES 32
#define MINISIGN_SECRET_BYTES 64
#define MINISIGN_SIGNATURE_BYTES 64
#define MINISIGN_FILE_BYTES_MAX (16U << 10) /* of any of its files */
#define MINISIGN_COMMENT_BYTES 1024         /* of a trusted comment, with the NUL */
#define MINISIGN_SUFFIX ".minisig"
#define MINISIGN_ID_HEX (2 * MINISIGN_KEY_ID_BYTES + 1)

struct minisign_key {
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t public_key[MINISIGN_PUBLIC_BYTES];
};

/* The caller keeps it in locked memory and wipes it. */
struct minisign_secret {
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t secret_key[MINISIGN_SECRET_BYTES];
};

struct minisign_signature {
	uint8_t id[MINISIGN_KEY_ID_BYTES];
	uint8_t of_file[MINISIGN_SIGNATURE_BYTES];
	uint8_t of_comment[MINISIGN_SIGNATURE_BYTES];
	char comment[MINISIGN_COMMENT_BYTES]; /* the trusted one */
};

/* A public key: the two lines of its file, or the 56 characters alone. -EBADMSG. */
int minisign_read_public(const char *text, size_t length, struct minisign_key *ret_key,
	struct error *err) must_check;
/* A secret key without a password: the two lines of its file. -EBADMSG; -EKEYREJECTED: it is
 * encrypted with a password. */
int minisign_read_secret(const char *text, size_t length, struct minisign_secret *ret_secret,
	struct error *err) must_check;
/* The four lines of a signature. -EBADMSG, also for the legacy form that is not prehashed. */
int minisign_read_signature(const char *text, size_t length, struct minisign_signature *ret,
	struct error *err) must_check;
/* Both signatures are the key's, over these bytes. -EBADMSG; -ENOKEY: it is another key's. */
int minisign_check(const struct minisign_signature *signature, const struct minisign_key *key,
	const void *data, size_t length, struct error *err) must_check;

/* The number of a key as minisign shows it. */
void minisign_key_id(const uint8_t id[MINISIGN_KEY_ID_BYTES], char ret_hex[MINISIGN_ID_HEX]);
/* The 56 characters of a public key. */
void minisign_put_public(struct text *out, const struct minisign_key *key);

/* What the trusted comment of a profile's signature says. */
struct minisign_claim {
	char profile[64]; /* its name, or "" */
	uint64_t version; /* of the language, 0: not said */
	uint64_t counter; /* grows with each signature of the profile; 0: not said */
	char time[32];    /* "2026-11-22T20:00:00Z", or "" */
	const char *rest; /* what else is there; borrowed from the comment */
};

/* "profile=NAME version=1 time=… counter=7 words". A comment that does not begin so, as minisign
 * makes by itself, has only words. -EBADMSG: one of these is there and is nothing. */
int minisign_read_claim(
	const char *comment, struct minisign_claim *ret_claim, struct error *err) must_check;

/* What a good signature of a profile says. */
struct minisign_verdict {
	struct minisign_signature signature;
	struct minisign_claim claim; /* borrows from signature: do not copy this struct */
	size_t key;                  /* which of the keys it is */
};

/* A file with its signature. */
struct minisign_case {
	const char *data;
	size_t length;
	const char *name; /* what the profile in it calls itself, which the trusted comment must say
			     too where it says a name; NULL: not compared */
	const char *signature;
	size_t signature_length;
	const struct minisign_key *keys; /* any of them will do */
	size_t key_count;
};

/* -EBADMSG: the signature is not good; -ENOKEY: it is by a key that is not here. */
int minisign_judge(const struct minisign_case *question, struct minisign_verdict *ret_verdict,
	struct error *err) must_check;
