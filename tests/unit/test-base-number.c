/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/number.h"

struct row {
	const char *text;
	bool good;
	uint64_t value;
};

static void plain_numbers_are_strict(void **state)
{
	static const struct row rows[] = {{"0", true, 0}, {"42", true, 42},
		{"18446744073709551615", true, UINT64_MAX}, {"18446744073709551616", false, 0},
		{"", false, 0}, {"-1", false, 0}, {"+1", false, 0}, {"010", false, 0},
		{"0x10", false, 0}, {" 1", false, 0}, {"1 ", false, 0}, {"1e3", false, 0},
		{"NaN", false, 0}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		uint64_t value = 7;

		assert_int_equal(number_parse_u64(rows[i].text, &value), rows[i].good);
		assert_true(value == (rows[i].good ? rows[i].value : 7));
	}
}

static void sizes_know_binary_units_only(void **state)
{
	static const struct row rows[] = {{"64KiB", true, 65536}, {"1GiB", true, 1073741824},
		{"5", true, 5}, {"10k", false, 0}, {"10KB", false, 0}, {"1.5MiB", false, 0},
		{"KiB", false, 0}, {"99999999999TiB", false, 0}, {"1 MiB", false, 0}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		uint64_t value = 7;

		assert_int_equal(number_parse_size(rows[i].text, &value), rows[i].good);
		assert_true(value == (rows[i].good ? rows[i].value : 7));
	}
}

static void durations_need_a_unit(void **state)
{
	uint64_t ms = 0;

	(void)state;
	assert_true(number_parse_duration("30s", &ms) && ms == 30000);
	assert_true(number_parse_duration("250ms", &ms) && ms == 250);
	assert_true(number_parse_duration("2d", &ms) && ms == 172800000);
	assert_false(number_parse_duration("30", &ms));
	assert_false(number_parse_duration("s", &ms));
}

static void formatting_is_what_parsing_reads(void **state)
{
	static const uint64_t values[] = {0, 1, 1023, 1024, 1536, 1 << 20, 3ULL << 30, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < array_size(values); i++) {
		char buffer[32];
		uint64_t back = 1;

		assert_true(number_parse_size(
			number_format_size(values[i], buffer, sizeof(buffer)), &back));
		assert_true(back == values[i]);
		assert_true(number_parse_duration(
			number_format_duration(values[i], buffer, sizeof(buffer)), &back));
		assert_true(back == values[i]);
	}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(plain_numbers_are_strict),
		cmocka_unit_test(sizes_know_binary_units_only),
		cmocka_unit_test(durations_need_a_unit),
		cmocka_unit_test(formatting_is_what_parsing_reads),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
