/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/minisign.h"

#include <string.h>

#include "base/own.h"

/* Made by minisign 0.11 with the key whose seed is "a key that everybody can know" and zeros. */
#define PUBLIC "RWQBAgMEBQYHCD700hdku5IiOxea2qfD5v2u6jOvkLuTabPy5b6t0Jqc"
#define FIRST_LINE "untrusted comment: signature from minisign secret key\n"
#define SECRET_TAIL                                                                                \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQIDBAUGBwhhIGtl"         \
	"eSB0aGF0IGV2ZXJ5Ym9keSBjYW4ga25vdwAAAD700hdku5IiOxea2qfD5v2u6jOvkLuTabPy5b6t0Jqc"         \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"

static const char file[] = "version: 1\nname: fuzz\n";
static const char signature[] = FIRST_LINE
	"RUQBAgMEBQYHCE04veDQ0TZWDFDs8mH65N1JL88lyH97fXu7qEFhP7Y8iLf4l+jqaMljOmngghztleNj"
	"oU+vmLiV+K57LywyUwk=\n"
	"trusted comment: profile=fuzz version=1 time=2026-11-22T20:00:00Z counter=7 by the "
	"stock tool\n"
	"th5Mm13KgYInn5fGJCNDRwHSAbROYNxyyrEs4gmJn91WLidL/9ZkyebZEHYnSZlJpXC0FHY/w4bVHuAv0/"
	"rKBQ==\n";
static const char legacy[] = FIRST_LINE
	"RWQBAgMEBQYHCGZ1NwfIuL9k1yjz0M0etAQMvXPshTIAR0i3767pZiM6kMEx9iv1qOqfiBw/8SworXst"
	"V9VuqjciU2nf9BVdZAY=\n"
	"trusted comment: timestamp:1795423897\tfile:f\n"
	"meLQ0k7sQoiuPq5sergEl06zvGa6Is6pUlqn7BHX6VTNXmc9lEFiSkcuZUR9F2zaZr2Ja7P6f9Fjv0IQym"
	"81Ag==\n";

static struct minisign_key public_key(void)
{
	struct minisign_key key;

	assert_int_equal(minisign_read_public(PUBLIC, strlen(PUBLIC), &key, NULL), 0);
	return key;
}

static int judge(const char *data, size_t length, const char *text, size_t text_length)
{
	struct minisign_key key = public_key();
	struct minisign_verdict verdict;
	const struct minisign_case question = {.data = data,
		.length = length,
		.name = "fuzz",
		.signature = text,
		.signature_length = text_length,
		.keys = &key,
		.key_count = 1};

	return minisign_judge(&question, &verdict, NULL);
}

static void a_signature_of_minisign_is_good_and_says_what_it_covers(void **state)
{
	struct minisign_key keys[2] = {{.id = {1, 2, 3, 4, 5, 6, 7, 8}}, public_key()};
	struct minisign_case question = {.data = file,
		.length = sizeof(file) - 1,
		.name = "fuzz",
		.signature = signature,
		.signature_length = sizeof(signature) - 1,
		.keys = keys,
		.key_count = 2};
	struct minisign_verdict verdict;
	char id[MINISIGN_ID_HEX];

	(void)state;
	/* The first key has the same number and is another one. */
	assert_int_equal(minisign_judge(&question, &verdict, NULL), 0);
	assert_int_equal(verdict.key, 1);
	assert_string_equal(verdict.claim.profile, "fuzz");
	assert_int_equal(verdict.claim.version, 1);
	assert_int_equal(verdict.claim.counter, 7);
	assert_string_equal(verdict.claim.time, "2026-11-22T20:00:00Z");
	assert_string_equal(verdict.claim.rest, "by the stock tool");
	minisign_key_id(verdict.signature.id, id);
	assert_string_equal(id, "0807060504030201");
	question.name = "other";
	assert_int_equal(minisign_judge(&question, &verdict, NULL), -EBADMSG);
	question.name = NULL;
	question.key_count = 1;
	assert_int_equal(minisign_judge(&question, &verdict, NULL), -EBADMSG);
	keys[0].id[0] = 9;
	assert_int_equal(minisign_judge(&question, &verdict, NULL), -ENOKEY);
	question.key_count = 0;
	assert_int_equal(minisign_judge(&question, &verdict, NULL), -ENOKEY);
}

