/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "govern/authority.h"

/* What the kill switch is told: one packet of a fixed length, also as the text that somebody signed
 * on another host. Nothing here opens a file or looks at a clock. */

#define KILL_ORDER_OF_BYTES 72
#define KILL_ORDER_REASON_BYTES 208
#define KILL_ORDER_STATE_BYTES 16

enum kill_scope { KILL_EVERYTHING = 0, KILL_AGENT, KILL_GROUP, KILL_RUN, KILL_SCOPE_COUNT };

/* Bytes alone, so that it has one layout everywhere. */
struct kill_order {
	uint8_t magic[8];
	uint8_t version, scope, is_signed, zero[5];
	uint8_t state[KILL_ORDER_STATE_BYTES]; /* which state directory of which host it is for
						  (daemon/kill-state.h); zero: none was named */
	char of[KILL_ORDER_OF_BYTES]; /* name of the agent or group, or id of the run; NUL to the
					 end */
	char reason[KILL_ORDER_REASON_BYTES]; /* likewise; UTF-8 in one line */
	/* Zero in one that is not signed: */
	uint8_t signed_ms[8]; /* wall clock since 1970, little-endian */
	uint8_t nonce[PACE_NONCE_BYTES];
	uint8_t key[AUTHORITY_KEY_BYTES];
	uint8_t signature[AUTHORITY_SIGNATURE_BYTES]; /* Ed25519 of all before it */
};

/* An order without a signature. False where that is none. of, reason: NULL is "". */
bool kill_order_make(
	enum kill_scope scope, const char *of, const char *reason, struct kill_order *ret_order);
/* True for what kill_order_make() makes, signed or not; a signed one names its state directory. */
bool kill_order_is_good(const struct kill_order *order);

/* The bytes that are signed. */
#define KILL_ORDER_SIGNED_BYTES offsetof(struct kill_order, signature)
void kill_order_sign(struct kill_order *order, uint64_t wall_ms,
	const uint8_t nonce[PACE_NONCE_BYTES], const uint8_t seed[32]);
uint64_t kill_order_signed_ms(const struct kill_order *order);
/* Whether somebody who holds the kill key signed this, within the time of a statement. That its
 * nonce is new is for who acts. */
enum authority_refusal kill_order_verify(const struct authority *authority,
	const struct kill_order *order, uint64_t wall_ms, const struct authority_key **ret_key);

/* As text for a file, and back. Strict: one form. */
#define KILL_ORDER_TEXT_MAX 1024
void kill_order_write(const struct kill_order *order, char ret_text[KILL_ORDER_TEXT_MAX]);
int kill_order_read(const char *text, size_t length, struct kill_order *ret_order,
	struct error *err) must_check;
