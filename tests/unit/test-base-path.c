/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"

static void beneath_goes_by_component(void **state)
{
	(void)state;
	assert_true(path_is_beneath("/srv/agent", "/srv/agent"));
	assert_true(path_is_beneath("/srv/agent/x", "/srv/agent"));
	assert_false(path_is_beneath("/srv/agent2", "/srv/agent"));
	assert_false(path_is_beneath("/srv/agent-evil/x", "/srv/agent"));
	assert_false(path_is_beneath("/srv", "/srv/agent"));
	assert_true(path_is_beneath("/x", "/"));
}

static void normalising_refuses_dot_dot(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {{"/a//b/./c/", "/a/b/c"}, {"/", "/"}, {"//", "/"}, {"/a/../b", NULL},
		{"a/b", NULL}, {"/a/..", NULL}, {"/..a/b..", "/..a/b.."}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree char *got = path_normalise(rows[i].in);

		if (rows[i].out) {
			assert_non_null(got);
			assert_string_equal(got, rows[i].out);
			assert_true(path_is_normal(got));
		} else {
			assert_null(got);
		}
	}
}

static void globs_match_by_segment(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} rows[] = {{"/w/.env*", "/w/.env", true}, {"/w/.env*", "/w/.env.local", true},
		{"/w/.env*", "/w/sub/.env", false}, {"/w/**/.env*", "/w/sub/deep/.env", true},
		{"/w/**/.env*", "/w/.env", true}, {"/w/**", "/w/a/b", true},
		{"/w/*", "/w/a/b", false}, {"/w/**/a/**/b", "/w/a/x/a/y/b", true},
		{"/w/**/a/**/b", "/w/x/y/b", false}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		assert_int_equal(path_glob_match(rows[i].pattern, rows[i].path), rows[i].match);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(beneath_goes_by_component),
		cmocka_unit_test(normalising_refuses_dot_dot),
		cmocka_unit_test(globs_match_by_segment),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
