/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/evidence.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 10
#define LONG_AGO 1000000

static int make_directory(char path[32])
{
	snprintf(path, 32, "/tmp/evidence-XXXXXX");
	assert_non_null(mkdtemp(path));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Number i is as old as LONG_AGO + i and has i + 1 bytes. */
static void make_file(int directory, const char *name, unsigned i)
{
	struct timespec times[2] = {{.tv_sec = LONG_AGO + i}, {.tv_sec = LONG_AGO + i}};
	autoclose int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789", i + 1), i + 1);
	assert_int_equal(futimens(fd, times), 0);
}

static unsigned left(int directory, const char *path, bool remove)
{
	unsigned set = 0;

	for (unsigned i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%026u.json", i);
		if (faccessat(directory, name, F_OK, 0) == 0)
			set |= 1U << i;
		if (remove)
			unlinkat(directory, name, 0);
	}
	if (remove) {
		unlinkat(directory, "other", 0);
		assert_int_equal(rmdir(path), 0);
	}
	return set;
}

static void what_is_over_the_bounds_goes_the_oldest_first(void **state)
{
	static const struct {
		size_t files;
		uint64_t bytes;
		int64_t since;
		unsigned removed;
	} rows[] = {
		{FILES, 1000, LONG_AGO + FILES, 0},
		{FILES - 3, 1000, LONG_AGO + FILES, 3},
		{FILES, 55 - 1, LONG_AGO + FILES, 1},
		{FILES, 55 - 4, LONG_AGO + FILES, 3},
		{0, 0, LONG_AGO + FILES, FILES},
		/* What was written by whoever asks stays. */
		{0, 0, LONG_AGO + 2, 2},
		{0, 0, LONG_AGO, 0},
	};

	(void)state;
	for (size_t r = 0; r < array_size(rows); r++) {
		char path[32];
		autoclose int directory = make_directory(path);

		for (unsigned i = FILES; i-- > 0;) {
			char name[32];

			snprintf(name, sizeof(name), "%026u.json", i);
			make_file(directory, name, i);
		}
		make_file(directory, "other", 0);
		assert_int_equal(
			evidence_prune(directory, rows[r].files, rows[r].bytes, rows[r].since),
			rows[r].removed);
		assert_int_equal(faccessat(directory, "other", F_OK, 0), 0);
		assert_int_equal(left(directory, path, true),
			((1U << FILES) - 1) & ~((1U << rows[r].removed) - 1));
	}
}

/* A process with that command line, which waits until it is killed. */
static pid_t begin(char *const *argv)
{
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv("/bin/sh", argv);
		_exit(127);
	}
	close(ends[1]);
	/* The end of the pipe closes with the exec. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	return pid;
}

static void arguments_are_kept_without_secrets(void **state)
{
	char shell[] = "sh", option[] = "-c", script[] = "kill -STOP $$; true";
	char zero[] = "name", password[] = "--password", secret[] = "hunter2-and-more";
	char token[] = "X=ghp_0123456789abcdefghijABCDEFGHIJ012345", plain[] = "plain-word";
	char *argv[] = {shell, option, script, zero, password, secret, token, plain, NULL};
	struct evidence evidence = {0};
	autotext struct text text = {0};
	struct evidence_subject subject = {0, "", &evidence, &text};
	pid_t pid = begin(argv);

	(void)state;
	subject.init_pid = pid;
	evidence_look(&subject, 1, 20000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(evidence.processes >= 1);
	assert_non_null(strstr(text_string(&text), "plain-word"));
	assert_non_null(strstr(text_string(&text), "\"--password\""));
	assert_null(strstr(text_string(&text), "hunter2"));
	assert_null(strstr(text_string(&text), "ghp_0123456789"));
	assert_non_null(strstr(text_string(&text), "[redacted:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_over_the_bounds_goes_the_oldest_first),
		cmocka_unit_test(arguments_are_kept_without_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
