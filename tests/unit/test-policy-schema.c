/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/schema.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/own.h"
#include "policy/keys.h"

/* After a change of the key table: BERM_UPDATE=1 meson test -C build policy-schema
 * writes the two files anew; look at the difference and commit it. */

#define FILE_MAX_BYTES (1 << 20)

static void compare_or_update(const char *name, void (*print)(struct text *))
{
	const char *source = getenv("BERM_SOURCE");
	autotext struct text made = {0};
	autofree char *path = NULL, *kept = NULL;
	struct error err = {0};

	assert_non_null(source);
	assert_true(asprintf(&path, "%s/%s", source, name) > 0);
	print(&made);
	assert_false(made.failed);
	if (getenv("BERM_UPDATE")) {
		autofclose FILE *file = fopen(path, "we");

		assert_non_null(file);
		assert_int_equal(fwrite(made.data, 1, made.length, file), made.length);
		return;
	}
	if (io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &kept, NULL, &err) < 0)
		fail_msg("%s", err.text);
	if (strcmp(kept, text_string(&made)) != 0)
		fail_msg("%s is out of date: run this test with BERM_UPDATE=1", name);
}

static void the_shipped_schema_is_what_the_key_table_says(void **state)
{
	(void)state;
	compare_or_update("profiles/profile-v1.schema.json", profile_schema_print);
}

static void the_reference_is_what_the_key_table_says(void **state)
{
	(void)state;
	compare_or_update("docs/profile-reference.md", profile_reference_print);
}

/* That it is JSON and a schema, and what it takes and refuses, is shown by tests/unit/schema.py. */
static void every_reference_of_the_schema_points_to_a_definition(void **state)
{
	static const char before[] = "\"$ref\": \"#/definitions/";
	autotext struct text made = {0};
	unsigned references = 0;

	(void)state;
	profile_schema_print(&made);
	for (const char *at = text_string(&made); (at = strstr(at, before)); references++) {
		autofree char *definition = NULL;

		at += strlen(before);
		assert_true(
			asprintf(&definition, "\n    \"%.*s\": {", (int)strcspn(at, "\""), at) > 0);
		if (!strstr(text_string(&made), definition))
			fail_msg("%s is not defined", definition);
	}
	assert_true(references > SECTION_COUNT - 2);
}

static void every_enforced_key_says_by_what_and_every_word_is_about_a_key(void **state)
{
	static const enum section_id checked[] = {SECTION_REQUIRES, SECTION_FS, SECTION_TMP,
		SECTION_HOME, SECTION_NETWORK, SECTION_EXEC, SECTION_SYSCALLS, SECTION_ENV,
		SECTION_LIMITS, SECTION_BLAST_RADIUS};

	(void)state;
	for (size_t i = 0; i < array_size(checked); i++) {
		const struct section *section = &sections[checked[i]];

		for (const struct key *key = section->keys; key->name; key++) {
			autofree char *full = NULL;

			if (key->type == VALUE_OBJECT || key->flags & KEY_PENDING)
				continue;
			assert_true(asprintf(&full, "%s.%s", section->path, key->name) > 0);
			if (!profile_enforced_by(full))
				fail_msg("%s does not say by what it is enforced", full);
		}
	}
	assert_null(profile_enforced_by("fs.reed"));
	assert_null(profile_enforced_by("blast_radius.tool_calls"));
}

static void the_reference_names_every_key(void **state)
{
	autotext struct text made = {0};

	(void)state;
	profile_reference_print(&made);
	for (unsigned id = 0; id < SECTION_COUNT; id++)
		for (const struct key *key = sections[id].keys; key->name; key++) {
			autofree char *row = NULL;

			assert_true(asprintf(&row, "| `%s`", key->name) > 0);
			assert_non_null(strstr(text_string(&made), row));
		}
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(the_shipped_schema_is_what_the_key_table_says),
		cmocka_unit_test(the_reference_is_what_the_key_table_says),
		cmocka_unit_test(every_reference_of_the_schema_points_to_a_definition),
		cmocka_unit_test(every_enforced_key_says_by_what_and_every_word_is_about_a_key),
		cmocka_unit_test(the_reference_names_every_key),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
