/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/own.h"
#include "policy/keys.h"
#include "policy/profile.h"
#include "policy/risky-env.h"

#include <string.h>

static bool holds_mappings(enum value_type type)
{
	return type == VALUE_OBJECT || type == VALUE_OBJECT_LIST || type == VALUE_OBJECT_MAP ||
	       type == VALUE_OBJECT_MAP_MAP || type == VALUE_WORD_OR_OBJECT ||
	       type == VALUE_PATH_RULES || type == VALUE_EXEC_RULES || type == VALUE_NETWORK_RULES;
}

static bool holds_words(enum value_type type)
{
	return type == VALUE_WORD || type == VALUE_WORD_LIST || type == VALUE_WORD_OR_OBJECT;
}

static void check_row(const struct section *section, const struct key *key)
{
	bool object = key->type == VALUE_OBJECT || key->type == VALUE_OBJECT_LIST ||
		      key->type == VALUE_OBJECT_MAP || key->type == VALUE_OBJECT_MAP_MAP;

	if (!key->help || (!object && !key->example) ||
		holds_mappings(key->type) != (key->of != SECTION_TOP) ||
		holds_words(key->type) != (key->words != NULL))
		fail_msg("row %s.%s is not complete", section->path, key->name);
	if (!(key->flags & (KEY_PENDING | KEY_PENDING_OBJECT | KEY_OPERATOR)) != !key->needs)
		fail_msg("row %s.%s: pending without what it needs", section->path, key->name);
	if (key->stored && key->size == 0)
		fail_msg("row %s.%s is stored nowhere", section->path, key->name);
	for (const struct key *other = key + 1; other->name; other++)
		assert_string_not_equal(key->name, other->name);
}

static void every_row_of_every_section_is_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		assert_non_null(sections[i].path);
		assert_non_null(sections[i].help);
		for (const struct key *key = sections[i].keys; key->name; key++)
			check_row(&sections[i], key);
	}
}

static void every_type_and_content_has_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VALUE_TYPE_COUNT; i++)
		assert_non_null(value_type_words(i));
	for (unsigned i = 0; i < CONTENT_COUNT; i++)
		assert_non_null(contents[i].words);
}

static void words_stand_in_the_order_of_their_enum(void **state)
{
	static const struct {
		const char *key;
		unsigned count;
		const char *last;
	} rows[] = {{"network.mode", NETWORK_MODE_COUNT, "host"},
		{"exec.default", DECISION_COUNT, "allow"},
		{"syscalls.base", SYSCALL_BASE_COUNT, "strict"},
		{"syscalls.on_deny", DENY_ACTION_COUNT, "kill"},
		{"feedback", FEEDBACK_COUNT, "hint"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		const struct key *key = key_resolve(rows[i].key, NULL);
		unsigned n = 0;

		assert_non_null(key);
		while (key->words[n])
			n++;
		assert_int_equal(n, rows[i].count);
		assert_string_equal(key->words[n - 1], rows[i].last);
	}
}

static void full_keys_are_found_by_section(void **state)
{
	enum section_id section = SECTION_COUNT;

	(void)state;
	assert_string_equal(key_resolve("fs.tmp.size", &section)->name, "size");
	assert_int_equal(section, SECTION_TMP);
	assert_null(key_resolve("fs.tmp.sizes", NULL));
	assert_null(key_resolve("fs.", NULL));
	assert_null(key_resolve("", NULL));
	assert_null(key_resolve("name.x", NULL));
	assert_string_equal(key_nearest(SECTION_BLAST_RADIUS, "file_deleted"), "files_deleted");
}

static void patterns_never_pass_risky_variables(void **state)
{
	(void)state;
	assert_true(env_passes("LC_*", "LC_ALL"));
	assert_true(env_passes("LD_PRELOAD", "LD_PRELOAD"));
	assert_false(env_passes("LD_*", "LD_PRELOAD"));
	assert_false(env_passes("*", "BASH_ENV"));
	assert_false(env_passes("GIT_*", "GIT_SSH_COMMAND"));
	assert_true(env_passes("GIT_*", "GIT_AUTHOR_NAME"));
	assert_false(env_passes("PYTHON?ATH", "PYTHONPATH"));
	assert_true(env_hides("LD_*", "LD_PRELOAD"));
	assert_true(env_hides("*_TOKEN", "GITHUB_TOKEN"));
	assert_false(env_hides("*_TOKEN", "TOKEN"));
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_row_of_every_section_is_complete),
		cmocka_unit_test(every_type_and_content_has_words),
		cmocka_unit_test(words_stand_in_the_order_of_their_enum),
		cmocka_unit_test(full_keys_are_found_by_section),
		cmocka_unit_test(patterns_never_pass_risky_variables),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
