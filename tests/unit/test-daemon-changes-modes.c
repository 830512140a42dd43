/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"

#include <ftw.h>
#include <grp.h>

/* Directories whose mode keeps their own owner out, as a user without privileges meets them: root
 * becomes one first, since it passes over every permission. */

#define PLAIN_UID 54321

static void put_closed_workspace(void)
{
	make_directory("state");
	make_directory("w");
	make_directory("w/shut");
	make_directory("w/goes");
	make_directory("w/goes/in");
	make_directory("w/turns");
	put("w/shut/edit", "one\n", 0644);
	put("w/goes/in/file", "goes\n", 0444);
	put("w/turns/old", "old\n", 0644);
	assert_int_equal(chmod(in_top("w/goes/in"), 0555), 0);
	assert_int_equal(chmod(in_top("w/goes"), 0555), 0);
	assert_int_equal(chmod(in_top("w/turns"), 0500), 0);
	assert_int_equal(chmod(in_top("w/shut"), 0555), 0);
}

static void put_closed_changes(void)
{
	make_directory(UPPER "shut");
	put(UPPER "shut/edit", "two\n", 0644);
	put(UPPER "shut/more", "more\n", 0644);
	make_directory(UPPER "ro");
	make_directory(UPPER "ro/deep");
	put(UPPER "ro/deep/file", "new\n", 0444);
	put_whiteout(UPPER "goes");
	make_directory(UPPER "turns");
	put_opaque(UPPER "turns");
	put(UPPER "turns/new", "new\n", 0644);
	assert_int_equal(chmod(in_top(UPPER "ro/deep"), 0555), 0);
	assert_int_equal(chmod(in_top(UPPER "ro"), 0555), 0);
	assert_int_equal(chmod(in_top(UPPER "turns"), 0555), 0);
	assert_int_equal(chmod(in_top(UPPER "shut"), 0555), 0);
}

static const char closed_committed[] = "ro 40555 \n"
				       "ro/deep 40555 \n"
				       "ro/deep/file 100444 new\\x0a\n"
				       "shut 40555 \n"
				       "shut/edit 100644 two\\x0a\n"
				       "shut/more 100644 more\\x0a\n"
				       "turns 40555 \n"
				       "turns/new 100644 new\\x0a\n";

static void stage_closed(void)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty = true;

	put_closed_workspace();
	set.disk = &quick;
	begin_guarded(&set, NULL);
	put_closed_changes();
	if (changes_seal(&set, &empty, &err) < 0)
		fail_msg("%s", err.text);
	assert_false(empty);
	change_set_finish(&set);
}

static int open_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)at;
	if (kind == FTW_D || kind == FTW_DNR)
		(void)!chmod(path, st->st_mode | 0700);
	return 0;
}

static void fresh(void)
{
	nftw(top, open_one, 16, FTW_PHYS);
	assert_int_equal(remove_tree(NULL), 0);
	assert_int_equal(make_own_tree(NULL), 0);
}

static int remove_closed_tree(void **state)
{
	nftw(top, open_one, 16, FTW_PHYS);
	return remove_tree(state);
}

static void check_tree(const char *wanted, const char *what, long n)
{
	autofree char *now = tree();

	if (strcmp(now, wanted) != 0)
		fail_msg("call %ld, %s:\n%s", n, what, now);
}

/* Whatever happened before: it is the old tree or the new one, and it can be finished. */
static void settle(const char *before, long n)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	int r = set_is_there() ? reopen(&set, &quick, &err) : -ENOENT;

	if (r == -ENOENT) {
		char **runs = NULL;
		int fd = place(false);

		check_tree(closed_committed, "committed", n);
		/* What could not be cleaned up is cleaned up by the next one who looks. */
		assert_int_equal(changes_list(fd, &runs, &err), 0);
		free(runs);
		close(fd);
		nothing_is_left();
		return;
	}
	if (r < 0)
		fail_msg("call %ld: %s", n, err.text);
	check_tree(before, "not committed", n);
	if (commit_whole(&set, &err) < 0)
		fail_msg("call %ld, once more: %s", n, err.text);
	change_set_finish(&set);
	check_tree(closed_committed, "committed at last", n);
	nothing_is_left();
}

static bool break_at(long n, bool dies)
{
	struct breaking b = {.left = n, .dies = dies};
	struct changes_disk disk = {breaks, &b};
	autofree char *before = NULL;
	int status;
	pid_t pid;

	stage_closed();
	before = tree();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		int r = reopen(&set, &disk, &err);

		if (r == 0)
			r = changes_commit(&set, &err);
		/* Who is told that it failed finds the workspace as it was, or is told so. */
		if (r < 0 && err.kind == ERROR_REFUSED) {
			autofree char *now = tree();

			if (strcmp(now, before) != 0)
				_exit(98);
		}
		if (r == 0)
			(void)!changes_clean(&set, &err);
		_exit(b.calls <= n ? 7 : r < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 98);
	settle(before, n);
	fresh();
	return WEXITSTATUS(status) != 7;
}

static void at_every_call(bool dies)
{
	long n = 0;

	while (break_at(n, dies))
		n++;
	assert_true(n > 40);
}

static void a_commit_of_closed_directories_is_whole_when_killed_at_any_call(void **state)
{
	(void)state;
	at_every_call(true);
}