static void each_changed_bit_is_found(void **state)
{
	char changed[sizeof(signature)], other[sizeof(file)];
	size_t begin = strlen(FIRST_LINE) - 1; /* the words before it are nobody's */

	(void)state;
	assert_int_equal(judge(file, sizeof(file) - 1, signature, sizeof(signature) - 1), 0);
	for (size_t bit = 8 * begin; bit < 8 * (sizeof(signature) - 1); bit++) {
		memcpy(changed, signature, sizeof(signature));
		changed[bit / 8] = (char)(changed[bit / 8] ^ 1 << bit % 8);
		if (judge(file, sizeof(file) - 1, changed, sizeof(signature) - 1) == 0)
			fail_msg("bit %zu of the signature is not covered", bit);
	}
	for (size_t bit = 0; bit < 8 * (sizeof(file) - 1); bit++) {
		memcpy(other, file, sizeof(file));
		other[bit / 8] = (char)(other[bit / 8] ^ 1 << bit % 8);
		if (judge(other, sizeof(file) - 1, signature, sizeof(signature) - 1) == 0)
			fail_msg("bit %zu of the file is not covered", bit);
	}
	for (size_t cut = 0; cut < sizeof(file) - 1; cut++)
		assert_int_equal(judge(file, cut, signature, sizeof(signature) - 1), -EBADMSG);
}

/* The last line feed may be missing; nothing else. */
static void a_cut_signature_is_none(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < sizeof(signature) - 2; cut++)
		assert_int_equal(judge(file, sizeof(file) - 1, signature, cut), -EBADMSG);
	assert_int_equal(judge(file, sizeof(file) - 1, signature, sizeof(signature) - 2), 0);
}

static void the_legacy_form_is_refused_by_its_name(void **state)
{
	struct minisign_signature ignored;
	struct error err = {0};

	(void)state;
	assert_int_equal(
		minisign_read_signature(legacy, sizeof(legacy) - 1, &ignored, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "legacy"));
}

static void secret_keys_with_a_password_are_refused_by_that(void **state)
{
	static const char plain[] = "untrusted comment: k\nRWQAAEIy" SECRET_TAIL;
	static const char locked[] = "untrusted comment: k\nRWRTY0Iy" SECRET_TAIL;
	struct minisign_secret secret;
	struct minisign_key key = public_key();

	(void)state;
	assert_int_equal(minisign_read_secret(plain, sizeof(plain) - 1, &secret, NULL), 0);
	assert_memory_equal(secret.id, key.id, sizeof(key.id));
	assert_memory_equal(secret.secret_key + 32, key.public_key, sizeof(key.public_key));
	assert_int_equal(
		minisign_read_secret(locked, sizeof(locked) - 1, &secret, NULL), -EKEYREJECTED);
	assert_int_equal(minisign_read_secret(plain, sizeof(plain) - 3, &secret, NULL), -EBADMSG);
	assert_int_equal(minisign_read_secret(PUBLIC, strlen(PUBLIC), &secret, NULL), -EBADMSG);
}

static void comments_say_each_thing_once(void **state)
{
	static const struct {
		const char *comment;
		int result;
		const char *rest;
	} rows[] = {
		{"", 0, ""},
		{"timestamp:1\tfile:f\thashed", 0, "timestamp:1\tfile:f\thashed"},
		{"counter=3", 0, ""},
		{"counter=3 profile=a", 0, ""},
		{"counter=3 words counter=4", 0, "words counter=4"},
		{"counter=3 counter=4", -EBADMSG, NULL},
		{"counter=0", -EBADMSG, NULL},
		{"counter=-1", -EBADMSG, NULL},
		{"counter=18446744073709551616", -EBADMSG, NULL},
		{"version=x", -EBADMSG, NULL},
		{"profile=", -EBADMSG, NULL},
		{"profile=../x", -EBADMSG, NULL},
		{"time=2026-11-22 20:00:00", -EBADMSG, NULL},
		{"time=2026-11-22T20:00:00Zz", -EBADMSG, NULL},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct minisign_claim claim;
		int r = minisign_read_claim(rows[i].comment, &claim, NULL);

		if (r != rows[i].result)
			fail_msg("%s: %d", rows[i].comment, r);
		if (r == 0)
			assert_string_equal(claim.rest, rows[i].rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_of_minisign_is_good_and_says_what_it_covers),
		cmocka_unit_test(each_changed_bit_is_found),
		cmocka_unit_test(a_cut_signature_is_none),
		cmocka_unit_test(the_legacy_form_is_refused_by_its_name),
		cmocka_unit_test(secret_keys_with_a_password_are_refused_by_that),
		cmocka_unit_test(comments_say_each_thing_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
