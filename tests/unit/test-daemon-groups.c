/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "groups-world.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A group's transactions: what restricts waits for nobody, and what time brings is one history. */

static void a_kill_waits_for_no_lock(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	unsigned phase;
	int lock;

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	lock = state_lock_named(groups.dir_fd, "crew.lock", 0, NULL);
	assert_true(lock >= 0);
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_int_equal(result->outcome.result, PACE_CHANGED);
	assert_int_equal(result->without_lock.code, -ETIMEDOUT);
	assert_true(result->killing && result->recorded);
	/* All who look see it, and the file that somebody works at is as it was. */
	assert_int_equal(phase_now(&groups), PHASE_EMERGENCY);
	assert_int_equal(phase_kept(&groups), PHASE_PRIMARY);
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_int_equal(result->outcome.result, PACE_NOTED);
	assert_true(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_EMERGENCY);
	state_unlock(&lock);
	/* The next one takes it in, with who it was. */
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
	assert_int_equal(group_mark_is_there(&groups, "crew", NULL), 0);
	assert_string_equal(world.words[0], "kill changed primary-emergency 1");
	assert_string_equal(world.words[world.count - 1], "kill changed primary-emergency 1");
}

/* That it is there counts: what is in it is for the log. */
static void a_kill_that_cannot_be_read_is_one(void **state)
{
	static const char *const contents[] = {"", "rubbish", STATE_FILE_MAGIC};

	(void)state;
	for (size_t i = 0; i < array_size(contents); i++) {
		autogroups struct groups groups = GROUPS_NONE;
		autofree struct group_result *result = calloc(1, sizeof(*result));
		unsigned phase;

		begin_world(&groups);
		make_crew(&groups, 2);
		assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
		make_file("state/groups/crew.kill", contents[i]);
		assert_int_equal(phase_now(&groups), PHASE_EMERGENCY);
		assert_false(settle(&groups, &phase));
		assert_int_equal(phase, PHASE_EMERGENCY);
		assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
		assert_int_equal(group_mark_is_there(&groups, "crew", NULL), 0);
		/* Whatever the group's own file says. */
		make_file("state/groups/crew.kill", contents[i]);
		assert_int_equal(truncate(in_top("state/groups/crew"), 20), 0);
		assert_int_equal(phase_now(&groups), PHASE_EMERGENCY);
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_tree(NULL), 0);
	}
}

/* A recovery that began before the kill does not undo it. */
static void a_return_does_not_outrun_a_kill(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 1);
	assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
	world.ms = 3 * HOUR;
	make_file("state/groups/crew.kill", "");
	assert_int_equal(act(&groups, PACE_REVIEWED, PHASE_COUNT, result), 0);
	assert_int_equal(result->outcome.result, PACE_REFUSED);
	assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
}

static void nothing_that_restricts_waits_for_the_log(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		autogroups struct groups groups = GROUPS_NONE;
		autofree struct group_result *result = calloc(1, sizeof(*result));

		return_later(&groups, result);
		/* A return is due, which nobody can record. */
		world.ms = 3 * HOUR;
		world.log_fails = -EPIPE;
		if (round == 0) {
			assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
			assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
		} else if (round == 1) {
			assert_int_equal(suspect(&groups, BETA, result), 0);
			assert_int_equal(result->outcome.result, PACE_ASKED);
			assert_int_equal(result->group.isolated_count, 2);
		} else {
			const struct group_settings floor = {.configured = PHASE_CONTINGENCY};
			struct error err = {0};

			groups.authority->people[0].roles |= 1U << PACE_BY_SECURITY;
			assert_int_equal(groups_set(&groups, "crew", &floor, 7, result, &err), 0);
			assert_int_equal(phase_kept(&groups), PHASE_CONTINGENCY);
		}
		assert_false(result->recorded);
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_tree(NULL), 0);
	}
}

static void the_lock_is_free_while_that_is_recorded(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 1);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
	world.ms = 3 * HOUR;
	assert_int_equal(act(&groups, PACE_REVIEWED, PHASE_COUNT, result), 0);
	assert_int_equal(phase_kept(&groups), PHASE_PRIMARY);
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	assert_int_equal(world.count, 4);
	/* What loosens alone is in the log before anybody else may change anything. */
	for (unsigned i = 0; i < world.count; i++)
		assert_int_equal(world.holds_lock[i], i == 2);
}

static void a_return_holds_when_it_is_written(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	unsigned phase;

	(void)state;
	return_later(&groups, result);
	world.ms = 3 * HOUR;
	world.log_fails = -EPIPE;
	assert_int_equal(phase_now(&groups), PHASE_ALTERNATE);
	assert_true(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_ALTERNATE);
	assert_int_equal(phase_kept(&groups), PHASE_ALTERNATE);
	world.log_fails = 0;
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_PRIMARY);
	assert_int_equal(phase_kept(&groups), PHASE_PRIMARY);
	/* The first try may be in the log. */
	assert_int_equal(world.count, 2);
	assert_string_equal(world.words[0], "(null) undone alternate-alternate 1");
	assert_string_equal(world.words[1], "stable changed alternate-primary 2");
	/* Later ones see the same history, and write nothing. */
	world.ms = 49 * HOUR;
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_PRIMARY);
	assert_int_equal(phase_now(&groups), PHASE_PRIMARY);
	assert_int_equal(world.count, 2);
}

/* Nobody looked for two days. */
static void what_came_first_is_written_first(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	unsigned phase;

	(void)state;
	return_later(&groups, result);
	world.ms = 49 * HOUR;
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_PRIMARY);
	assert_int_equal(remove_tree(NULL), 0);
	assert_int_equal(make_tree(NULL), 0);
	groups_close(&groups);
	/* Where no return can be recorded there was none. */
	return_later(&groups, result);
	world.ms = 49 * HOUR;
	world.log_fails = -EPIPE;
	settle(&groups, &phase);
	assert_int_equal(phase, PHASE_CONTINGENCY);
	assert_int_equal(phase_kept(&groups), PHASE_CONTINGENCY);
}

