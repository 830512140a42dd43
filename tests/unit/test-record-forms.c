/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/anchor.h"
#include "record/verify.h"

#include "tree.h"

#include <sys/wait.h>

/* The small forms around a log: names, lines, headers; and the real disk. */

static void segment_names_are_read_back_and_nothing_else(void **state)
{
	static const char *const bad[] = {"", "1.seg", "0000000001.seg.new", "000000000a.seg",
		"0000000001.log", "00000000001.seg", "-000000001.seg", "lock"};
	char name[SEGMENT_NAME_BYTES];

	(void)state;
	segment_name(1, name);
	assert_string_equal(name, "0000000001.seg");
	segment_name(SEGMENT_NUMBER_MAX, name);
	assert_true(segment_number(name) == SEGMENT_NUMBER_MAX);
	assert_true(segment_number("0000000000.seg") == 0);
	for (unsigned i = 0; i < array_size(bad); i++)
		assert_true(segment_number(bad[i]) == 0);
}

static void lines_are_read_back_and_nothing_else(void **state)
{
	struct log_pin pin, pin_back;
	struct log_head head = {.segment = 3, .sequence = UINT64_MAX}, head_back;
	char line[LOG_LINE_BYTES + 2] = "";
	size_t length;

	(void)state;
	memset(&pin, 0xab, sizeof(pin));
	memset(head.hash, 0x01, sizeof(head.hash));
	memset(head.log_id, 0xf0, sizeof(head.log_id));
	log_pin_format(&pin, line);
	length = strlen(line);
	assert_int_equal(log_pin_parse(line, length, &pin_back, NULL), 0);
	assert_memory_equal(&pin, &pin_back, sizeof(pin));
	for (size_t i = 0; i < length; i++)
		assert_true(log_pin_parse(line, i, &pin_back, NULL) < 0);
	strcat(line, "\n");
	assert_true(log_pin_parse(line, length + 1, &pin_back, NULL) < 0);
	line[20] = 'A';
	assert_true(log_pin_parse(line, length, &pin_back, NULL) < 0);

	log_head_format(&head, line);
	length = strlen(line);
	assert_int_equal(log_head_parse(line, length, &head_back, NULL), 0);
	assert_true(head_back.segment == 3 && head_back.sequence == UINT64_MAX);
	assert_memory_equal(head_back.hash, head.hash, sizeof(head.hash));
	for (size_t i = 0; i < length; i++)
		assert_true(log_head_parse(line, i, &head_back, NULL) < 0);
	assert_true(log_pin_parse(line, length, &pin_back, NULL) < 0);
	head.segment = 0;
	log_head_format(&head, line);
	assert_true(log_head_parse(line, strlen(line), &head_back, NULL) < 0);
}

static void frames_that_are_none_are_refused(void **state)
{
	uint8_t bytes[256] = {0};
	struct frame frame;

	(void)state;
	frame_write_header(bytes, FRAME_RECORD, 10);
	assert_int_equal(frame_read(bytes, sizeof(bytes), &frame), FRAME_WHOLE);
	assert_int_equal(frame.length, 8 + 10 + 32);
	assert_null(frame.signature);
	for (size_t i = 0; i < frame.length; i++)
		assert_int_equal(frame_read(bytes, i, &frame), FRAME_SHORT);
	frame_write_header(bytes, FRAME_SIGNED, 10);
	assert_int_equal(frame_read(bytes, sizeof(bytes), &frame), FRAME_WHOLE);
	assert_int_equal(frame.length, 8 + 10 + 64 + 32);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t saved = bytes[i];

		bytes[i] = 0xff;
		assert_int_not_equal(frame_read(bytes, sizeof(bytes), &frame), FRAME_WHOLE);
		bytes[i] = saved;
	}
	memset(bytes, 0, 8);
	assert_int_equal(frame_read(bytes, sizeof(bytes), &frame), FRAME_BAD);
}

static void every_reason_has_its_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VERIFY_REASON_COUNT; i++) {
		assert_non_null(verify_reason_word((enum verify_reason)i));
		assert_non_null(verify_reason_text((enum verify_reason)i));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(verify_reason_word((enum verify_reason)i),
				verify_reason_word((enum verify_reason)j));
	}
}

