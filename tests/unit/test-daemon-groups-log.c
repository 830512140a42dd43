/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "groups-world.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* A group's file and the log: neither says what the other one does not, whatever happens between.
 */

static bool is_told(const char *words)
{
	for (unsigned i = 0; i < world.count; i++)
		if (strcmp(world.words[i], words) == 0)
			return true;
	return false;
}

static int end_here(const struct act *act, unsigned timeout_ms, struct error *err)
{
	(void)act;
	(void)timeout_ms;
	(void)err;
	raise(SIGKILL);
	return 0;
}

/* Change the group in a process that is killed when it would tell. */
static void killed_while_telling(struct groups *groups, unsigned trigger, unsigned to)
{
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		struct group_result *result = calloc(1, sizeof(*result));

		groups->record = end_here;
		(void)!act(groups, trigger, to, result);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/* In force and not recorded, after a kill: whoever changes the group next records it. */
static void a_kill_between_the_change_and_its_record_loses_neither(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	killed_while_telling(&groups, PACE_DECLARED, PHASE_ALTERNATE);
	assert_int_equal(phase_kept(&groups), PHASE_ALTERNATE);
	assert_int_equal(world.count, 0);
	assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
	assert_int_equal(world.count, 2);
	assert_string_equal(world.words[0], "declared changed primary-alternate 1");
	assert_string_equal(world.words[1], "declared noted alternate-alternate 1");
	/* And not again. */
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_int_equal(world.count, 3);
}

/* Recorded and not in force: the log says so with the next change. */
static void a_return_that_was_recorded_only_is_undone_in_the_log(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 1);
	assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
	world.ms = 3 * HOUR;
	killed_while_telling(&groups, PACE_REVIEWED, PHASE_COUNT);
	assert_int_equal(phase_kept(&groups), PHASE_ALTERNATE);
	world.count = 0;
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(world.count, 2);
	assert_string_equal(world.words[0], "(null) undone alternate-alternate 1");
	assert_string_equal(world.words[1], "breaker noted alternate-alternate 1");
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_int_equal(world.count, 3);
}

/* However many things change nothing: those that did are told when the log is there again. */
static void a_log_that_was_away_gets_all_changes(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	world.log_fails = -EPIPE;
	for (unsigned i = 0; i < 3 * GROUP_UNTOLD_MAX; i++)
		assert_int_equal(act(&groups, PACE_EXPLAINED, PHASE_COUNT, result), 0);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	for (unsigned i = 0; i < 3 * GROUP_UNTOLD_MAX; i++)
		assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(suspect(&groups, BETA, result), 0);
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	world.log_fails = 0;
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_true(is_told("breaker changed primary-alternate 1"));
	assert_true(is_told("second-agent asked alternate-alternate 1"));
	assert_true(is_told("kill changed alternate-emergency 2"));
	assert_true(is_told("kill noted emergency-emergency 2"));
}

/* A file system of our own, so small that it is full soon. False: this host does not let us. */
static bool write_to(const char *path, const char *words)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, words, strlen(words)) == (ssize_t)strlen(words);
}

static bool mount_small(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned)getuid());
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned)getgid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_to("/proc/self/setgroups", "deny") && write_to("/proc/self/uid_map", uids) &&
	       write_to("/proc/self/gid_map", gids) &&
	       mount("none", top, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755") == 0;
}

static void fill(const char *name)
{
	static const char zeros[4096];
	int fd = open(in_top(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
}

enum { CHILD_GOOD = 0, CHILD_SKIPPED = 77 };

static int with_a_full_disk(void)
{
	struct groups groups = GROUPS_NONE;
	struct group_result *result = calloc(1, sizeof(*result));

	if (!mount_small())
		return CHILD_SKIPPED;
	begin_world(&groups);
	make_crew(&groups, 2);
	if (access(in_top("state/groups/.reserve.7"), F_OK) < 0)
		return 1;
	fill("filler");
	world.log_fails = -ENOSPC;
	if (suspect(&groups, ALPHA, result) < 0 || phase_kept(&groups) != PHASE_ALTERNATE)
		return 2;
	fill("filler-2");
	if (act(&groups, PACE_KILL, PHASE_EMERGENCY, result) < 0 ||
		phase_now(&groups) != PHASE_EMERGENCY)
		return 3;
	unlink(in_top("filler"));
	world.log_fails = 0;
	if (act(&groups, PACE_KILL, PHASE_EMERGENCY, result) < 0 ||
		phase_kept(&groups) != PHASE_EMERGENCY ||
		!is_told("breaker changed primary-alternate 1"))
		return 4;
	return access(in_top("state/groups/.reserve.0"), F_OK) < 0 ? 5 : CHILD_GOOD;
}

static void a_full_disk_holds_up_nothing_that_restricts(void **state)
{
	pid_t child = fork();
	int status = -1;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(with_a_full_disk());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), CHILD_GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(a_kill_between_the_change_and_its_record_loses_neither),
		in_tree(a_return_that_was_recorded_only_is_undone_in_the_log),
		in_tree(a_log_that_was_away_gets_all_changes),
		in_tree(a_full_disk_holds_up_nothing_that_restricts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
