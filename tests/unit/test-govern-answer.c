/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "govern/answer.h"

#include <string.h>

static const struct {
	const char *text;
	enum verdict verdict;
	const char *by, *reason;
} good[] = {
	{"{\"decision\":\"allow\"}", VERDICT_ALLOW, "", ""},
	{" {\n\t\"decision\" : \"deny\" , \"reason\" : \"no\" } \r\n", VERDICT_DENY, "", "no"},
	{"{\"by\":\"alice\",\"decision\":\"ask\",\"scope\":\"once\"}", VERDICT_ASK, "alice", ""},
	{"{\"decision\":\"allow\",\"scope\":\"run\",\"reason\":\"\\u00e9\\ud83d\\ude00\\n\\\"\"}",
		VERDICT_ALLOW, "", "\xc3\xa9\xf0\x9f\x98\x80\n\""},
	{"{\"decision\":\"al\\u006cow\"}", VERDICT_ALLOW, "", ""},
};

static const char *const bad[] = {
	"",
	" ",
	"true",
	"\"allow\"",
	"[]",
	"{}",
	"{\"decision\"}",
	"{\"decision\":}",
	"{\"decision\":true}",
	"{\"decision\":\"ALLOW\"}",
	"{\"decision\":\"allow\"",
	"{\"decision\":\"allow\",}",
	"{\"decision\":\"allow\"}x",
	"{\"decision\":\"allow\"}{}",
	"{,\"decision\":\"allow\"}",
	"{\"decision\":\"deny\",\"decision\":\"allow\"}",
	"{\"decision\":\"allow\",\"other\":\"x\"}",
	"{\"decision\":\"allow\",\"scope\":\"profile\"}",
	"{\"decision\":\"allow\",\"by\":null}",
	"{\"decision\":\"allow\",\"reason\":\"\n\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\u0000\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\ud800\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\udc00\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\ud800\\u0041\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\x\"}",
	"{\"decision\":\"allow\",\"reason\":\"\\u12g4\"}",
	"{\"decision\":\"allow\",\"reason\":\"\xff\"}",
	"{\"decision\":\"allow\",\"reason\":\"\xc0\x80\"}",
	"{\"decision\":\"allow\",\"reason\":\"\xed\xa0\x80\"}",
	"{'decision':'allow'}",
	"{\"decision\":\"allow\"}//",
};

static void answers_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(good); i++) {
		struct answer answer = {.verdict = VERDICT_DENY};
		struct error err = {0};

		assert_int_equal(answer_read(good[i].text, strlen(good[i].text), &answer, &err), 0);
		assert_int_equal(answer.verdict, good[i].verdict);
		assert_string_equal(answer.by, good[i].by);
		assert_string_equal(answer.reason, good[i].reason);
	}
}

static void what_is_no_answer_is_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		struct answer answer = {.verdict = VERDICT_DENY};
		struct error err = {0};

		if (answer_read(bad[i], strlen(bad[i]), &answer, &err) != -EBADMSG)
			fail_msg("%s", bad[i]);
		assert_true(err.text[0] && answer.verdict == VERDICT_DENY);
	}
}

/* Every beginning of an answer is none, and so is one with a NUL in it. */
static void what_is_cut_is_no_answer(void **state)
{
	static const char whole[] = "{\"decision\":\"allow\",\"by\":\"a\",\"reason\":\"b\\u00e9\"}";
	char bytes[sizeof(whole)];
	struct answer answer = {.verdict = VERDICT_DENY};
	struct error err = {0};

	(void)state;
	for (size_t length = 0; length < sizeof(whole) - 1; length++)
		assert_int_equal(answer_read(whole, length, &answer, &err), -EBADMSG);
	assert_int_equal(answer_read(whole, sizeof(whole) - 1, &answer, &err), 0);
	assert_int_equal(answer_read(whole, sizeof(whole), &answer, &err), -EBADMSG);
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		memcpy(bytes, whole, sizeof(whole));
		bytes[i] = '\0';
		assert_int_equal(answer_read(bytes, sizeof(whole) - 1, &answer, &err), -EBADMSG);
	}
}

static void words_that_are_too_long_are_no_answer(void **state)
{
	char text[ANSWER_BYTES_MAX + 64], words[ANSWER_WORDS_MAX + 2];
	struct answer answer = {.verdict = VERDICT_DENY};
	struct error err = {0};
	int n;

	(void)state;
	memset(words, 'a', sizeof(words));
	for (size_t length = ANSWER_WORDS_MAX; length <= ANSWER_WORDS_MAX + 1; length++) {
		n = snprintf(text, sizeof(text), "{\"decision\":\"allow\",\"by\":\"%.*s\"}",
			(int)length, words);
		assert_int_equal(answer_read(text, (size_t)n, &answer, &err),
			length == ANSWER_WORDS_MAX ? 0 : -EBADMSG);
	}
	memset(text, ' ', sizeof(text));
	memcpy(text, good[0].text, strlen(good[0].text));
	assert_int_equal(answer_read(text, ANSWER_BYTES_MAX, &answer, &err), 0);
	assert_int_equal(answer_read(text, ANSWER_BYTES_MAX + 1, &answer, &err), -EBADMSG);
}

static void the_stricter_verdict_wins(void **state)
{
	(void)state;
	for (unsigned a = 0; a < VERDICT_COUNT; a++)
		for (unsigned b = 0; b < VERDICT_COUNT; b++)
			assert_int_equal(
				verdict_join((enum verdict)a, (enum verdict)b), a > b ? a : b);
	assert_true(VERDICT_ALLOW < VERDICT_ASK && VERDICT_ASK < VERDICT_DENY);
	assert_string_equal(verdict_name(VERDICT_DENY), "deny");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(what_is_no_answer_is_none),
		cmocka_unit_test(what_is_cut_is_no_answer),
		cmocka_unit_test(words_that_are_too_long_are_no_answer),
		cmocka_unit_test(the_stricter_verdict_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