static void an_anchor_never_goes_back(void **state)
{
	int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct anchor_directory directory = {.storage = &storage_system, .dir = dir};
	struct anchor anchor = anchor_directory(&directory);
	struct log_head head = {.segment = 1, .sequence = 10}, other = {.log_id = {1}}, got;

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(anchor.latest(anchor.context, head.log_id, &got, NULL), -ENOENT);
	assert_int_equal(anchor.publish(anchor.context, &head, NULL), 0);
	head.sequence = 9;
	assert_int_equal(anchor.publish(anchor.context, &head, NULL), -ESTALE);
	head.sequence = 11;
	assert_int_equal(anchor.publish(anchor.context, &head, NULL), 0);
	assert_int_equal(anchor.latest(anchor.context, head.log_id, &got, NULL), 0);
	assert_true(got.sequence == 11);
	assert_int_equal(anchor.latest(anchor.context, other.log_id, &got, NULL), -ENOENT);
	/* A directory where the file should be, and one that is full of nothing. */
	assert_int_equal(close(dir), 0);
	assert_true(anchor.publish(anchor.context, &head, NULL) < 0);
}

static int count_name(void *data, const char *name)
{
	unsigned *count = data;

	(void)name;
	return ++*count > 2 ? -E2BIG : 0;
}

static void the_real_disk_answers_as_it_should(void **state)
{
	const struct storage_ops *ops = storage_system.ops;
	int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC), file, second, third, status;
	struct storage_stat st;
	unsigned names = 0;
	char bytes[16];
	pid_t child;

	(void)state;
	assert_int_equal(storage_replace(&storage_system, dir, "a", 0600, "12345", 5), 0);
	file = ops->open(NULL, dir, "a", O_RDWR, 0);
	assert_true(file >= 0);
	assert_int_equal(ops->stat(NULL, file, &st), 0);
	assert_true(st.size == 5 && st.mode == 0600 && st.uid == geteuid());
	assert_int_equal(ops->write(NULL, file, "xy", 2, 3), 0);
	assert_int_equal(ops->read(NULL, file, bytes, sizeof(bytes), 1), 4);
	assert_memory_equal(bytes, "23xy", 4);
	status = ops->reserve(NULL, file, 0, 65536);
	assert_true(status == 0 || status == -EOPNOTSUPP);
	assert_int_equal(ops->stat(NULL, file, &st), 0);
	assert_true(st.size == 5);
	assert_int_equal(ops->sync(NULL, file), 0);
	assert_int_equal(ops->sync_dir(NULL, dir), 0);
	assert_int_equal(ops->truncate(NULL, file, 1), 0);
	/* A second description cannot have the lock, here or in a child, until it is let go. */
	assert_int_equal(ops->lock(NULL, file), 0);
	second = ops->open(NULL, dir, "a", O_RDWR, 0);
	assert_int_equal(ops->lock(NULL, second), -EWOULDBLOCK);
	third = ops->open(NULL, dir, "a", O_RDONLY, 0);
	assert_int_equal(ops->is_locked(NULL, third), 1);
	child = fork();
	if (child == 0)
		_exit(ops->lock(NULL, second) == -EWOULDBLOCK ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ops->close(NULL, file);
	assert_int_equal(ops->is_locked(NULL, third), 0);
	ops->close(NULL, third);
	assert_int_equal(ops->lock(NULL, second), 0);
	ops->close(NULL, second);
	make_file("b", "");
	make_file("c", "");
	assert_int_equal(ops->list(NULL, dir, count_name, &names), -E2BIG);
	assert_int_equal(ops->remove(NULL, dir, "b"), 0);
	assert_int_equal(ops->rename(NULL, dir, "c", "d"), 0);
	assert_int_equal(ops->open(NULL, dir, "c", O_RDONLY, 0), -ENOENT);
	/* A pipe is not waited for, and is no file. */
	assert_int_equal(mkfifoat(dir, "p", 0600), 0);
	file = ops->open(NULL, dir, "p", O_RDONLY, 0);
	assert_true(file >= 0);
	assert_int_equal(ops->stat(NULL, file, &st), -EINVAL);
	assert_true(ops->read(NULL, file, bytes, sizeof(bytes), 0) < 0);
	ops->close(NULL, file);
	/* A link is never followed. */
	assert_int_equal(symlinkat("d", dir, "e"), 0);
	assert_int_equal(ops->open(NULL, dir, "e", O_RDONLY, 0), -ELOOP);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segment_names_are_read_back_and_nothing_else),
		cmocka_unit_test(lines_are_read_back_and_nothing_else),
		cmocka_unit_test(frames_that_are_none_are_refused),
		cmocka_unit_test(every_reason_has_its_words),
		in_tree(an_anchor_never_goes_back),
		in_tree(the_real_disk_answers_as_it_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
