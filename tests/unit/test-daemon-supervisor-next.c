/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/own.h"
#include "daemon/supervisor-next.h"
#include "policy/trust.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* This program is the next version, too: what it does when it is asked for its --version. */
#define BEHAVIOUR "TEST_NEXT_VERSION"
#define LONG_MS 120000
#define FLOOD 4096

static int be_the_next_version(const char *how)
{
	char flood[FLOOD];

	memset(flood, '1', sizeof(flood));
	if (strcmp(how, "good") == 0)
		return puts("berm 12.0") < 0;
	if (strcmp(how, "code") == 0)
		return puts("berm 12.0") < 0 ? 1 : 3;
	if (strcmp(how, "other") == 0)
		return puts("true (coreutils) 9.1") < 0;
	if (strcmp(how, "words") == 0)
		return puts("berm knows no such option") < 0;
	if (strcmp(how, "lines") == 0)
		return puts("berm 12.0\nberm 12.0 and more") < 0;
	if (strcmp(how, "flood") == 0)
		return printf("berm ") < 0 || fwrite(flood, sizeof(flood), 1, stdout) != 1;
	if (strcmp(how, "killed") == 0)
		raise(SIGABRT);
	if (strcmp(how, "hangs") == 0)
		pause();
	return 0;
}

static int try_it(const char *how, unsigned limit_ms, struct error *err)
{
	autoclose int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(setenv(BEHAVIOUR, how, 1), 0);
	return supervisor_next_try(fd, limit_ms, err);
}

static void what_says_its_version_is_taken(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(try_it("good", LONG_MS, &err), 0);
}

static void what_does_anything_else_is_not(void **state)
{
	static const struct {
		const char *how, *why;
	} rows[] = {{"code", "ended with code 3"}, {"other", "no berm"}, {"words", "no berm"},
		{"lines", "no berm"}, {"flood", "no berm"}, {"silent", "no berm"},
		{"killed", "killed by signal 6"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct error err = {0};

		assert_int_equal(try_it(rows[i].how, LONG_MS, &err), -ENOEXEC);
		assert_non_null(strstr(err.text, rows[i].why));
	}
}

static void nobody_waits_for_one_that_hangs(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(try_it("hangs", 50, &err), -ETIMEDOUT);
}

static void what_is_no_program_says_why(void **state)
{
	char path[] = "/tmp/test-next-XXXXXX";
	autoclose int write_fd = mkstemp(path), fd = -1;
	struct error err = {0};

	(void)state;
	assert_true(write_fd >= 0 && write(write_fd, "no program\n", 11) == 11);
	assert_int_equal(fchmod(write_fd, 0755), 0);
	own_close(&write_fd);
	fd = open(path, O_PATH | O_CLOEXEC);
	assert_int_equal(supervisor_next_try(fd, LONG_MS, &err), -ENOEXEC);
	assert_non_null(strstr(err.text, "Exec format error"));
	assert_int_equal(unlink(path), 0);
}

/* ---- whose program it is ---- */

struct tree {
	char top[64], dir[80], file[96], link[80], through[96];
};

static void make_tree(struct tree *t)
{
	autoclose int fd = -1;

	strcpy(t->top, "/tmp/test-next-XXXXXX");
	assert_non_null(mkdtemp(t->top));
	snprintf(t->dir, sizeof(t->dir), "%s/dir", t->top);
	snprintf(t->file, sizeof(t->file), "%s/berm", t->dir);
	snprintf(t->link, sizeof(t->link), "%s/link", t->top);
	snprintf(t->through, sizeof(t->through), "%s/berm", t->link);
	assert_int_equal(mkdir(t->dir, 0755), 0);
	fd = open(t->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(symlink("dir", t->link), 0);
}

static void remove_tree(const struct tree *t)
{
	assert_int_equal(unlink(t->file), 0);
	assert_int_equal(unlink(t->link), 0);
	assert_int_equal(rmdir(t->dir), 0);
	assert_int_equal(rmdir(t->top), 0);
}

static int judged(const char *path)
{
	struct error err = {0};
	autoclose int fd = trust_program(path, geteuid(), &err);

	assert_true(fd >= 0 || err.text[0]);
	return fd >= 0 ? 0 : fd;
}

static void only_its_owner_can_change_it_or_put_another_one_there(void **state)
{
	struct tree t;

	(void)state;
	make_tree(&t);
	assert_int_equal(judged(t.file), 0);
	assert_int_equal(judged(t.through), -ELOOP);
	assert_int_equal(judged(t.dir), -EINVAL);
	assert_int_equal(chmod(t.file, 0775), 0);
	assert_int_equal(judged(t.file), -EPERM);
	assert_int_equal(chmod(t.file, 0755), 0);
	assert_int_equal(chmod(t.dir, 0777), 0);
	assert_int_equal(judged(t.file), -EPERM);
	assert_int_equal(chmod(t.dir, 0755), 0);
	/* Not the directory of it alone. */
	assert_int_equal(chmod(t.top, 0770), 0);
	assert_int_equal(judged(t.file), -EPERM);
	assert_int_equal(chmod(t.top, 0755), 0);
	assert_int_equal(judged(t.file), 0);
	remove_tree(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(what_says_its_version_is_taken),
		cmocka_unit_test(what_does_anything_else_is_not),
		cmocka_unit_test(nobody_waits_for_one_that_hangs),
		cmocka_unit_test(what_is_no_program_says_why),
		cmocka_unit_test(only_its_owner_can_change_it_or_put_another_one_there),
	};
	const char *how = getenv(BEHAVIOUR);

	if (argc == 2 && strcmp(argv[1], "--version") == 0 && how)
		return be_the_next_version(how);
	return cmocka_run_group_tests(list, NULL, NULL);
}
