/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"

#include <sys/resource.h>
#include <time.h>

#define HEAD "version: 1\nname: p\n"
#define MOST_SECONDS 1
#define MOST_KIB (64 * 1024)

#if defined(__SANITIZE_ADDRESS__)
#define MEMORY_IS_OURS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEMORY_IS_OURS false
#endif
#endif
#ifndef MEMORY_IS_OURS
#define MEMORY_IS_OURS true
#endif

/* Attack M04: a file that costs more than it weighs. Text = before, count times one, after. */
static const struct {
	const char *what, *before, *one, *after;
	size_t count;
} rows[] = {
	{"depth in lists", HEAD "x: ", "[", "", 100000},
	{"depth in mappings", HEAD "x: ", "{a: ", "", 60000},
	{"depth in block lists", HEAD "x:\n  ", "- ", "a\n", 100000},
	{"depth in keys", HEAD, "? ", "a\n", 100000},
	{"many values", HEAD "fs: {read: [", "/a, ", "]}\n", 60000},
	{"many lines", HEAD "fs:\n  read:\n", "    - /a\n", "", 28000},
	{"many keys", HEAD, "a: 1\n", "", 50000},
	{"many tags", "", "%TAG !a! b\n", HEAD, 20000},
	{"an anchor and its aliases", HEAD "a: &a [x]\nb: [", "*a, ", "]\n", 60000},
	{"many documents", HEAD, "---\n", "", 60000},
	{"many comments", HEAD, "#\n", "", 120000},
	{"many quotes", HEAD "description: ", "\"", "\n", 200001},
	{"one long word", HEAD "x: ", "x", "\n", 200000},
	{"one long key", HEAD, "x", ": y\n", 200000},
	{"many flow keys on one line", HEAD "x: {", "a,", "}\n", 100000},
	{"many colons", HEAD "x: ", "a: ", "\n", 80000},
	{"a deep indent", HEAD "x:", "\n ", "y\n", 120000},
	{"many unknown words", HEAD "fs: {deny: [", "a,", "]}\n", 9000},
	{"many variables", HEAD "fs: {deny: [\"", "${HOME}", "\"]}\n", 9000},
	{"many stars", HEAD "fs: {deny: [\"/", "**/", "\"]}\n", 20000},
};

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void check_cost(const char *what, double seconds)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	if (seconds >= MOST_SECONDS)
		fail_msg("%s took %.2f s", what, seconds);
	if (MEMORY_IS_OURS && usage.ru_maxrss >= MOST_KIB)
		fail_msg("%s took %ld KiB", what, usage.ru_maxrss);
}

static void a_hostile_file_is_refused_fast_and_small(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autotext struct text text = {0};
		autoloading struct loading l;
		double before;

		loading_init(&l);
		text_puts(&text, rows[i].before);
		for (size_t n = 0; n < rows[i].count; n++)
			text_puts(&text, rows[i].one);
		text_puts(&text, rows[i].after);
		before = cpu_seconds();
		if (loading_text(&l, text_string(&text)) == 0 &&
			strcmp(rows[i].what, "many comments") != 0)
			fail_msg("%s is accepted", rows[i].what);
		check_cost(rows[i].what, cpu_seconds() - before);
	}
}

static void a_huge_file_is_not_read(void **state)
{
	autoloading struct loading l;
	char path[128];
	double before;

	(void)state;
	loading_init(&l);
	loading_string(&l, "p.yaml", HEAD "description: ");
	snprintf(path, sizeof(path), "%s/p.yaml", l.dir);
	assert_int_equal(truncate(path, 1L << 30), 0);
	before = cpu_seconds();
	assert_int_equal(loading_load(&l, "p"), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "p.yaml: error[E009]"));
	check_cost("1 GiB", cpu_seconds() - before);
}

static void what_is_no_regular_file_is_never_waited_for(void **state)
{
	autoloading struct loading l;
	char path[128];

	(void)state;
	loading_init(&l);
	snprintf(path, sizeof(path), "%s/p.yaml", l.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(loading_load(&l, "p"), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "error[E026]"));
}

/* 32 files that extend one another in every direction that is no circle. */
static void many_files_are_read_once_each(void **state)
{
	autoloading struct loading l;
	double before;

	(void)state;
	loading_init(&l);
	for (unsigned i = 0; i < 30; i++) {
		autotext struct text text = {0};
		char name[16];

		snprintf(name, sizeof(name), "f%u.yaml", i);
		text_puts(&text, HEAD "extends: [");
		for (unsigned j = i / 6 * 6 + 6; j < 30; j++)
			text_printf(&text, "f%u, ", j);
		text_puts(&text, "]\n");
		loading_string(&l, name, text_string(&text));
	}
	before = cpu_seconds();
	assert_int_equal(loading_text(&l, HEAD "extends: [f0, f1, f2, f3, f4, f5]\n"), 0);
	assert_int_equal(l.profile->file_count, 31);
	check_cost("31 files", cpu_seconds() - before);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_hostile_file_is_refused_fast_and_small),
		cmocka_unit_test(a_huge_file_is_not_read),
		cmocka_unit_test(what_is_no_regular_file_is_never_waited_for),
		cmocka_unit_test(many_files_are_read_once_each),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
