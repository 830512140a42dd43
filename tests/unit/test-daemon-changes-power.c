/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"
#include "power.h"

/* Commits and rollbacks whose power goes at any call, and recoveries whose power goes too. */

static struct {
	long trials, committed, undone;
} seen;

static void settle(const char *before, bool rolled_back)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *after = NULL;
	int r = set_is_there() ? reopen(&set, &quick, &err) : -ENOENT;

	seen.trials++;
	if (r < 0 && r != -ENOENT)
		fail_msg("%s", err.text);
	after = tree();
	if (r == -ENOENT) {
		seen.committed++;
		assert_string_equal(after, rolled_back ? before : committed);
		return;
	}
	seen.undone++;
	assert_string_equal(after, before);
	/* And it is whole: it can still be committed. */
	if (commit_whole(&set, &err) < 0)
		fail_msg("once more: %s", err.text);
	change_set_finish(&set);
	own_free(&after);
	after = tree();
	assert_string_equal(after, committed);
}

typedef int deed(struct change_set *set, struct error *err);

/* True where the power went. */
static bool one_life(struct power *p, deed *function)
{
	const struct changes_disk disk = {power_before, p};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		int r = reopen(&set, &disk, &err);

		if (r == 0 && function)
			r = function(&set, &err);
		_exit(r < 0 && r != -ENOENT ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	/* Nothing fails but for the power. */
	assert_true(WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == 99;
}

static struct power *new_power(long left, unsigned loss, const char *grave)
{
	struct power *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->left = left;
	p->loss = loss < LOSE_SOME ? loss : LOSE_SOME;
	p->seed = (uint64_t)left * 1000003 + loss;
	make_directory(grave);
	p->grave = open(in_top(grave), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->grave >= 0);
	return p;
}

static void free_power(struct power *p)
{
	close(p->grave);
	free(p);
}

static void fresh(void)
{
	assert_int_equal(remove_tree(NULL), 0);
	assert_int_equal(make_own_tree(NULL), 0);
}

/* again: the call of the recovery at which the power goes once more; -1: at none. */
static bool trial(deed *function, long n, long again, unsigned loss)
{
	struct change_set set = CHANGE_SET_INIT;
	autofree char *before = NULL;
	struct power *p;
	bool went;

	stage(&set);
	before = tree();
	p = new_power(n, loss, "grave");
	went = one_life(p, function);
	free_power(p);
	if (went && again >= 0 && set_is_there()) {
		p = new_power(again, loss, "grave2");
		(void)!one_life(p, NULL);
		free_power(p);
	}
	settle(before, function == rollback_whole);
	fresh();
	return went;
}

/* All that can be lost, all data, and one of the others in turn. */
#define WAYS 3

static unsigned way_of(long n, unsigned way)
{
	static const unsigned ways[WAYS] = {LOSE_ALL, LOSE_DATA, LOSE_NAMES};

	return ways[way] + (way == WAYS - 1 ? (unsigned)n % (LOSE_WAYS - LOSE_NAMES) : 0);
}

static void at_every_call(deed *function, long at_least)
{
	bool all = getenv("RECORD_ALL") != NULL, went = true;
	long n = 0;

	memset(&seen, 0, sizeof(seen));
	for (; went; n++)
		for (unsigned way = 0; way < (all ? LOSE_WAYS : WAYS); way++)
			went = trial(function, n, -1, all ? way : way_of(n, way));
	print_message("power lost at %ld calls, %ld times: %ld done, %ld as before\n", n - 1,
		seen.trials, seen.committed, seen.undone);
	assert_true(n > at_least);
	assert_true(seen.committed && seen.undone);
}

static void a_commit_whose_power_goes_is_finished_or_undone(void **state)
{
	(void)state;
	at_every_call(commit_whole, 60);
}

static void a_rollback_whose_power_goes_is_done_or_not_begun(void **state)
{
	(void)state;
	at_every_call(rollback_whole, 10);
}

static void a_recovery_whose_power_goes_is_recovered(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	for (long n = 1; n < 110; n += 9)
		for (long again = 0; again < 36; again += 7)
			for (unsigned loss = LOSE_ALL; loss < LOSE_WAYS; loss += 3)
				(void)!trial(commit_whole, n, again, loss);
	print_message("power lost twice, %ld times: %ld done, %ld as before\n", seen.trials,
		seen.committed, seen.undone);
	assert_true(seen.committed && seen.undone);
}

/* The staged data itself: what the disk does not have is no smaller commit. */
static void staged_data_that_was_lost_is_not_committed(void **state)
{
	static const char *const names[] = {UPPER "edit", UPPER "new/sub/file"};

	(void)state;
	for (size_t i = 0; i < array_size(names); i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		autofree char *before = NULL, *after = NULL;

		stage(&set);
		before = tree();
		assert_int_equal(truncate(in_top(names[i]), 1), 0);
		assert_int_equal(reopen(&set, &quick, &err), 0);
		assert_int_equal(commit_whole(&set, &err), -ESTALE);
		change_set_finish(&set);
		after = tree();
		assert_string_equal(after, before);
		fresh();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(a_commit_whose_power_goes_is_finished_or_undone),
		in_memory(a_rollback_whose_power_goes_is_done_or_not_begun),
		in_memory(a_recovery_whose_power_goes_is_recovered),
		in_memory(staged_data_that_was_lost_is_not_committed),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
