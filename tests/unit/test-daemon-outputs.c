/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/outputs.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

#include "base/own.h"

#define COUNT 8

static Berm__Wire__RecorderOutput items[COUNT], *pointers[COUNT];

/* The outputs with these names in the tree, hashed. */
static struct output *hash(const char *const *names, size_t count)
{
	static char paths[COUNT][PATH_MAX];
	Berm__Wire__Recorder recorder;
	struct output *outputs;
	size_t told;

	berm__wire__recorder__init(&recorder);
	for (size_t i = 0; i < count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s", in_top(names[i]));
		berm__wire__recorder_output__init(&items[i]);
		items[i].path = paths[i];
		pointers[i] = &items[i];
	}
	recorder.outputs = pointers;
	recorder.n_outputs = count;
	assert_int_equal(outputs_hash(&recorder, &outputs, &told, NULL), 0);
	assert_int_equal(told, count);
	return outputs;
}

static void files_are_hashed_and_others_are_named(void **state)
{
	static const char *const names[] = {
		"file", "empty", "directory", "link", "behind/file", "none", "file/x", "pipe"};
	static const enum output_state states[] = {OUTPUT_HASHED, OUTPUT_HASHED, OUTPUT_NOT_A_FILE,
		OUTPUT_LINK, OUTPUT_LINK, OUTPUT_MISSING, OUTPUT_MISSING, OUTPUT_NOT_A_FILE};
	autofree struct output *outputs = NULL;
	uint8_t wanted[OUTPUT_DIGEST_BYTES];

	(void)state;
	make_file("file", "content");
	make_file("empty", "");
	make_directory("directory");
	make_file("directory/file", "x");
	assert_int_equal(symlink("file", in_top("link")), 0);
	assert_int_equal(symlink("directory", in_top("behind")), 0);
	assert_int_equal(mkfifo(in_top("pipe"), 0600), 0);
	outputs = hash(names, array_size(names));
	for (size_t i = 0; i < array_size(names); i++)
		if (outputs[i].state != states[i])
			fail_msg("%s: %u", names[i], outputs[i].state);
	crypto_generichash(wanted, sizeof(wanted), (const uint8_t *)"content", 7, NULL, 0);
	assert_memory_equal(outputs[0].digest, wanted, sizeof(wanted));
	assert_int_equal(outputs[0].bytes, 7);
	crypto_generichash(wanted, sizeof(wanted), (const uint8_t *)"", 0, NULL, 0);
	assert_memory_equal(outputs[1].digest, wanted, sizeof(wanted));
	for (unsigned i = 1; i < OUTPUT_STATE_COUNT; i++)
		assert_non_null(output_state_word(i));
	assert_null(output_state_word(OUTPUT_HASHED));
}

/* The bound is of all together: a file that is too large leaves room for those after it. */
static void what_is_too_large_is_not_read(void **state)
{
	static const char *const names[] = {"huge", "small", "missing"};
	autofree struct output *outputs = NULL;

	(void)state;
	make_file("huge", "");
	make_file("small", "s");
	assert_int_equal(truncate(in_top("huge"), (off_t)OUTPUTS_BYTES_MAX + 1), 0);
	outputs = hash(names, array_size(names));
	assert_int_equal(outputs[0].state, OUTPUT_TOO_LARGE);
	assert_int_equal(outputs[0].bytes, OUTPUTS_BYTES_MAX + 1);
	assert_int_equal(outputs[1].state, OUTPUT_HASHED);
	assert_int_equal(outputs[2].state, OUTPUT_MISSING);
}

static void no_outputs_are_none(void **state)
{
	struct output *outputs = (struct output *)1;
	size_t count = 1;

	(void)state;
	assert_int_equal(outputs_hash(NULL, &outputs, &count, NULL), 0);
	assert_null(outputs);
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			files_are_hashed_and_others_are_named, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(
			what_is_too_large_is_not_read, make_tree, remove_tree),
		cmocka_unit_test(no_outputs_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
