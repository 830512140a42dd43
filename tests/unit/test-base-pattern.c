/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/pattern.h"

#include <string.h>
#include <time.h>

static void destroy(struct pattern **p)
{
	pattern_destroy(*p);
}

#define autopattern __attribute__((cleanup(destroy)))

static struct pattern *make(const char *expression)
{
	struct pattern *p = NULL;
	struct error err = {0};

	if (pattern_create(expression, &p, &err) < 0)
		fail_msg("%s: %s", expression, err.text);
	return p;
}

static void matches_are_found_one_after_the_other(void **state)
{
	static const char text[] = "a1 \xff b22\0c333";
	autopattern struct pattern *p = make("[a-z][0-9]+");
	const struct {
		size_t begin, end;
	} wanted[] = {{0, 2}, {5, 8}, {9, 13}};
	size_t from = 0;

	(void)state;
	for (size_t i = 0; i < array_size(wanted); i++) {
		size_t begin, end;

		assert_int_equal(pattern_find(p, text, sizeof(text) - 1, from, &begin, &end), 1);
		assert_int_equal(begin, wanted[i].begin);
		assert_int_equal(end, wanted[i].end);
		from = end;
	}
	assert_int_equal(pattern_find(p, text, sizeof(text) - 1, from, &from, &from), 0);
}

static void an_empty_match_is_passed_over(void **state)
{
	autopattern struct pattern *p = make("(?=x)|(?<=y)z");
	size_t begin, end;

	(void)state;
	assert_int_equal(pattern_find(p, "xxyz", 4, 0, &begin, &end), 1);
	assert_int_equal(begin, 3);
	assert_int_equal(end, 4);
	assert_int_equal(pattern_find(p, "xx", 2, 0, &begin, &end), 0);
}

static void what_cannot_be_used_is_refused(void **state)
{
	static const char *const rows[] = {
		"(", "[a", "a**", "x*", "", "^", "(*UTF)a", "(*UCP)\\w", "a\\C", "\\p{"};
	char longer[PATTERN_BYTES_MAX + 2];
	struct pattern *p = NULL;
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		if (pattern_create(rows[i], &p, &err) != -EINVAL)
			fail_msg("%s was taken", rows[i]);
		assert_int_equal(err.kind, ERROR_INPUT);
	}
	memset(longer, 'a', sizeof(longer));
	longer[PATTERN_BYTES_MAX + 1] = '\0';
	assert_int_equal(pattern_create(longer, &p, &err), -EINVAL);
	assert_null(p);
	longer[PATTERN_BYTES_MAX] = '\0';
	assert_int_equal(pattern_create(longer, &p, &err), 0);
	pattern_destroy(p);
}

/* Expressions that take time beyond all bounds on the right text. */
static void a_search_costs_no_more_than_it_may(void **state)
{
	static const char *const rows[] = {"(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){12}$",
		"(?:a?){30}a{30}!", "(a(?1)?b|c)+d"};
	struct timespec before, after;
	static char text[65536];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '!';
	for (size_t i = 0; i < array_size(rows); i++) {
		autopattern struct pattern *p = NULL;
		struct error err = {0};
		size_t begin, end;
		int r;

		if (pattern_create(rows[i], &p, &err) < 0)
			continue;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		r = pattern_find(p, text, sizeof(text), 0, &begin, &end);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		assert_true(r == -E2BIG || r == 0 || r == 1);
		if (i < 2)
			assert_int_equal(r, -E2BIG);
		if (after.tv_sec - before.tv_sec > 2)
			fail_msg("%s took %ld s", rows[i], (long)(after.tv_sec - before.tv_sec));
	}
}

/* \K moves the beginning of a match: never behind its end, and never before where the search began.
 */
static void a_match_never_goes_backwards(void **state)
{
	autopattern struct pattern *p = NULL;
	struct error err = {0};
	size_t begin = 0, end = 0;

	(void)state;
	if (pattern_create("(?=ab\\K)a", &p, &err) < 0)
		return;
	assert_int_equal(pattern_find(p, "ab", 2, 0, &begin, &end), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_are_found_one_after_the_other),
		cmocka_unit_test(an_empty_match_is_passed_over),
		cmocka_unit_test(what_cannot_be_used_is_refused),
		cmocka_unit_test(a_search_costs_no_more_than_it_may),
		cmocka_unit_test(a_match_never_goes_backwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
