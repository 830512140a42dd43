/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "learn-stage.h"

static enum learn_class class_of(struct stage *s, enum operation operation, const char *object)
{
	for (size_t i = 0; i < s->learn.count; i++) {
		if (s->learn.items[i].operation == operation &&
			strcmp(s->learn.items[i].object, object) == 0)
			return s->proposal.classes[i];
	}
	fail_msg("%s was not seen", object);
	return LEARN_CLASS_COUNT;
}

static void each_kind_of_observation_has_its_class(void **state)
{
	static const struct {
		enum operation operation;
		const char *object;
		enum learn_there there;
		enum learn_class class;
	} rows[] = {
		{OPERATION_READ, "/usr/lib/x.so", LEARN_FILE, LEARN_COVERED},
		{OPERATION_READ, "/tmp/x", LEARN_ABSENT, LEARN_COVERED},
		{OPERATION_READ, "/etc/one.conf", LEARN_FILE, LEARN_PROPOSED},
		{OPERATION_READ, "/opt/x/none", LEARN_ABSENT, LEARN_NOTHING},
		{OPERATION_READ, "/home/user/.ssh/id_rsa", LEARN_FILE, LEARN_SECRET},
		{OPERATION_READ, "/home/user/.ssh/none", LEARN_ABSENT, LEARN_SECRET},
		{OPERATION_READ, "/opt/x/server.key", LEARN_FILE, LEARN_SECRET},
		{OPERATION_READ, "/srv/repo/.env", LEARN_FILE, LEARN_SECRET},
		{OPERATION_READ, "/srv/repo/.env.example", LEARN_FILE, LEARN_PROPOSED},
		{OPERATION_READ, "/etc/shadow", LEARN_FILE, LEARN_SECRET},
		{OPERATION_READ, "/var/lib/x", LEARN_FILE, LEARN_OUTSIDE},
		{OPERATION_READ, "/home/user/.gitconfig", LEARN_FILE, LEARN_OUTSIDE},
		{OPERATION_READ, "/home/user/.none", LEARN_ABSENT, LEARN_NOTHING},
		{OPERATION_READ, "/opt", LEARN_DIRECTORY, LEARN_LISTING},
		{OPERATION_READ, "/", LEARN_DIRECTORY, LEARN_OUTSIDE},
		{OPERATION_READ, "/opt/x", LEARN_DIRECTORY, LEARN_PROPOSED},
		{OPERATION_READ, "/opt/y/new\nline", LEARN_FILE, LEARN_NAMELESS},
		{OPERATION_WRITE, "/srv/repo/a", LEARN_ABSENT, LEARN_PROPOSED},
		{OPERATION_WRITE, "/srv/repo/a\nb", LEARN_ABSENT, LEARN_PROPOSED},
		{OPERATION_WRITE, "/srv/repo/.git/config", LEARN_FILE, LEARN_RULED_OUT},
		{OPERATION_WRITE, "/home/user/x", LEARN_ABSENT, LEARN_OWN},
		{OPERATION_WRITE, "/opt/x/y", LEARN_ABSENT, LEARN_OUTSIDE},
		{OPERATION_WRITE, "/srv/other/y", LEARN_ABSENT, LEARN_OUTSIDE},
		{OPERATION_EXEC, "/usr/bin/env", LEARN_FILE, LEARN_COVERED},
		{OPERATION_EXEC, "/opt/x/bin/tool", LEARN_FILE, LEARN_PROPOSED},
		{OPERATION_EXEC, "/srv/repo/a.out", LEARN_FILE, LEARN_PROGRAM},
		{OPERATION_CONNECT, "192.0.2.1:443", LEARN_OTHER, LEARN_NETWORK},
		{OPERATION_CONNECT, "127.0.0.1:80", LEARN_OTHER, LEARN_COVERED},
		{OPERATION_SYSCALL, "mount", LEARN_OTHER, LEARN_CALL},
		{OPERATION_SYSCALL, "family netlink", LEARN_OTHER, LEARN_CALL},
	};
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	for (size_t i = 0; i < array_size(rows); i++)
		see_as(&s, rows[i].operation, rows[i].object, rows[i].there, true);
	propose(&s);
	for (size_t i = 0; i < array_size(rows); i++) {
		if (s.proposal.classes[i] != rows[i].class)
			fail_msg("%s %s: %s, not %s", operation_name(rows[i].operation),
				rows[i].object, learn_class_words(s.proposal.classes[i]),
				learn_class_words(rows[i].class));
	}
	round_trip(&s);
}