/* The window of a question: whoever sees that it is over writes it down, and a wall clock that is
 * behind after a reboot changes nothing any more. */
static void what_time_brings_is_written_by_whoever_looks(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	const struct group_finding rogue = {ALPHA, PACE_ROGUE, {100, 100}};
	struct error err = {0};
	unsigned phase;

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	assert_int_equal(groups_suspect(&groups, "crew", &rogue, result, &err), 0);
	world.ms = PACE_WINDOW_MS;
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_EMERGENCY);
	assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
	assert_string_equal(world.words[1], "window changed primary-emergency 1");
	assert_false(world.holds_lock[1]);
}

/* The lock of the group in the hand of another process for that long. */
static pid_t hold_lock(unsigned ms)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		const struct timespec held = {ms / 1000, (long)(ms % 1000) * 1000000};

		if (state_lock_named(world.groups->dir_fd, "crew.lock", 0, NULL) >= 0)
			(void)!write(ready[1], "x", 1);
		nanosleep(&held, NULL);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Its first one only asks: without the lock that would be nothing. */
static void evidence_waits_for_the_lock_and_is_not_dropped(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	struct authority_source judge = {
		.name = "judge", .uid = 9, .triggers = 1U << PACE_EXFILTRATION};
	const struct group_act asked = {.event = {.trigger = PACE_EXFILTRATION, .to = PHASE_COUNT},
		.source = "judge",
		.uid = 9,
		.role = PACE_AUTHORITY_COUNT};
	struct error err = {0};
	pid_t pid;

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	groups.authority->sources[0] = judge;
	groups.authority->source_count = 1;
	pid = hold_lock(1500);
	if (groups_act(&groups, "crew", &asked, result, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(result->outcome.result, PACE_ASKED);
	assert_int_equal(result->without_lock.code, 0);
	assert_true(
		settle(&groups, &(unsigned){0}) == false && phase_kept(&groups) == PHASE_PRIMARY);
	assert_string_equal(world.words[0], "exfiltration asked primary-primary 0");
}

/* The end of a window is written by whoever comes first, whatever becomes of what they wanted. */
static void an_emergency_that_an_act_finds_ends_the_runs(void **state)
{
	static const struct group_finding rogue = {ALPHA, PACE_ROGUE, {100, 100}};
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	const struct group_act asked = {.event = {.trigger = PACE_DECLARED, .to = PHASE_ALTERNATE},
		.agent = "nobody",
		.uid = 7,
		.role = PACE_AUTHORITY_COUNT};
	struct error err = {0};

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	assert_int_equal(groups_suspect(&groups, "crew", &rogue, result, &err), 0);
	world.ms = PACE_WINDOW_MS;
	assert_true(groups_act(&groups, "crew", &asked, result, &err) < 0);
	assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
	assert_true(result->killing);
}

static int no_time(struct pace_now *ret_now, struct error *err)
{
	(void)ret_now;
	return error_set(err, -ENOENT, ERROR_INTERNAL, "there is no /proc here");
}

static void a_group_is_new_where_its_file_is_absent_and_nothing_else(void **state)
{
	const struct group_settings settings = {.tier = 1, .configured = PHASE_COUNT};
	autogroups struct groups groups = GROUPS_NONE;
	autofree struct group_result *result = calloc(1, sizeof(*result));
	struct error err = {0};

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 1);
	assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
	groups.now = no_time;
	assert_true(groups_set(&groups, "crew", &settings, 7, result, &err) < 0);
	groups.now = world_now;
	assert_int_equal(phase_kept(&groups), PHASE_EMERGENCY);
}

/* What the file lacks by then does not make it another one's deed. */
static void a_mark_says_who_it_was_whatever_the_file_has(void **state)
{
	autogroups struct groups groups = GROUPS_NONE;
	char group[] = "crew", by[] = "judge", agent[] = ALPHA;
	Berm__Wire__GroupKill kill;
	uint8_t id[PACE_ID_BYTES] = {0};
	unsigned phase;

	(void)state;
	begin_world(&groups);
	make_crew(&groups, 2);
	berm__wire__group_kill__init(&kill);
	kill.version = 1;
	kill.group = group;
	kill.id = (ProtobufCBinaryData){sizeof(id), id};
	kill.trigger = PACE_SECOND_SIGNAL;
	kill.authority = PACE_BY_BERM;
	kill.by = by;
	kill.agent = agent;
	assert_int_equal(group_mark_write(&groups, &kill, NULL), 0);
	assert_false(settle(&groups, &phase));
	assert_int_equal(phase, PHASE_EMERGENCY);
	assert_string_equal(world.words[0], "second-signal changed primary-emergency 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(a_kill_waits_for_no_lock),
		in_tree(a_kill_that_cannot_be_read_is_one),
		in_tree(a_return_does_not_outrun_a_kill),
		in_tree(nothing_that_restricts_waits_for_the_log),
		in_tree(the_lock_is_free_while_that_is_recorded),
		in_tree(a_return_holds_when_it_is_written),
		in_tree(what_came_first_is_written_first),
		in_tree(what_time_brings_is_written_by_whoever_looks),
		in_tree(evidence_waits_for_the_lock_and_is_not_dropped),
		in_tree(an_emergency_that_an_act_finds_ends_the_runs),
		in_tree(a_group_is_new_where_its_file_is_absent_and_nothing_else),
		in_tree(a_mark_says_who_it_was_whatever_the_file_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
