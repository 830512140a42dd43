/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"

/* Change sets: listed, committed, rolled back, and broken off at every call. */

static void the_list_says_what_was_done(void **state)
{
	static const char *const rows[] = {"mode dir", "delete dir/gone", "create dir/here",
		"delete dir/moved", "modify edit", "create new", "delete old", "left-out pipe",
		"replace swap", "replace type"};
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};

	(void)state;
	stage(&set);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(set.manifest->n_changes, array_size(rows));
	for (size_t i = 0; i < array_size(rows); i++) {
		const Berm__Wire__Change *change = set.manifest->changes[i];
		char row[PATH_MAX];

		snprintf(row, sizeof(row), "%s %s", changes_kind_word(change->kind),
			changes_path(&change->path));
		assert_string_equal(row, rows[i]);
		assert_string_equal(change->problem, "");
	}
	assert_string_equal(changes_path(&set.manifest->changes[2]->from), "dir/moved");
	assert_int_equal(set.manifest->changes[5]->entries, 3);
	assert_int_equal(set.manifest->changes[6]->entries, 3);
	change_set_finish(&set);
}

static void a_commit_makes_the_tree_what_the_run_saw(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *after = NULL;

	(void)state;
	stage(&set);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	if (commit_whole(&set, &err) < 0)
		fail_msg("%s", err.text);
	change_set_finish(&set);
	after = tree();
	assert_string_equal(after, committed);
	nothing_is_left();
}

static void a_rollback_leaves_the_tree_as_it_was(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *before = NULL, *after = NULL;

	(void)state;
	stage(&set);
	before = tree();
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(rollback_whole(&set, &err), 0);
	change_set_finish(&set);
	after = tree();
	assert_string_equal(after, before);
	nothing_is_left();
}

/* The tree is as it was or as it is to be. */
static void check_whole(const char *before, bool gone, long n)
{
	autofree char *after = tree();

	if (strcmp(after, gone ? committed : before) != 0)
		fail_msg("call %ld, %s:\n%s", n, gone ? "committed" : "not committed", after);
}

static void settle(const char *before, long n)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	int r = reopen(&set, &quick, &err);

	if (r == -ENOENT) {
		check_whole(before, true, n);
		nothing_is_left();
		return;
	}
	if (r < 0)
		fail_msg("call %ld: %s", n, err.text);
	check_whole(before, false, n);
	/* And a change set that was broken off can still be committed. */
	set.disk = &quick;
	if (commit_whole(&set, &err) < 0)
		fail_msg("call %ld, once more: %s", n, err.text);
	change_set_finish(&set);
	check_whole(before, true, n);
	nothing_is_left();
}

/* True while there is an n-th call. */
static bool break_at(long n, bool dies)
{
	struct breaking b = {.left = n, .dies = dies};
	struct changes_disk disk = {breaks, &b};
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *before = NULL;
	bool reached;
	pid_t pid;
	int status;

	stage(&set);
	before = tree();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r = reopen(&set, &disk, &err);

		if (r == 0)
			r = commit_whole(&set, &err);
		_exit(b.calls <= n ? 7 : r < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	reached = WEXITSTATUS(status) != 7;
	assert_true(!dies || !reached || WEXITSTATUS(status) == 99);
	if (set_is_there())
		settle(before, n);
	else
		check_whole(before, true, n);
	return reached;
}

static void at_every_call(bool dies)
{
	long n = 0;

	while (break_at(n, dies)) {
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
		n++;
	}
	/* A commit of ten changes is no single call. */
	assert_true(n > 40);
}

static void a_commit_that_is_killed_at_any_call_is_finished_or_undone(void **state)
{
	(void)state;
	at_every_call(true);
}

static void a_commit_whose_call_fails_is_finished_or_undone(void **state)
{
	(void)state;
	at_every_call(false);
}

/* The commit breaks at call n, and what recovers it breaks at call m. */
static void a_recovery_that_is_killed_is_recovered(void **state)
{
	struct error err = {0};

	(void)state;
	for (long n = 8; n < 80; n += 5)
		for (long m = 0; m < 40; m += 3) {
			struct breaking b = {.left = n, .dies = true};
			struct changes_disk disk = {breaks, &b};
			struct change_set set = CHANGE_SET_INIT;
			autofree char *before = NULL;
			int status;

			stage(&set);
			before = tree();
			for (int round = 0; round < 2; round++) {
				pid_t pid = fork();

				if (pid == 0) {
					int r;

					b.left = round ? m : n;
					r = reopen(&set, &disk, &err);
					if (r == 0 && !round)
						r = commit_whole(&set, &err);
					_exit(0);
				}
				assert_int_equal(waitpid(pid, &status, 0), pid);
			}
			if (set_is_there())
				settle(before, n * 1000 + m);
			else
				check_whole(before, true, n * 1000 + m);
			assert_int_equal(remove_tree(NULL), 0);
			assert_int_equal(make_own_tree(NULL), 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(the_list_says_what_was_done),
		in_memory(a_commit_makes_the_tree_what_the_run_saw),
		in_memory(a_rollback_leaves_the_tree_as_it_was),
		in_memory(a_commit_that_is_killed_at_any_call_is_finished_or_undone),
		in_memory(a_commit_whose_call_fails_is_finished_or_undone),
		in_memory(a_recovery_that_is_killed_is_recovered),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