static void see_many(struct stage *s, const char *directory, unsigned count, bool of_root)
{
	char path[256];

	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/f%u", directory, i);
		see_as(s, OPERATION_READ, path, LEARN_FILE, of_root);
	}
}

static void eight_names_of_one_directory_and_owner_make_it_one_line(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	see_many(&s, "/opt/seven/lib", 7, true);
	see_many(&s, "/opt/eight/lib", 8, true);
	see_many(&s, "/opt/users/lib", 8, false);
	see_many(&s, "/opt", 9, true);
	see_many(&s, "/srv/repo/src", 8, false);
	see_many(&s, "/opt/mixed/lib", 8, true);
	see_as(&s, OPERATION_READ, "/opt/mixed/lib/other", LEARN_FILE, false);
	propose(&s);
	assert_non_null(line(&s, "fs.read", "/opt/seven/lib/f6"));
	assert_null(line(&s, "fs.read", "/opt/seven/lib"));
	assert_string_equal(line(&s, "fs.read", "/opt/eight/lib")->rule, "many-names");
	assert_int_equal(line(&s, "fs.read", "/opt/eight/lib")->names, 8);
	assert_null(line(&s, "fs.read", "/opt/eight/lib/f0"));
	assert_null(line(&s, "fs.read", "/opt/users/lib"));
	assert_null(line(&s, "fs.read", "/opt"));
	assert_non_null(line(&s, "fs.read", "/srv/repo/src"));
	assert_null(line(&s, "fs.read", "/opt/mixed/lib"));
	round_trip(&s);
}

static void directories_that_are_many_become_their_parent_but_never_a_root(void **state)
{
	autostage struct stage s;
	char path[128];

	(void)state;
	stage_init(&s, BASE);
	for (unsigned i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/opt/tool/lib/d%u", i);
		see_many(&s, path, 8, true);
		snprintf(path, sizeof(path), "/opt/t%u/bin", i);
		see_many(&s, path, 8, true);
	}
	propose(&s);
	assert_int_equal(line(&s, "fs.read", "/opt/tool/lib")->names, 64);
	assert_non_null(line(&s, "fs.read", "/opt/t3/bin"));
	assert_null(line(&s, "fs.read", "/opt"));
	round_trip(&s);
}

static void the_home_is_never_a_line(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	s.world.home = "/opt/users/me";
	s.world.workdir = "/opt/users/me/repo";
	assert_int_equal(loading_load(&s.l, "walls"), 0);
	see_many(&s, "/opt/users/me", 9, true);
	see_many(&s, "/opt/users", 9, true);
	see_as(&s, OPERATION_READ, "/opt/users/me", LEARN_DIRECTORY, true);
	propose(&s);
	assert_null(line(&s, "fs.read", "/opt/users/me"));
	assert_null(line(&s, "fs.read", "/opt/users"));
	assert_int_equal(class_of(&s, OPERATION_READ, "/opt/users/me"), LEARN_LISTING);
}

static void what_is_written_is_granted_by_its_directory(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	see_as(&s, OPERATION_WRITE, "/srv/repo/build/a.o", LEARN_ABSENT, false);
	see_as(&s, OPERATION_WRITE, "/srv/repo/build/sub/b.o", LEARN_FILE, false);
	see_as(&s, OPERATION_WRITE, "/srv/repo/out", LEARN_DIRECTORY, false);
	see_as(&s, OPERATION_READ, "/srv/repo/build/a.o", LEARN_FILE, false);
	propose(&s);
	assert_int_equal(s.proposal.count, 2);
	assert_int_equal(line(&s, "fs.write", "/srv/repo/build")->names, 2);
	assert_non_null(line(&s, "fs.write", "/srv/repo/out"));
	round_trip(&s);
	assert_non_null(strstr(text_string(&s.text), "- \"${WORKDIR}/build\""));
}

