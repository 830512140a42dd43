/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/image.h"
#include "policy/load.h"
#include "policy/loaded.h"

#include <string.h>

static struct profile *profile;

static int load(void **state)
{
	const char *source = getenv("BERM_SOURCE");
	struct profile_request from = {.variables = {.home = "/srv/u",
					       .workdir = "/srv/u/w",
					       .tmpdir = "/tmp",
					       .uid = "1"},
		.trusted_uid = getuid()};
	autotext struct text said = {0};
	struct error err = {0};
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/tests/plans/deny.yaml", source ? source : ".");
	from.profile = path;
	return profile_load(&from, &profile, &said, &err);
}

static int release(void **state)
{
	(void)state;
	profile_destroy(profile);
	return 0;
}

static void an_image_that_is_not_whole_is_refused(void **state)
{
	autotext struct text image = {0};
	struct error err = {0};

	(void)state;
	profile_image_write(profile, &image);
	assert_false(image.failed);
	for (size_t length = 0; length < image.length; length++) {
		struct profile *read = NULL;

		assert_int_equal(
			profile_image_read(image.data, length, NULL, NULL, &read, &err), -EPROTO);
		assert_null(read);
	}
}

static void an_image_of_other_files_is_refused(void **state)
{
	struct source_file other = *profile->sources;
	autoprofile struct profile *same = NULL;
	autotext struct text image = {0};
	struct profile *read = NULL;
	struct error err = {0};

	(void)state;
	profile_image_write(profile, &image);
	assert_int_equal(
		profile_image_read(image.data, image.length, profile->sources, NULL, &same, &err),
		0);
	assert_ptr_equal(same->sources, profile->sources);
	assert_ptr_equal(same->fs.read.items[0].at.file, profile->fs.read.items[0].at.file);
	other.real = "/etc/berm/other.yaml";
	assert_int_equal(
		profile_image_read(image.data, image.length, &other, NULL, &read, &err), -EPROTO);
	other = *profile->sources;
	other.next = profile->sources;
	assert_int_equal(
		profile_image_read(image.data, image.length, &other, NULL, &read, &err), -EPROTO);
	text_append(&image, "", 1);
	assert_int_equal(
		profile_image_read(image.data, image.length, NULL, NULL, &read, &err), -EPROTO);
	assert_null(read);
}

/* Of every length: what is added must not lie on what came from the image. */
static void lists_of_an_image_can_grow(void **state)
{
	(void)state;
	for (size_t count = 1; count <= 9; count++) {
		struct path_rule rules[9] = {0}, *grown;
		struct profile with = *profile;
		autoprofile struct profile *read = NULL;
		autotext struct text image = {0};
		struct error err = {0};

		for (size_t i = 0; i < count; i++)
			rules[i] = (struct path_rule){.path = "/some", .written = "/some"};
		with.fs.deny.items = rules;
		with.fs.deny.count = count;
		profile_image_write(&with, &image);
		assert_int_equal(
			profile_image_read(image.data, image.length, NULL, NULL, &read, &err), 0);
		grown = arena_grow(&((struct loaded *)read)->arena, read->fs.deny.items, count,
			sizeof(*grown));
		assert_non_null(grown);
		grown[count].path = "/added";
		for (size_t i = 0; i < count; i++)
			assert_string_equal(grown[i].path, "/some");
		assert_int_equal(read->fs.read.count, profile->fs.read.count);
		for (size_t i = 0; i < profile->fs.read.count; i++)
			assert_string_equal(
				read->fs.read.items[i].path, profile->fs.read.items[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_that_is_not_whole_is_refused),
		cmocka_unit_test(an_image_of_other_files_is_refused),
		cmocka_unit_test(lists_of_an_image_can_grow),
	};

	return cmocka_run_group_tests(tests, load, release);
}
