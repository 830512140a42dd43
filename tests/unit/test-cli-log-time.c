/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/own.h"
#include "cli/log-time.h"

#define NS 1000000000LL
#define NOW (1795378443LL * NS) /* 2026-11-22T20:14:03Z */

static void times_that_people_write_are_read(void **state)
{
	static const struct {
		const char *words;
		int64_t ns;
	} rows[] = {
		{"10m", NOW - 600 * NS},
		{"250ms", NOW - NS / 4},
		{"1d", NOW - 86400 * NS},
		{"36500d", 0},
		{"1970-01-01Z", 0},
		{"2026-11-22T20:14:03Z", NOW},
		{"2026-11-22 20:14:03Z", NOW},
		{"2026-11-22T20:14Z", NOW - 3 * NS},
		{"2026-11-22T21:14:03+01:00", NOW},
		{"2026-11-22T14:44:03-0530", NOW},
		{"2026-11-22T20:14:03.5Z", NOW + NS / 2},
		{"2026-11-22T20:14:03.000000001Z", NOW + 1},
		{"2024-02-29T00:00Z", 1709164800LL * NS},
		/* The zone of this test is two hours east of Greenwich. */
		{"2026-11-22T22:14:03", NOW},
		{"2026-11-23", 1795384800LL * NS},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		int64_t ns = -1;

		if (!log_time_parse(rows[i].words, NOW, &ns) || ns != rows[i].ns)
			fail_msg("%s: %" PRId64 ", not %" PRId64, rows[i].words, ns, rows[i].ns);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const rows[] = {"", "10", "m", "10 m", "-10m", "yesterday", "2026",
		"2026-11", "2026-1-2", "2026-13-01", "2026-00-01", "2026-11-00", "2026-11-31",
		"2023-02-29", "2026-02-30Z", "1969-12-31", "9999-01-01", "2026-11-22T",
		"2026-11-22T20", "2026-11-22T24:00", "2026-11-22T20:60", "2026-11-22T20:14:60",
		"2026-11-22T20:14:", "2026-11-22T20:14:03.", "2026-11-22T20:14:03.1234567890Z",
		"2026-11-22T20:14:03z", "2026-11-22T20:14:03ZZ", "2026-11-22T20:14:03+1",
		"2026-11-22T20:14:03+15:00", "2026-11-22T20:14:03+01:60", "2026-11-22x",
		" 2026-11-22", "2026-11-22 "};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		int64_t ns = -7;

		if (log_time_parse(rows[i], NOW, &ns))
			fail_msg("\"%s\" was read as %" PRId64, rows[i], ns);
	}
}

static void times_are_shown_in_local_time_and_never_break(void **state)
{
	static const struct {
		int64_t ns;
		const char *words;
	} rows[] = {{NOW, "2026-11-22 22:14:03"}, {NOW + NS - 1, "2026-11-22 22:14:03"},
		{0, "1970-01-01 02:00:00"}, {-1, "1970-01-01 01:59:59"},
		{INT64_MAX, "2262-04-12 01:47:16"}, {INT64_MIN, "1677-09-21 02:12:43"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text out = {0};

		log_time_put(&out, rows[i].ns);
		assert_string_equal(text_string(&out), rows[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_that_people_write_are_read),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(times_are_shown_in_local_time_and_never_break),
	};

	setenv("TZ", "XXX-2", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