static void the_work_tree_can_be_read_where_runs_start_in_it(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	s.world.starts_there = true;
	s.learn.runs = 2;
	see_as(&s, OPERATION_WRITE, "/srv/repo/build/a.o", LEARN_ABSENT, false);
	see_as(&s, OPERATION_READ, "/srv/repo/src/a.c", LEARN_FILE, false);
	see_as(&s, OPERATION_READ, "/srv/repo/x.key", LEARN_FILE, false);
	propose(&s);
	assert_int_equal(line(&s, "fs.read", "/srv/repo")->runs, 3);
	assert_int_equal(line(&s, "fs.read", "/srv/repo")->names, 2);
	assert_non_null(line(&s, "fs.write", "/srv/repo/build"));
	assert_non_null(line(&s, "fs.deny", "/srv/repo/x.key"));
	assert_null(line(&s, "fs.protect", "/srv/repo/.git"));
	round_trip(&s);
}

static void doors_and_credentials_stay_shut_in_what_is_granted(void **state)
{
	static const char *const secrets[] = {
		"/srv/repo/keys/a.key", "/opt/x/b.key", "/etc/app/c.key", NULL};
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	s.world.secrets = secrets;
	see_as(&s, OPERATION_WRITE, "/srv/repo/a", LEARN_ABSENT, false);
	see_as(&s, OPERATION_READ, "/etc/app", LEARN_DIRECTORY, true);
	see(&s, OPERATION_READ, "/srv/repo/.env");
	propose(&s);
	assert_non_null(line(&s, "fs.protect", "/srv/repo/.git"));
	assert_non_null(line(&s, "fs.protect", "/srv/repo/.mcp.json"));
	assert_non_null(line(&s, "fs.deny", "/srv/repo/keys/a.key"));
	assert_non_null(line(&s, "fs.deny", "/srv/repo/.env"));
	assert_non_null(line(&s, "fs.deny", "/etc/app/c.key"));
	assert_null(line(&s, "fs.deny", "/opt/x/b.key"));
	round_trip(&s);
	assert_non_null(
		strstr(text_string(&s.text), "{do: \"read ${WORKDIR}/.env\", expect: deny}"));
}

static void programs_that_could_be_written_do_not_start_where_they_no_longer_can(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE);
	see(&s, OPERATION_EXEC, "/srv/repo/bin/tool");
	see_as(&s, OPERATION_READ, "/srv/repo/bin", LEARN_DIRECTORY, false);
	propose(&s);
	assert_non_null(line(&s, "exec.deny", "/srv/repo/bin/tool"));
	round_trip(&s);
}

static void programs_are_listed_where_the_base_lists_them(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE "exec: {default: deny}\n");
	loading_string(&s.l, "walls.yaml", WALLS "exec: {default: allow}\n");
	profile_destroy(s.walls);
	s.walls = load_named(&s.l, "walls");
	s.world.walls = s.walls;
	see(&s, OPERATION_EXEC, "/usr/bin/env");
	see(&s, OPERATION_EXEC, "/opt/x/tool");
	propose(&s);
	assert_non_null(line(&s, "exec.allow", "/usr/bin/env"));
	assert_non_null(line(&s, "exec.allow", "/opt/x/tool"));
	assert_null(line(&s, "fs.read", "/usr/bin/env"));
	assert_non_null(line(&s, "fs.read", "/opt/x/tool"));
	round_trip(&s);
}

