/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/group-backup.h"
#include "groups-world.h"

/* When the backup's process is started, and that nothing is begun twice: each step of it can be the
 * last one of its process. */

static unsigned started;
static int start_fails;

static int count_start(const struct groups *groups, const char *name, struct error *err)
{
	(void)groups;
	assert_string_equal(name, "crew");
	if (start_fails)
		return error_set(err, start_fails, ERROR_INTERNAL, "no process");
	started++;
	return 0;
}

static void write_hooks(const char *text)
{
	FILE *file = fopen(in_top("state/groups.yaml"), "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void name_backup(struct groups *groups, const char *id)
{
	autofree struct pace_group *group = calloc(1, sizeof(*group));
	struct group_log log = {0};
	struct error err = {0};

	assert_int_equal(group_read(groups, "crew", group, &log, &err), 0);
	snprintf(group->backup, sizeof(group->backup), "%s", id);
	assert_int_equal(group_write(groups, group, &log, &err), 0);
	group_log_finish(&log);
}

static void begin_crew(struct groups *groups)
{
	begin_world(groups);
	started = 0;
	start_fails = 0;
	groups->start_backup = count_start;
	write_hooks("version: 1\ngroups: [{name: crew, backup: [/bin/true]}]\n");
	make_crew(groups, 3);
	name_backup(groups, SPARE);
}

static void look(struct groups *groups)
{
	unsigned ignored;

	(void)settle(groups, &ignored);
}

static int take(struct groups *groups, bool lasts, struct group_backup *backup)
{
	struct error err = {0};
	int r = group_backup_take(groups, "crew", lasts, backup, &err);

	if (r < 0)
		fail_msg("%s", err.text);
	return r;
}

static void end(struct groups *groups, const struct group_backup *backup)
{
	struct error err = {0};

	assert_int_equal(group_backup_end(groups, "crew", backup, NULL, "it has ended", &err), 0);
}

/* How often that was recorded. */
static unsigned told(const char *words)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world.count; i++)
		count += strcmp(world.words[i], words) == 0;
	return count;
}

static void each_change_into_alternate_begins_one(void **state)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autogroups struct groups groups = GROUPS_NONE;
	struct group_backup backup;

	(void)state;
	begin_crew(&groups);
	assert_int_equal(take(&groups, false, &backup), 0);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(started, 1);
	assert_int_equal(result->begun, PACE_START_BACKUP);
	assert_int_equal(result->done & PACE_START_BACKUP, 0);
	/* A flood of the same is no change. */
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(suspect(&groups, ALPHA, result), 0);
		look(&groups);
	}
	assert_int_equal(started, 1);
	world.count = 0;
	assert_int_equal(take(&groups, false, &backup), 1);
	assert_string_equal(backup.agent, SPARE);
	assert_int_equal(backup.takeover.change, 1);
	assert_int_equal(told("breaker noted alternate-alternate 1"), 1);
	assert_int_equal(take(&groups, true, &backup), 0);
	end(&groups, &(struct group_backup){.takeover.change = 1});
	assert_int_equal(take(&groups, false, &backup), 0);
	/* Back, and there again. */
	assert_int_equal(act(&groups, PACE_EXPLAINED, PHASE_COUNT, result), 0);
	world.ms = 2 * HOUR + 1;
	look(&groups);
	assert_int_equal(phase_kept(&groups), PHASE_PRIMARY);
	assert_int_equal(act(&groups, PACE_DECLARED, PHASE_ALTERNATE, result), 0);
	assert_int_equal(started, 2);
	assert_int_equal(take(&groups, false, &backup), 1);
	assert_int_equal(backup.takeover.change, 3);
	assert_string_equal(backup.by, "bob");
	assert_int_equal(backup.takeover.trigger, PACE_DECLARED);
}

