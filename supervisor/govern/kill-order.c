/* SPDX-License-Identifier: Apache-2.0 */
#include "govern/kill-order.h"

#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define VERSION 2
#define HEAD "berm kill order 2\n"

static const uint8_t magic[8] = {'b', 'e', 'r', 'm', 'k', 'i', 'l', 'l'};
_Static_assert(sizeof(struct kill_order) == 432, "bytes alone, without gaps");

/* A string, and NUL up to the end. */
static bool is_padded(const char *field, size_t size)
{
	size_t length = strnlen(field, size);

	if (length == size)
		return false;
	for (size_t i = length; i < size; i++)
		if (field[i])
			return false;
	return true;
}

static bool names_something(const struct kill_order *order)
{
	switch ((enum kill_scope)order->scope) {
	case KILL_EVERYTHING:
		return order->of[0] == '\0';
	case KILL_AGENT:
	case KILL_GROUP:
		return agent_name_is_good(order->of);
	case KILL_RUN:
		/* The whole id: the beginning of one that nobody has any more is that of
		 * another run. */
		return agent_id_is_good(order->of);
	case KILL_SCOPE_COUNT:
		break;
	}
	return false;
}

bool kill_order_is_good(const struct kill_order *order)
{
	if (memcmp(order->magic, magic, sizeof(magic)) != 0 || order->version != VERSION ||
		order->scope >= KILL_SCOPE_COUNT || order->is_signed > 1 ||
		!sodium_is_zero(order->zero, sizeof(order->zero)) ||
		!is_padded(order->of, sizeof(order->of)) ||
		!is_padded(order->reason, sizeof(order->reason)))
		return false;
	if (order->is_signed && sodium_is_zero(order->state, sizeof(order->state)))
		return false;
	if (!order->is_signed && !sodium_is_zero(order->signed_ms,
					 sizeof(*order) - offsetof(struct kill_order, signed_ms)))
		return false;
	return names_something(order) && text_is_one_line(order->reason, strlen(order->reason));
}

bool kill_order_make(
	enum kill_scope scope, const char *of, const char *reason, struct kill_order *ret_order)
{
	struct kill_order order = {.version = VERSION, .scope = (uint8_t)scope};

	memcpy(order.magic, magic, sizeof(magic));
	if ((of && strlen(of) >= sizeof(order.of)) ||
		(reason && strlen(reason) >= sizeof(order.reason)))
		return false;
	if (of)
		memcpy(order.of, of, strlen(of));
	if (reason)
		memcpy(order.reason, reason, strlen(reason));
	*ret_order = order;
	return kill_order_is_good(&order);
}

void kill_order_sign(struct kill_order *order, uint64_t wall_ms,
	const uint8_t nonce[PACE_NONCE_BYTES], const uint8_t seed[32])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	order->is_signed = 1;
	for (unsigned i = 0; i < sizeof(order->signed_ms); i++)
		order->signed_ms[i] = (uint8_t)(wall_ms >> (8 * i));
	memcpy(order->nonce, nonce, sizeof(order->nonce));
	crypto_sign_seed_keypair(order->key, secret, seed);
	crypto_sign_detached(
		order->signature, NULL, (const uint8_t *)order, KILL_ORDER_SIGNED_BYTES, secret);
	sodium_memzero(secret, sizeof(secret));
}

uint64_t kill_order_signed_ms(const struct kill_order *order)
{
	uint64_t ms = 0;

	for (unsigned i = 0; i < sizeof(order->signed_ms); i++)
		ms |= (uint64_t)order->signed_ms[i] << (8 * i);
	return ms;
}

enum authority_refusal kill_order_verify(const struct authority *authority,
	const struct kill_order *order, uint64_t wall_ms, const struct authority_key **ret_key)
{
	const struct authority_key *key = NULL;
	uint64_t signed_ms = kill_order_signed_ms(order);

	*ret_key = NULL;
	if (!kill_order_is_good(order) || !order->is_signed)
		return AUTHORITY_MALFORMED;
	for (size_t i = 0; i < authority->key_count && !key; i++)
		if (memcmp(authority->keys[i].key, order->key, sizeof(order->key)) == 0)
			key = &authority->keys[i];
	if (!key)
		return AUTHORITY_UNKNOWN_KEY;
	if (!(key->roles & 1U << PACE_BY_KILL_KEY))
		return AUTHORITY_NO_ROLE;
	if (crypto_sign_verify_detached(order->signature, (const uint8_t *)order,
		    KILL_ORDER_SIGNED_BYTES, order->key) != 0)
		return AUTHORITY_FORGED;
	if (signed_ms > wall_ms && signed_ms - wall_ms > PACE_SKEW_MS)
		return AUTHORITY_TOO_NEW;
	if (signed_ms < wall_ms && wall_ms - signed_ms > PACE_STATEMENT_MS + PACE_SKEW_MS)
		return AUTHORITY_TOO_OLD;
	*ret_key = key;
	return AUTHORITY_FINE;
}

void kill_order_write(const struct kill_order *order, char ret_text[KILL_ORDER_TEXT_MAX])
{
	char hex[2 * sizeof(*order) + 1];

	sodium_bin2hex(hex, sizeof(hex), (const uint8_t *)order, sizeof(*order));
	snprintf(ret_text, KILL_ORDER_TEXT_MAX, HEAD "%s\n", hex);
}

int kill_order_read(
	const char *text, size_t length, struct kill_order *ret_order, struct error *err)
{
	char again[KILL_ORDER_TEXT_MAX];
	struct kill_order order = {0};
	size_t head = strlen(HEAD), got = 0;

	if (length == head + 2 * sizeof(order) + 1 && memcmp(text, HEAD, head) == 0 &&
		sodium_hex2bin((uint8_t *)&order, sizeof(order), text + head, 2 * sizeof(order),
			NULL, &got, NULL) == 0 &&
		got == sizeof(order) && kill_order_is_good(&order) && order.is_signed) {
		kill_order_write(&order, again);
		if (memcmp(again, text, length) == 0) {
			*ret_order = order;
			return 0;
		}
	}
	return error_set(
		err, -EINVAL, ERROR_INPUT, "this is no order that \"berm killswitch sign\" wrote");
}
