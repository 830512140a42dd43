/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"
#include "fake-kernel/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct meter_anchor_rule anchor_rules[4];
static struct meter_name_rule name_rules[64];
static struct meter_rules rules = {.anchors = anchor_rules, .names = name_rules};

static void reset(void)
{
	rules.anchor_count = 0;
	rules.name_count = 0;
}

static void anchored_at(const char *path)
{
	anchor_rules[rules.anchor_count++] =
		(struct meter_anchor_rule){.fd = -1, .path = path, .rights = METER_RIGHT_READ};
}

static void protect(const char *pattern)
{
	struct meter_name_rule *rule = &name_rules[rules.name_count++];

	*rule = (struct meter_name_rule){.pattern = pattern, .no_read = true, .no_write = true};
	rule->rule = (uint32_t)rules.name_count;
}

/* What the kernel says of a path beneath anchor 0, given relative to it. */
static struct fake_verdict ask(const char *path)
{
	struct pattern_tables *tables = calloc(1, sizeof(*tables));
	const char *components[64];
	struct fake_verdict verdict;
	struct error err = {0};
	char copy[1024];
	size_t count = 0;

	assert_non_null(tables);
	assert_int_equal(pattern_compile(&rules, tables, &err), 0);
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *rest = NULL, *word = strtok_r(copy, "/", &rest); word;
		word = strtok_r(NULL, "/", &rest))
		components[count++] = word;
	fake_walk(tables, 0, components, count, &verdict);
	pattern_tables_finish(tables);
	free(tables);
	return verdict;
}

static void protected_names_are_refused_and_near_misses_are_not(void **state)
{
	static const struct {
		const char *path;
		bool refused;
	} rows[] = {
		{".git/hooks", true},
		{".git/hooks/pre-commit", true},
		{".git/hook", false},
		{".git/hookss", false},
		{"a/.git/hooks", false},
		{".git", false},
		{"hooks", false},
		{".env", true},
		{".envrc", true},
		{"a/b/c/.env.local", true},
		{"a/.env/inside", true},
		{"env", false},
		{"a.env", false},
		{"key.pem", true},
		{"x/y/key.pem", true},
		{"key.pem.txt", false},
		{".pem", true},
		{"pem", false},
		{"id_rsa", true},
		{"id_rsaX", false},
		{"node/mid/end", true},
		{"node/a/b/mid/end", true},
		{"node/mid/x/end", false},
	};
	(void)state;
	reset();
	anchored_at("/w");
	protect("/w/.git/hooks");
	protect("/w/**/.env*");
	protect("/w/**/*.pem");
	protect("/w/**/id_rs?");
	protect("/w/node/**/mid/end");
	for (size_t i = 0; i < array_size(rows); i++) {
		struct fake_verdict verdict = ask(rows[i].path);

		if (verdict.no_write != rows[i].refused)
			fail_msg("%s: refused %u", rows[i].path, verdict.no_write);
		assert_int_equal(verdict.failed, 0);
	}
}

static void a_refusal_names_its_rule_and_its_kind(void **state)
{
	struct fake_verdict verdict;

	(void)state;
	reset();
	anchored_at("/w");
	protect("/w/a/b");
	protect("/w/c");
	name_rules[1].no_read = false;
	name_rules[1].canary = true;
	verdict = ask("c");
	assert_int_equal(verdict.rule, 2);
	assert_int_equal(verdict.no_read, 0);
	assert_int_equal(verdict.canary, 1);
	assert_int_equal(verdict.pinned, 1);
	verdict = ask("c/beneath");
	assert_int_equal(verdict.no_write, 1);
	assert_int_equal(verdict.pinned, 0);
	verdict = ask("a");
	assert_int_equal(verdict.prefix, 1);
	assert_int_equal(verdict.no_write, 0);
	assert_int_equal(ask("x").prefix, 0);
}

static void a_directory_that_brings_protected_names_has_other_live_components(void **state)
{
	struct fake_verdict git, other, another;

	(void)state;
	reset();
	anchored_at("/w");
	protect("/w/.git/hooks");
	protect("/w/**/.env*");
	git = ask(".git");
	other = ask("other");
	another = ask("deep/another");
	assert_memory_not_equal(&git.live, &other.live, sizeof(git.live));
	assert_memory_equal(&other.live, &another.live, sizeof(other.live));
}

static void patterns_reach_into_anchors_beneath_their_beginning(void **state)
{
	(void)state;
	reset();
	anchored_at("/srv/u/w");
	protect("/srv/u/w/x/secret");
	protect("/srv/**/token");
	assert_int_equal(ask("x/secret").no_write, 1);
	assert_int_equal(ask("y/secret").no_write, 0);
	assert_int_equal(ask("deep/down/token").no_write, 1);
	reset();
	anchored_at("/w/x");
	protect("/w/x/secret");
	assert_int_equal(ask("secret").no_write, 1);
	/* An anchor that is itself protected, or lies beneath something that is. */
	struct pattern_tables *tables = calloc(1, sizeof(*tables));
	struct error err = {0};

	reset();
	anchored_at("/w/.git/hooks/deep");
	protect("/w/.git/hooks");
	assert_int_equal(pattern_compile(&rules, tables, &err), 0);
	assert_int_equal(tables->covers[0].refused, ~(uint32_t)METER_RIGHT_MARKS);
	assert_int_equal(tables->covers[0].marks, METER_RIGHT_PROTECTED);
	assert_int_equal(tables->covers[0].rule, 1);
	pattern_tables_finish(tables);
	free(tables);
}