static void nothing_is_begun_beyond_alternate_or_for_who_is_suspected(void **state)
{
	static const struct {
		unsigned to;
		const char *backup;
		const char *hooks;
	} rows[] = {
		{PHASE_EMERGENCY, SPARE, "version: 1\ngroups: [{name: crew, backup: [/bin/a]}]\n"},
		{PHASE_ALTERNATE, "", "version: 1\ngroups: [{name: crew, backup: [/bin/a]}]\n"},
		{PHASE_ALTERNATE, ALPHA, "version: 1\ngroups: [{name: crew, backup: [/bin/a]}]\n"},
		{PHASE_ALTERNATE, SPARE,
			"version: 1\ngroups: [{name: crew, notify: [/bin/true]}]\n"},
		{PHASE_ALTERNATE, SPARE, "version: 1\ngroups: [{name: crew, backup: /bin/a}]\n"},
		{PHASE_ALTERNATE, SPARE, "version: 1\n"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree struct group_result *result = calloc(1, sizeof(*result));
		autogroups struct groups groups = GROUPS_NONE;
		struct group_backup backup;

		begin_crew(&groups);
		name_backup(&groups, rows[i].backup);
		write_hooks(rows[i].hooks);
		if (rows[i].to == PHASE_EMERGENCY)
			assert_int_equal(act(&groups, PACE_KILL, PHASE_EMERGENCY, result), 0);
		else
			assert_int_equal(suspect(&groups, ALPHA, result), 0);
		assert_int_equal(result->group.phase, rows[i].to);
		assert_int_equal(result->begun, 0);
		world.ms = 10000;
		look(&groups);
		assert_int_equal(started, 0);
		if (rows[i].to == PHASE_EMERGENCY || strcmp(rows[i].backup, SPARE) != 0)
			assert_int_equal(take(&groups, false, &backup), 0);
		assert_int_equal(nftw(in_top("state"), remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	}
}

static void who_was_killed_before_the_start_is_stood_in_for(void **state)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autogroups struct groups groups = GROUPS_NONE;
	struct group_backup backup;

	(void)state;
	begin_crew(&groups);
	start_fails = -EAGAIN;
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	/* It could not be begun: it is said to be left to do, and the agent is isolated all the
	 * same. */
	assert_int_equal(result->begun, 0);
	assert_int_equal(result->outcome.actions & PACE_START_BACKUP, PACE_START_BACKUP);
	assert_int_equal(result->group.isolated_count, 1);
	start_fails = 0;
	look(&groups);
	assert_int_equal(started, 0);
	world.ms = 3000;
	look(&groups);
	assert_int_equal(started, 1);
	/* Not after five minutes: then it is said that nobody did. */
	world.ms = PACE_TAKEOVER_MS + 1;
	look(&groups);
	assert_int_equal(started, 2);
	assert_int_equal(take(&groups, false, &backup), 0);
	assert_int_equal(told("breaker undone alternate-alternate 1"), 1);
	look(&groups);
	assert_int_equal(started, 2);
}

static void who_was_killed_after_it_began_is_not(void **state)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autogroups struct groups groups = GROUPS_NONE;
	struct group_backup backup;
	struct error err = {0};
	int held;

	(void)state;
	begin_crew(&groups);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	held = group_backup_hold(&groups, "crew", &err);
	assert_true(held >= 0);
	assert_int_equal(group_backup_hold(&groups, "crew", &err), -EWOULDBLOCK);
	assert_int_equal(take(&groups, false, &backup), 1);
	/* It lasts. */
	world.ms = 4000;
	look(&groups);
	assert_int_equal(started, 1);
	close(held);
	/* It is gone: the next one tells that, and begins nothing. */
	look(&groups);
	assert_int_equal(started, 2);
	assert_int_equal(take(&groups, false, &backup), 0);
	assert_int_equal(told("breaker undone alternate-alternate 1"), 1);
	look(&groups);
	assert_int_equal(started, 2);
}

static void a_run_that_lasts_is_the_one_of_the_next_change(void **state)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autogroups struct groups groups = GROUPS_NONE;
	struct group_backup first, second;

	(void)state;
	begin_crew(&groups);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(take(&groups, false, &first), 1);
	assert_int_equal(act(&groups, PACE_EXPLAINED, PHASE_COUNT, result), 0);
	world.ms = 2 * HOUR + 1;
	look(&groups);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	assert_int_equal(take(&groups, true, &second), 1);
	assert_int_equal(take(&groups, true, &second), 0);
	assert_int_equal(told("breaker noted alternate-alternate 3"), 1);
	/* It ends while that lasts: now there is none, and there may be one. */
	end(&groups, &first);
	assert_int_equal(take(&groups, false, &second), 1);
	assert_int_equal(second.takeover.change, 3);
	end(&groups, &second);
	assert_int_equal(take(&groups, false, &second), 0);
}

static void what_cannot_be_written_down_is_not_begun(void **state)
{
	autofree struct group_result *result = calloc(1, sizeof(*result));
	autogroups struct groups groups = GROUPS_NONE;
	struct group_backup backup;
	struct error err = {0};

	(void)state;
	begin_crew(&groups);
	assert_int_equal(suspect(&groups, ALPHA, result), 0);
	/* A log that is away does not keep it from being started; a file that is, does. */
	world.log_fails = -EIO;
	assert_int_equal(take(&groups, false, &backup), 1);
	world.log_fails = 0;
	end(&groups, &backup);
	assert_int_equal(told("breaker noted alternate-alternate 1"), 2);
	assert_int_equal(unlink(in_top("state/groups/crew")), 0);
	assert_int_equal(group_backup_take(&groups, "crew", false, &backup, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(each_change_into_alternate_begins_one),
		in_tree(nothing_is_begun_beyond_alternate_or_for_who_is_suspected),
		in_tree(who_was_killed_before_the_start_is_stood_in_for),
		in_tree(who_was_killed_after_it_began_is_not),
		in_tree(a_run_that_lasts_is_the_one_of_the_next_change),
		in_tree(what_cannot_be_written_down_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
