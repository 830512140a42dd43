/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/launch.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void make_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static void a_message_and_its_descriptor_arrive(void **state)
{
	struct sync_message out = {.type = SYNC_WALLS, .status = 7}, in;
	struct stat sent, got;
	int ends[2], fd = -1;

	(void)state;
	make_pair(ends);
	assert_int_equal(sync_send(ends[1], &out, STDIN_FILENO), 0);
	assert_int_equal(sync_receive(ends[0], &in, &fd, 0), 0);
	assert_int_equal(in.type, SYNC_WALLS);
	assert_int_equal(in.status, 7);
	assert_true(fd > 2);
	assert_int_equal(fstat(STDIN_FILENO, &sent), 0);
	assert_int_equal(fstat(fd, &got), 0);
	assert_true(sent.st_ino == got.st_ino && sent.st_dev == got.st_dev);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

static void a_dead_peer_is_never_success(void **state)
{
	struct sync_message in, out = {.type = SYNC_GO};
	int ends[2];

	(void)state;
	make_pair(ends);
	close(ends[1]);
	assert_int_equal(sync_receive(ends[0], &in, NULL, 0), -EPIPE);
	assert_int_equal(sync_send(ends[0], &out, -1), -EPIPE);
	close(ends[0]);
}

static void short_and_long_messages_break_the_protocol(void **state)
{
	static const size_t lengths[] = {
		1, 8, sizeof(struct sync_message) - 1, sizeof(struct sync_message) + 1, 4096};
	char bytes[4096] = {0};

	(void)state;
	for (size_t i = 0; i < array_size(lengths); i++) {
		struct sync_message in;
		int ends[2];

		make_pair(ends);
		assert_int_equal(send(ends[1], bytes, lengths[i], 0), lengths[i]);
		assert_int_equal(sync_receive(ends[0], &in, NULL, 0), -EPROTO);
		close(ends[0]);
		close(ends[1]);
	}
}

static void a_text_without_an_end_gets_one(void **state)
{
	struct sync_message out = {.type = SYNC_FAILED}, in;
	int ends[2];

	(void)state;
	memset(out.error.text, 'x', sizeof(out.error.text));
	make_pair(ends);
	assert_int_equal(sync_send(ends[1], &out, -1), 0);
	assert_int_equal(sync_receive(ends[0], &in, NULL, 0), 0);
	assert_int_equal(strlen(in.error.text), ERROR_TEXT_MAX - 1);
	close(ends[0]);
	close(ends[1]);
}

static void the_first_that_is_left_is_the_last_word(void **state)
{
	struct sync_message failed = {.type = SYNC_FAILED},
			    ended = {.type = SYNC_EXIT, .status = 7}, in;
	struct sync_message *last = sync_last_new();
	pid_t pid;

	(void)state;
	assert_non_null(last);
	assert_false(sync_left(last, &in));
	memset(failed.error.text, 'x', sizeof(failed.error.text));
	pid = fork();
	if (pid == 0) {
		sync_leave(last, &failed);
		sync_leave(last, &ended);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(sync_left(last, &in));
	assert_int_equal(in.type, SYNC_FAILED);
	assert_int_equal(strlen(in.error.text), ERROR_TEXT_MAX - 1);
	sync_last_free(last);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_message_and_its_descriptor_arrive),
		cmocka_unit_test(a_dead_peer_is_never_success),
		cmocka_unit_test(short_and_long_messages_break_the_protocol),
		cmocka_unit_test(a_text_without_an_end_gets_one),
		cmocka_unit_test(the_first_that_is_left_is_the_last_word),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
