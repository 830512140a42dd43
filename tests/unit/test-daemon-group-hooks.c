/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/detached.h"
#include "daemon/group-hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* groups.yaml is read strictly, and what it names is started as nobody's child. */

static char top[] = "/tmp/berm-group-hooks-XXXXXX";

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", top, GROUP_HOOKS_FILE);
	unlink(path);
	return rmdir(top);
}

static void write_file(const char *text, mode_t mode)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", top, GROUP_HOOKS_FILE);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static int read_hooks(struct group_hooks *hooks, struct error *err)
{
	const struct groups groups = {.owner = getuid(), .state = top};

	return group_hooks_read(&groups, "crew", hooks, err);
}

static void each_group_has_its_own_or_that_of_all(void **state)
{
	static const struct {
		const char *text, *program, *backup;
	} rows[] = {
		{"version: 1\n", NULL},
		{"version: 1\ngroups: []\n", NULL},
		{"version: 1\ngroups: [{name: other, notify: [/bin/a]}]\n", NULL},
		{"version: 1\ngroups: [{notify: [/bin/a]}]\n", "/bin/a"},
		{"version: 1\ngroups: [{name: crew, notify: [/bin/b, x]}]\n", "/bin/b"},
		{"version: 1\ngroups: [{notify: [/bin/a]}, {name: crew, notify: [/bin/b]}]\n",
			"/bin/b"},
		{"version: 1\ngroups: [{name: crew, notify: [/bin/b]}, {notify: [/bin/a]}]\n",
			"/bin/b"},
		{"version: 1\ngroups: [{name: crew, backup: [/bin/c, x]}]\n", NULL, "/bin/c"},
		{"version: 1\ngroups: [{backup: [/bin/c], notify: [/bin/a]}]\n", "/bin/a",
			"/bin/c"},
		/* What an entry of its own does not say nobody says. */
		{"version: 1\ngroups: [{notify: [/bin/a]}, {name: crew, backup: [/bin/c]}]\n", NULL,
			"/bin/c"},
		{"version: 1\ngroups: [{name: crew, notify: [/bin/b]}, {backup: [/bin/c]}]\n",
			"/bin/b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autogrouphooks struct group_hooks hooks = {0};
		struct error err = {0};

		write_file(rows[i].text, 0644);
		if (read_hooks(&hooks, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(!hooks.notify, !rows[i].program);
		if (rows[i].program)
			assert_string_equal(hooks.notify[0], rows[i].program);
		assert_int_equal(!hooks.backup, !rows[i].backup);
		if (rows[i].backup)
			assert_string_equal(hooks.backup[0], rows[i].backup);
	}
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *words;
		mode_t mode;
	} rows[] = {
		{"", "empty", 0644},
		{"groups: []\n", "version", 0644},
		{"version: 2\n", "version 1", 0644},
		{"version: 1\ngroup: []\n", "did you mean `groups`", 0644},
		{"version: 1\ngroups: {}\n", "a list", 0644},
		{"version: 1\ngroups: [x]\n", "an entry is a mapping", 0644},
		{"version: 1\ngroups: [{name: crew}]\n", "`notify` is missing", 0644},
		{"version: 1\ngroups: [{name: CREW, notify: [/a]}]\n", "name", 0644},
		{"version: 1\ngroups: [{backup: [a]}]\n", "absolute path", 0644},
		{"version: 1\ngroups: [{notify: [a]}]\n", "absolute path", 0644},
		{"version: 1\ngroups: [{notify: /a}]\n", "a list of a program", 0644},
		{"version: 1\ngroups: [{notify: [/a]}, {notify: [/b]}]\n", "two entries", 0644},
		{"version: 1\ngroups: [{name: a, notify: [/a]}, {name: a, notify: [/b]}]\n",
			"two entries for a", 0644},
		{"version: 1\n", "", 0666},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autogrouphooks struct group_hooks hooks = {0};
		struct error err = {0};

		write_file(rows[i].text, rows[i].mode);
		if (read_hooks(&hooks, &err) == 0)
			fail_msg("taken: %s", rows[i].text);
		if (!strstr(err.text, rows[i].words))
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_null(hooks.notify);
	}
}

static void it_gets_its_input_and_nothing_else(void **state)
{
	char program[] = "/bin/sh", option[] = "-c", name[128], script[512];
	char *argv[] = {program, option, script, NULL};
	autoclose int input = memfd_create("words", MFD_CLOEXEC), fifo = -1;
	struct error err = {0};
	char got[256] = "";
	size_t length = 0;

	(void)state;
	snprintf(name, sizeof(name), "%s/fifo", top);
	assert_int_equal(mkfifo(name, 0600), 0);
	fifo = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_not_equal(fifo, -1);
	/* What a program must not find: an environment, a directory, a descriptor. */
	setenv("BERM_TEST_SECRET", "1", 1);
	assert_int_equal(write(input, "hello\n", 6), 6);
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	snprintf(script, sizeof(script),
		"exec > %s; cat; pwd; echo ${BERM_TEST_SECRET-none}; echo /proc/self/fd/*; "
		"read a b c d e f g h < /proc/self/stat; echo $g",
		name);
	assert_int_equal(
		detached_start(
			&(struct detached){.argv = argv, .input = input, .limit_seconds = 20},
			&err),
		0);
	unsetenv("BERM_TEST_SECRET");
	while (length < sizeof(got) - 1) {
		struct pollfd polled = {.fd = fifo, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&polled, 1, 20000), 1);
		n = read(fifo, got + length, sizeof(got) - 1 - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	unlink(name);
	/* The directory that lists them is the fourth. */
	if (strncmp(got,
		    "hello\n/\nnone\n/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 "
		    "/proc/self/fd/3\n0\n",
		    79) != 0)
		fail_msg("it says: %s", got);
}

static void what_cannot_be_executed_is_told(void **state)
{
	char program[] = "/does/not/exist";
	char *argv[] = {program, NULL};
	struct error err = {0};

	(void)state;
	assert_int_equal(
		detached_start(
			&(struct detached){.argv = argv, .input = -1, .limit_seconds = 1}, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, program));
}

static void what_lasts_too_long_is_killed_with_its_children(void **state)
{
	char program[] = "/bin/sh", option[] = "-c", script[256], name[128];
	char *argv[] = {program, option, script, NULL};
	autoclose int fifo = -1;
	struct pollfd polled = {.events = POLLIN}, ended = {0};
	struct error err = {0};
	char up[8];

	(void)state;
	snprintf(name, sizeof(name), "%s/fifo", top);
	assert_int_equal(mkfifo(name, 0600), 0);
	fifo = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	polled.fd = ended.fd = fifo;
	snprintf(script, sizeof(script), "trap '' TERM INT; exec > %s; echo up; sleep 300 & wait",
		name);
	assert_int_equal(
		detached_start(
			&(struct detached){.argv = argv, .input = -1, .limit_seconds = 3}, &err),
		0);
	assert_int_equal(poll(&polled, 1, 60000), 1);
	assert_int_equal(read(fifo, up, sizeof(up)), 3);
	/* Until all who had it have closed it. */
	assert_int_equal(poll(&ended, 1, 60000), 1);
	assert_true(ended.revents & POLLHUP);
	unlink(name);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_group_has_its_own_or_that_of_all),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(it_gets_its_input_and_nothing_else),
		cmocka_unit_test(what_cannot_be_executed_is_told),
		cmocka_unit_test(what_lasts_too_long_is_killed_with_its_children),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