static void an_anchor_at_a_pattern_keeps_what_the_pattern_leaves(void **state)
{
	struct pattern_tables *tables = calloc(1, sizeof(*tables));
	struct error err = {0};

	(void)state;
	reset();
	anchored_at("/w");
	anchored_at("/w/kept");
	anchored_at("/w/bait");
	anchored_at("/w/open");
	protect("/w/kept");
	name_rules[0].no_read = false;
	protect("/w/b*");
	name_rules[1].no_read = false;
	protect("/w/bait");
	name_rules[2].canary = true;
	protect("/w/bai?");
	assert_non_null(tables);
	assert_int_equal(pattern_compile(&rules, tables, &err), 0);
	assert_int_equal(tables->covers[0].refused, 0);
	assert_int_equal(tables->covers[1].refused, METER_RIGHT_WRITE);
	assert_int_equal(tables->covers[1].marks, METER_RIGHT_PROTECTED);
	assert_int_equal(tables->covers[2].refused, ~(uint32_t)METER_RIGHT_MARKS);
	assert_int_equal(tables->covers[2].marks, METER_RIGHT_MARKS);
	/* The canary's, whatever else is said of the place. */
	assert_int_equal(tables->covers[2].rule, 3);
	assert_int_equal(tables->covers[3].refused | tables->covers[3].marks, 0);
	pattern_tables_finish(tables);
	free(tables);
}

/* Random patterns and paths over a small alphabet, against the plain matcher. */
static void random_patterns_match_like_the_plain_matcher(void **state)
{
	static const char *const parts[] = {
		"a", "b", "ab", "**", "a*", "*b", "?", "a*b", ".env", "aa"};
	static const char *const names[] = {
		"a", "b", "ab", "aab", "abb", "c", ".env", "aa", "ba", "abab"};
	unsigned seed = 20240607, refused = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char pattern[128] = "/w", path[128] = "";
		unsigned count = 1 + (unsigned)rand_r(&seed) % 3;
		unsigned depth = 1 + (unsigned)rand_r(&seed) % 5;
		bool expected = false, last_any = false;
		char whole[160];

		for (unsigned i = 0; i < count; i++) {
			const char *part = parts[(unsigned)rand_r(&seed) % array_size(parts)];

			last_any = strcmp(part, "**") == 0;
			snprintf(pattern + strlen(pattern), sizeof(pattern) - strlen(pattern),
				"/%s", part);
		}
		if (last_any)
			continue; /* says the same as without: tested elsewhere */
		snprintf(whole, sizeof(whole), "/w");
		for (unsigned i = 0; i < depth; i++) {
			const char *name = names[(unsigned)rand_r(&seed) % array_size(names)];

			snprintf(path + strlen(path), sizeof(path) - strlen(path), "%s%s",
				i ? "/" : "", name);
			snprintf(whole + strlen(whole), sizeof(whole) - strlen(whole), "/%s", name);
			/* What lies beneath a protected name is protected. */
			expected = expected || path_glob_match(pattern, whole);
		}
		reset();
		anchored_at("/w");
		protect(pattern);
		if (ask(path).no_write != expected)
			fail_msg("pattern %s, path %s: expected %d", pattern, path, expected);
		refused += expected;
	}
	assert_true(refused > 1000);
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
	struct pattern_tables *tables = calloc(1, sizeof(*tables));
	struct error err = {0};
	char long_name[80] = "/w/";

	(void)state;
	reset();
	anchored_at("/w");
	protect("/w/*/token");
	assert_int_equal(pattern_compile(&rules, tables, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "/w/*/token"));
	pattern_tables_finish(tables);
	reset();
	anchored_at("/w");
	memset(long_name + 3, 'x', 70);
	protect(long_name);
	assert_int_equal(pattern_compile(&rules, tables, &err), -ENOTSUP);
	pattern_tables_finish(tables);
	reset();
	anchored_at("/w");
	protect("relative");
	assert_int_equal(pattern_compile(&rules, tables, &err), -EINVAL);
	pattern_tables_finish(tables);
	free(tables);
}

int main(void)
{
	const struct CMUnitTest unit_tests[] = {
		cmocka_unit_test(protected_names_are_refused_and_near_misses_are_not),
		cmocka_unit_test(a_refusal_names_its_rule_and_its_kind),
		cmocka_unit_test(a_directory_that_brings_protected_names_has_other_live_components),
		cmocka_unit_test(patterns_reach_into_anchors_beneath_their_beginning),
		cmocka_unit_test(an_anchor_at_a_pattern_keeps_what_the_pattern_leaves),
		cmocka_unit_test(random_patterns_match_like_the_plain_matcher),
		cmocka_unit_test(what_does_not_fit_is_refused_by_name),
	};

	return cmocka_run_group_tests(unit_tests, NULL, NULL);
}
