/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/json.h"
#include "base/text.h"

#include <string.h>

static void hostile_bytes_are_shown_escaped_and_bounded(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {{"plain é", "plain é"}, {"a\nb", "a\\x0ab"}, {"\033[31m", "\\x1b[31m"},
		{"\xff", "\\xff"}, {"\xe2\x80\xae", "\\u{202e}"}, {"back\\slash", "back\\\\slash"},
		{"\xc0\xaf", "\\xc0\\xaf"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text t = {0};

		text_escape(&t, rows[i].in, strlen(rows[i].in), 1000);
		assert_string_equal(text_string(&t), rows[i].out);
	}
	autotext struct text bounded = {0};

	text_escape(&bounded, "0123456789", 10, 4);
	assert_string_equal(text_string(&bounded), "0123…");
}

static void nearest_word_is_found_only_when_near(void **state)
{
	static const char *const names[] = {"files_deleted", "files_changed", "bytes_sent"};

	(void)state;
	assert_string_equal(
		text_nearest("file_deleted", names, array_size(names)), "files_deleted");
	assert_null(text_nearest("zzzzz", names, array_size(names)));
}

static void json_is_always_valid(void **state)
{
	autotext struct text t = {0};
	struct json j = {.out = &t};

	(void)state;
	json_object_begin(&j, NULL);
	json_put_string(&j, "k\"", "v\n\xff");
	json_array_begin(&j, "a");
	json_put_u64(&j, NULL, 1);
	json_put_null(&j, NULL);
	json_put_json(&j, NULL, "{\"c\":2}\n", 7);
	json_array_end(&j);
	json_put_bool(&j, "b", false);
	json_object_end(&j);
	assert_string_equal(text_string(&t),
		"{\"k\\\"\":\"v\\u000a\\ufffd\",\"a\":[1,null,{\"c\":2}],\"b\":false}");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(hostile_bytes_are_shown_escaped_and_bounded),
		cmocka_unit_test(nearest_word_is_found_only_when_near),
		cmocka_unit_test(json_is_always_valid),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
