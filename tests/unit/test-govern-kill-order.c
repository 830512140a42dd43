/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/kill-front.h"

#include <sodium.h>
#include <string.h>

#define NOW_MS 1800000000000ULL

static const uint8_t seed[32] = {7}, other_seed[32] = {8}, nonce[PACE_NONCE_BYTES] = {9};

static struct authority authority_of(unsigned roles)
{
	struct authority authority = {.key_count = 1};
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(authority.keys[0].key, secret, seed);
	snprintf(authority.keys[0].name, sizeof(authority.keys[0].name), "alice");
	authority.keys[0].roles = roles;
	return authority;
}

static struct kill_order order_at(uint64_t ms, const uint8_t *by)
{
	struct kill_order order;

	assert_true(kill_order_make(KILL_GROUP, "lab", "it leaks", &order));
	order.state[3] = 5;
	kill_order_sign(&order, ms, nonce, by);
	return order;
}

static void what_makes_an_order(void **state)
{
	static const struct {
		enum kill_scope scope;
		const char *of, *reason;
		bool good;
	} rows[] = {
		{KILL_EVERYTHING, NULL, NULL, true},
		{KILL_EVERYTHING, "x", NULL, false},
		{KILL_AGENT, "worker", "w\303\244h", true},
		{KILL_AGENT, "", NULL, false},
		{KILL_AGENT, "Worker", NULL, false},
		{KILL_GROUP, "../x", NULL, false},
		{KILL_RUN, "01M84P9HSG3CZZS00P69AV51E9", "", true},
		{KILL_RUN, "01M8", "", false},
		{KILL_RUN, "", NULL, false},
		{KILL_RUN, "01m8", NULL, false},
		{KILL_RUN, "012345678901234567890123456", NULL, false},
		{KILL_AGENT, "worker", "two\nlines", false},
		{KILL_AGENT, "worker", "\xff", false},
		{KILL_SCOPE_COUNT, "worker", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct kill_order order;

		assert_int_equal(kill_order_make(rows[i].scope, rows[i].of, rows[i].reason, &order),
			rows[i].good);
	}
}

static void only_the_kill_key_signs_and_only_for_its_time(void **state)
{
	static const struct {
		unsigned roles;
		int64_t age_ms;
		const uint8_t *by;
		enum authority_refusal refusal;
	} rows[] = {
		{1U << PACE_BY_KILL_KEY, 0, seed, AUTHORITY_FINE},
		{1U << PACE_BY_KILL_KEY, 12 * 60000, seed, AUTHORITY_FINE},
		{1U << PACE_BY_KILL_KEY, 12 * 60000 + 1, seed, AUTHORITY_TOO_OLD},
		{1U << PACE_BY_KILL_KEY, -2 * 60000, seed, AUTHORITY_FINE},
		{1U << PACE_BY_KILL_KEY, -2 * 60000 - 1, seed, AUTHORITY_TOO_NEW},
		{1U << PACE_BY_OPERATOR, 0, seed, AUTHORITY_NO_ROLE},
		{1U << PACE_BY_KILL_KEY, 0, other_seed, AUTHORITY_UNKNOWN_KEY},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		const struct authority authority = authority_of(rows[i].roles);
		const struct authority_key *key = NULL;
		struct kill_order order =
			order_at((uint64_t)((int64_t)NOW_MS - rows[i].age_ms), rows[i].by);

		assert_int_equal(
			kill_order_verify(&authority, &order, NOW_MS, &key), rows[i].refusal);
		assert_int_equal(key != NULL, rows[i].refusal == AUTHORITY_FINE);
	}
}

static void no_byte_of_a_signed_order_can_be_changed(void **state)
{
	const struct authority authority = authority_of(1U << PACE_BY_KILL_KEY);
	const struct kill_order order = order_at(NOW_MS, seed);

	(void)state;
	for (size_t at = 0; at < sizeof(order); at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			const struct authority_key *key = NULL;
			struct kill_order changed = order;

			((uint8_t *)&changed)[at] ^= (uint8_t)(1U << bit);
			assert_int_not_equal(kill_order_verify(&authority, &changed, NOW_MS, &key),
				AUTHORITY_FINE);
			assert_null(key);
		}
}

static void an_order_without_a_signature_has_none_of_its_fields(void **state)
{
	struct kill_order order;

	(void)state;
	assert_true(kill_order_make(KILL_EVERYTHING, NULL, NULL, &order));
	for (size_t at = offsetof(struct kill_order, signed_ms); at < sizeof(order); at++) {
		struct kill_order changed = order;

		((uint8_t *)&changed)[at] = 1;
		assert_false(kill_order_is_good(&changed));
	}
}

static void the_text_of_an_order_has_one_form(void **state)
{
	const struct kill_order order = order_at(NOW_MS, seed);
	char text[KILL_ORDER_TEXT_MAX];
	struct kill_order again;
	struct error err = {0};
	size_t length;

	(void)state;
	kill_order_write(&order, text);
	length = strlen(text);
	assert_int_equal(kill_order_read(text, length, &again, &err), 0);
	assert_memory_equal(&again, &order, sizeof(order));
	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(kill_order_read(text, cut, &again, &err), -EINVAL);
	for (size_t i = 18; i < length; i++) {
		char kept = text[i];

		if (kept >= 'a' && kept <= 'f')
			text[i] = (char)(kept - 32);
		else
			text[i] = ' ';
		assert_int_equal(kill_order_read(text, length, &again, &err), -EINVAL);
		text[i] = kept;
	}
}

/* Strangers fill all places; whoever has most gives one up, an operator never. */
static void places_go_from_whoever_has_most(void **state)
{
	struct kill_front_place places[KILL_FRONT_PLACES];

	(void)state;
	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		places[i].fd = -1;
	assert_int_equal(kill_front_place_for(places, KILL_FRONT_PLACES, 0, true), 0);
	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		places[i] = (struct kill_front_place){
			.fd = 3, .uid = (uid_t)(1000 + i / 8), .since_ms = 1000 - i};
	/* The eighth of a user's is the oldest. */
	assert_int_equal(kill_front_place_for(places, KILL_FRONT_PLACES, 1003, false), 3 * 8 + 7);
	places[5].uid = 1001;
	assert_int_equal(kill_front_place_for(places, KILL_FRONT_PLACES, 0, true), 15);
	for (size_t i = 0; i < KILL_FRONT_PLACES; i++)
		places[i].is_operator = true;
	assert_int_equal(kill_front_place_for(places, KILL_FRONT_PLACES, 4711, false), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_makes_an_order),
		cmocka_unit_test(only_the_kill_key_signs_and_only_for_its_time),
		cmocka_unit_test(no_byte_of_a_signed_order_can_be_changed),
		cmocka_unit_test(an_order_without_a_signature_has_none_of_its_fields),
		cmocka_unit_test(the_text_of_an_order_has_one_form),
		cmocka_unit_test(places_go_from_whoever_has_most),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