static void caps_are_two_and_a_half_times_the_peak_unless_the_base_has_one(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE "blast_radius: {files_deleted: 3}\n");
	learn_peak(&s.learn, LEARN_FILES_CHANGED, 10);
	learn_peak(&s.learn, LEARN_FILES_CHANGED, 7);
	learn_peak(&s.learn, LEARN_FILES_DELETED, 10);
	learn_peak(&s.learn, LEARN_BYTES_WRITTEN, 3);
	learn_peak(&s.learn, LEARN_PROCESSES_STARTED, 0);
	learn_peak(&s.learn, LEARN_MEMORY, 100000001);
	learn_peak(&s.learn, LEARN_PIDS, 11);
	learn_peak(&s.learn, LEARN_WALL_TIME, 61001);
	propose(&s);
	assert_int_equal(s.proposal.caps[LEARN_FILES_CHANGED].value, 25);
	assert_false(s.proposal.caps[LEARN_FILES_DELETED].known);
	assert_int_equal(s.proposal.caps[LEARN_BYTES_WRITTEN].value, 8);
	assert_true(s.proposal.caps[LEARN_PROCESSES_STARTED].known);
	assert_int_equal(s.proposal.caps[LEARN_PROCESSES_STARTED].value, 0);
	assert_int_equal(s.proposal.caps[LEARN_WALL_TIME].value, 153000);
	assert_int_equal(s.proposal.caps[LEARN_MEMORY].value, 239ULL << 20);
	assert_int_equal(s.proposal.caps[LEARN_PIDS].value, 28);
	round_trip(&s);
	assert_int_equal(s.l.profile->limits.memory_bytes.value, 239ULL << 20);
	assert_int_equal(s.l.profile->limits.pids.value, 28);
	assert_int_equal(s.l.profile->blast_radius.files_changed.value, 25);
	assert_int_equal(s.l.profile->blast_radius.files_deleted.value, 3);
	assert_int_equal(s.l.profile->limits.wall_time_ms.value, 153000);
}

static void small_caps_leave_room_and_the_base_keeps_its_own(void **state)
{
	autostage struct stage s;

	(void)state;
	stage_init(&s, BASE "limits: {pids: 500}\n");
	learn_peak(&s.learn, LEARN_MEMORY, 4096);
	learn_peak(&s.learn, LEARN_PIDS, 3);
	propose(&s);
	assert_int_equal(s.proposal.caps[LEARN_MEMORY].value, 64ULL << 20);
	assert_false(s.proposal.caps[LEARN_PIDS].known);
	round_trip(&s);
	assert_int_equal(s.l.profile->limits.pids.value, 500);
	stage_finish(&s);
	stage_init(&s, BASE);
	learn_peak(&s.learn, LEARN_MEMORY, UINT64_MAX);
	learn_peak(&s.learn, LEARN_PIDS, 3);
	propose(&s);
	assert_false(s.proposal.caps[LEARN_MEMORY].known);
	assert_int_equal(s.proposal.caps[LEARN_PIDS].value, 16);
	round_trip(&s);
}

static void runs_are_joined_and_their_coverage_is_kept(void **state)
{
	autostage struct stage s;
	autolearn struct learn more = {.runs = 2, .failed = 2}, many = {.runs = LEARN_RUNS_MAX};
	struct learn_observation seen = {OPERATION_READ, "/opt/x/a", LEARN_ABSENT, true, 1, 5};
	struct error err = {0};

	(void)state;
	stage_init(&s, BASE);
	learn_add(&s.learn, &seen);
	seen.there = LEARN_FILE;
	seen.runs = 2;
	learn_add(&more, &seen);
	seen.object = "/opt/x/b";
	seen.runs = 3;
	learn_add(&more, &seen);
	seen = (struct learn_observation){
		OPERATION_WRITE, "/srv/repo/d", LEARN_DIRECTORY, true, 1, 1};
	learn_add(&s.learn, &seen);
	seen.there = LEARN_ABSENT;
	learn_add(&more, &seen);
	learn_peak(&more, LEARN_WALL_TIME, 9);
	assert_int_equal(learn_merge(&s.learn, &more, &err), 0);
	assert_int_equal(s.learn.runs, 3);
	assert_int_equal(s.learn.failed, 4);
	assert_int_equal(s.learn.peaks[LEARN_WALL_TIME].value, 9);
	assert_int_equal(s.learn.items[0].runs, 5);
	assert_int_equal(s.learn.items[0].count, 10);
	assert_int_equal(s.learn.items[0].there, LEARN_FILE);
	assert_int_equal(s.learn.items[1].there, LEARN_ABSENT);
	assert_int_equal(s.learn.items[2].runs, 6);
	assert_int_equal(learn_merge(&s.learn, &many, &err), -E2BIG);
	assert_int_equal(err.kind, ERROR_INPUT);
	propose(&s);
	round_trip(&s);
	assert_non_null(
		strstr(text_string(&s.text), "# 2 of 3 runs (low coverage), 1 name; as-opened"));
	assert_non_null(strstr(text_string(&s.text), "- \"${WORKDIR}\"\n"));
	assert_non_null(strstr(text_string(&s.text), "The command failed in 1 of them"));
}