static void a_commit_of_closed_directories_is_whole_when_any_call_fails(void **state)
{
	(void)state;
	at_every_call(false);
}

/* ---- a rollback needs nothing ---- */

static void drops(const char *what)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *before = tree(), *after = NULL;
	int fd = place(false);

	if (changes_open_to_drop(fd, RUN, &quick, &set, &err) < 0 || rollback_whole(&set, &err) < 0)
		fail_msg("%s: %s", what, err.text);
	close(fd);
	change_set_finish(&set);
	after = tree();
	assert_string_equal(after, before);
	nothing_is_left();
	fresh();
}

/* A run that ends so is listed, cannot be committed, and can be dropped. */
static void stage_and_drop(const char *what, void (*act)(void))
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty = false;

	put_workspace();
	set.disk = &quick;
	begin_guarded(&set, NULL);
	act();
	(void)!changes_seal(&set, &empty, &err);
	change_set_finish(&set);
	set = (struct change_set)CHANGE_SET_INIT;
	if (reopen(&set, &quick, &err) < 0)
		fail_msg("%s cannot be listed: %s", what, err.text);
	assert_int_equal(commit_whole(&set, &err), -EBUSY);
	change_set_finish(&set);
	drops(what);
}

static void close_a_directory(void)
{
	make_directory(UPPER "dir");
	put(UPPER "dir/here", "x\n", 0644);
	assert_int_equal(chmod(in_top(UPPER "dir"), 0), 0);
}

static void close_the_workspace(void)
{
	assert_int_equal(chmod(in_top(UPPER), 0), 0);
}

static void go_deep(const char *first, int levels)
{
	autoclose int fd = -1;

	make_directory(first);
	fd = open(in_top(first), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < levels; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_int_equal(fchmod(fd, 0555), 0);
}

static void be_deeper_than_any_path(void)
{
	go_deep(UPPER "abyss", 3000);
}

static void have_many_attributes(void)
{
	char name[64];

	put(UPPER "many", "x\n", 0644);
	for (int i = 0; i < 1400; i++) {
		snprintf(name, sizeof(name), "user.%045d", i);
		if (setxattr(in_top(UPPER "many"), name, "", 0, 0) < 0)
			break;
	}
	/* A file system that keeps so many no further: it is closed instead. */
	if (listxattr(in_top(UPPER "many"), NULL, 0) < 65536)
		assert_int_equal(chmod(in_top(UPPER "many"), 0), 0);
}

static void whatever_a_run_left_can_be_listed_and_dropped(void **state)
{
	(void)state;
	stage_and_drop("a closed directory", close_a_directory);
	stage_and_drop("a closed workspace", close_the_workspace);
	stage_and_drop("an abyss", be_deeper_than_any_path);
	stage_and_drop("many attributes", have_many_attributes);
}

static void a_set_without_a_head_or_with_a_broken_one_can_be_dropped(void **state)
{
	(void)state;
	stage_closed();
	assert_int_equal(unlink(in_top("state/changes/" RUN "/head")), 0);
	assert_int_equal(unlink(in_top("state/changes/" RUN "/manifest")), 0);
	drops("no head");
	stage_closed();
	put("state/changes/" RUN "/head", "berm", 0600);
	drops("a broken head");
	stage_closed();
	assert_int_equal(rename(in_top("w"), in_top("elsewhere")), 0);
	make_directory("w");
	drops("another workspace");
}

/* The commit dies at call n; the rollback undoes what is done, or says that it was finished. */
static void a_rollback_undoes_a_commit_that_was_broken_off(void **state)
{
	long undone = 0;

	(void)state;
	for (long n = 0; n < 110; n += 3) {
		struct breaking b = {.left = n, .dies = true};
		struct changes_disk disk = {breaks, &b};
		struct change_set set = CHANGE_SET_INIT;
		autofree char *before = NULL;
		struct error err = {0};
		int status, fd, r;
		pid_t pid;

		stage_closed();
		before = tree();
		pid = fork();
		if (pid == 0) {
			r = reopen(&set, &disk, &err);
			if (r == 0)
				(void)!commit_whole(&set, &err);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		fd = place(false);
		r = changes_open_to_drop(fd, RUN, &quick, &set, &err);
		close(fd);
		if (r == 0 && !set.committed) {
			assert_int_equal(rollback_whole(&set, &err), 0);
			check_tree(before, "rolled back", n);
			nothing_is_left();
			undone++;
		} else {
			if (r == 0)
				assert_int_equal(changes_clean(&set, &err), 0);
			check_tree(closed_committed, "committed", n);
		}
		change_set_finish(&set);
		fresh();
	}
	assert_true(undone > 10);
}

#define closed_test(test) cmocka_unit_test_setup_teardown(test, make_own_tree, remove_closed_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		closed_test(a_commit_of_closed_directories_is_whole_when_killed_at_any_call),
		closed_test(a_commit_of_closed_directories_is_whole_when_any_call_fails),
		closed_test(whatever_a_run_left_can_be_listed_and_dropped),
		closed_test(a_set_without_a_head_or_with_a_broken_one_can_be_dropped),
		closed_test(a_rollback_undoes_a_commit_that_was_broken_off),
	};

	umask(022);
	if (geteuid() == 0 &&
		(setgroups(0, NULL) < 0 || setgid(PLAIN_UID) < 0 || setuid(PLAIN_UID) < 0))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
