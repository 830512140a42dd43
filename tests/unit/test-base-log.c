/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* The descriptor that stderr was, to give back. */
static int replace_stderr(int writer)
{
	int kept = dup(STDERR_FILENO);

	assert_true(kept >= 0);
	assert_int_equal(dup2(writer, STDERR_FILENO), STDERR_FILENO);
	return kept;
}

static void restore_stderr(int kept)
{
	assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
	close(kept);
}

static size_t fill(int fd)
{
	static const char bytes[4096] = {0};
	int flags = fcntl(fd, F_GETFL);
	size_t written = 0;
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	for (size_t size = sizeof(bytes); size; size /= 2)
		while ((n = write(fd, bytes, size)) > 0)
			written += (size_t)n;
	assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
	return written;
}

static void drain(int fd, size_t bytes)
{
	char buffer[4096];

	while (bytes > 0) {
		ssize_t n = read(fd, buffer, sizeof(buffer) < bytes ? sizeof(buffer) : bytes);

		assert_true(n > 0);
		bytes -= (size_t)n;
	}
}

/* A pipe that a tool has filled: the line is lost, and the next one is whole. */
static void a_line_that_nobody_takes_is_not_waited_for(void **state)
{
	static const char expected[] = "berm: second\\x0aline\n";

	(void)state;
	for (int sockets = 0; sockets < 2; sockets++) {
		char line[64] = "";
		int fds[2], kept;
		size_t full;

		if (sockets)
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		else
			assert_int_equal(pipe(fds), 0);
		kept = replace_stderr(fds[1]);
		full = fill(fds[1]);
		alarm(20);
		log_line("first");
		alarm(0);
		drain(fds[0], full);
		log_line("second\nline");
		restore_stderr(kept);
		assert_int_equal(read(fds[0], line, sizeof(line) - 1), strlen(expected));
		assert_string_equal(line, expected);
		close(fds[0]);
		close(fds[1]);
	}
}

static void a_file_takes_every_line(void **state)
{
	char path[] = "/tmp/berm-log-XXXXXX", text[64] = "";
	int fd = mkstemp(path), kept;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	kept = replace_stderr(fd);
	log_line("one");
	log_line("%s", "two");
	restore_stderr(kept);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 20);
	assert_string_equal(text, "berm: one\nberm: two\n");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_nobody_takes_is_not_waited_for),
		cmocka_unit_test(a_file_takes_every_line),
	};

	return cmocka_run_group_tests_name("base-log", tests, NULL, NULL);
}