static void a_flood_of_names_is_bounded_and_counted(void **state)
{
	autostage struct stage s;
	struct error err = {0};
	char path[64];

	(void)state;
	stage_init(&s, BASE);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(path, sizeof(path), "/opt/none/%u", i);
		see_as(&s, OPERATION_READ, path, LEARN_ABSENT, true);
	}
	assert_int_equal(s.learn.count, LEARN_ABSENT_MAX);
	assert_int_equal(s.learn.lost, 100000 - LEARN_ABSENT_MAX);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(path, sizeof(path), "/opt/d%u/f%u", i % 2000, i);
		see(&s, OPERATION_READ, path);
	}
	assert_true(s.learn.count <= LEARN_OBSERVATIONS_MAX);
	assert_true(s.learn.count > LEARN_OBSERVATIONS_MAX - 1000);
	assert_int_equal(s.learn.count + s.learn.lost, 200000);
	assert_int_equal(learn_propose(&s.learn, &s.world, &s.proposal, &err), -E2BIG);
	assert_int_equal(err.kind, ERROR_REFUSED);
}

/* The most of everything, with the longest names, is still a profile that can be read. */
static void the_largest_proposal_is_a_profile(void **state)
{
	autostage struct stage s;
	char path[4096];
	struct error err = {0};

	(void)state;
	stage_init(&s, BASE);
	for (unsigned i = 0; i < LEARN_LINES_MAX; i++) {
		memset(path, i % 2 ? '"' : '\\', sizeof(path));
		path[snprintf(path, sizeof(path), "/opt/x%03u/", i)] = '"';
		path[180] = '\0';
		see(&s, OPERATION_READ, path);
	}
	for (unsigned i = 0; i < 1000; i++) {
		memset(path, '\1', sizeof(path));
		path[snprintf(path, sizeof(path), "/var/x%u/", i)] = '"';
		path[4000] = '\0';
		see(&s, OPERATION_READ, path);
		memset(path, '"', sizeof(path));
		path[snprintf(path, sizeof(path), "/var/y%u/", i)] = '"';
		path[250] = '\0';
		see(&s, OPERATION_READ, path);
	}
	propose(&s);
	assert_int_equal(s.proposal.count, LEARN_LINES_MAX);
	round_trip(&s);
	see(&s, OPERATION_READ, "/opt/one/more");
	learn_proposal_finish(&s.proposal);
	assert_int_equal(learn_propose(&s.learn, &s.world, &s.proposal, &err), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(each_kind_of_observation_has_its_class),
		cmocka_unit_test(eight_names_of_one_directory_and_owner_make_it_one_line),
		cmocka_unit_test(directories_that_are_many_become_their_parent_but_never_a_root),
		cmocka_unit_test(the_home_is_never_a_line),
		cmocka_unit_test(what_is_written_is_granted_by_its_directory),
		cmocka_unit_test(the_work_tree_can_be_read_where_runs_start_in_it),
		cmocka_unit_test(doors_and_credentials_stay_shut_in_what_is_granted),
		cmocka_unit_test(
			programs_that_could_be_written_do_not_start_where_they_no_longer_can),
		cmocka_unit_test(programs_are_listed_where_the_base_lists_them),
		cmocka_unit_test(caps_are_two_and_a_half_times_the_peak_unless_the_base_has_one),
		cmocka_unit_test(small_caps_leave_room_and_the_base_keeps_its_own),
		cmocka_unit_test(runs_are_joined_and_their_coverage_is_kept),
		cmocka_unit_test(a_flood_of_names_is_bounded_and_counted),
		cmocka_unit_test(the_largest_proposal_is_a_profile),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
