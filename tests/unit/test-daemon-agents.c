/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/agents.h"

#include "agent-sample.h"
#include "tree.h"

#include <signal.h>
#include <sys/wait.h>

/* Agents in files: what is kept, under which name, and what a kill between two steps leaves. */

static struct agents agents;

static int open_state(void **state)
{
	if (make_tree(state) < 0)
		return -1;
	return agents_open(in_top("state"), &agents, NULL);
}

static int close_state(void **state)
{
	agents_close(&agents);
	return remove_tree(state);
}

static int set_name(Berm__Wire__Agent *agent, const char *name)
{
	free(agent->name);
	agent->name = sample_words(name);
	return 0;
}

/* Its id. */
static char *add(const char *name)
{
	static char ids[8][AGENT_ID_BYTES + 1];
	static unsigned next;
	char *id = ids[next++ % array_size(ids)];
	Berm__Wire__Agent *agent = sample_agent();
	struct error err = {0};

	set_name(agent, name);
	berm__wire__agent_moment__free_unpacked(agent->created, NULL);
	agent->created = NULL;
	agent->runs_total = 7;
	assert_int_equal(agents_add(&agents, agent, &err), 0);
	snprintf(id, sizeof(ids[0]), "%s", agent->id);
	agent_free(&agent);
	return id;
}

static Berm__Wire__Agent *get(const char *name)
{
	Berm__Wire__Agent *agent = NULL;
	struct error err = {0};

	assert_int_equal(agents_read(&agents, name, &agent, &err), 0);
	return agent;
}

static int look_for(const char *name)
{
	Berm__Wire__Agent *agent = NULL;
	struct error err = {0};
	int r = agents_read(&agents, name, &agent, &err);

	agent_free(&agent);
	return r;
}

static void ids_are_new_and_names_are_one_agents(void **state)
{
	const char *first = add("a"), *second = add("b");
	Berm__Wire__Agent *agent = get("a");
	struct error err = {0};

	(void)state;
	assert_string_not_equal(first, second);
	assert_string_equal(agent->id, first);
	/* Whatever the caller put there. */
	assert_string_not_equal(agent->id, "01HZX3K9QJ5V8W2M4N6P7R8S9T");
	assert_int_equal(agents_add(&agents, agent, &err), -EEXIST);
	agent_free(&agent);
	agent = get(second);
	assert_string_equal(agent->name, "b");
	assert_int_equal(agents_rename(&agents, agent, "a", &err), -EEXIST);
	assert_int_equal(agents_rename(&agents, agent, "../c", &err), -EINVAL);
	agent_free(&agent);
	assert_int_equal(look_for("c"), -ENOENT);
	assert_int_equal(look_for("../a"), -EINVAL);
	assert_int_equal(look_for("01HZX3K9QJ5V8W2M4N6P7R8S9T"), -ENOENT);
}

/* A new name that is refused takes what else was changed with it. */
static void a_refused_rename_changes_nothing(void **state)
{
	struct error err = {0};
	Berm__Wire__Agent *agent;
	struct stat before, after;

	(void)state;
	add("a");
	add("b");
	assert_int_equal(stat(in_top("state/agents/b"), &before), 0);
	agent = get("b");
	agent->runs_per_hour = 99999;
	assert_int_equal(agents_rename(&agents, agent, "a", &err), -EEXIST);
	assert_int_equal(agents_rename(&agents, agent, "b", &err), -EEXIST);
	assert_int_equal(agents_rename(&agents, agent, "../c", &err), -EINVAL);
	agent->tier = 4;
	assert_int_equal(agents_rename(&agents, agent, "c", &err), -EINVAL);
	agent_free(&agent);
	/* A write would have made another file of it. */
	assert_int_equal(stat(in_top("state/agents/b"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(look_for("c"), -ENOENT);
	agent = get("b");
	assert_int_not_equal(agent->runs_per_hour, 99999);
	agent->runs_per_hour = 99;
	assert_int_equal(agents_rename(&agents, agent, "c", &err), 0);
	agent_free(&agent);
	agent = get("c");
	assert_int_equal(agent->runs_per_hour, 99);
	assert_string_equal(agent->next_name, "");
	agent_free(&agent);
}

/* Steps of a rename and of a retirement that a kill can come between. */
static int moves, kill_at;

static int killing_rename(void *context, int dir, const char *from, const char *to)
{
	int r;

	if (++moves == kill_at)
		raise(SIGKILL);
	r = storage_system.ops->rename(context, dir, from, to);
	if (++moves == kill_at)
		raise(SIGKILL);
	return r;
}

static int killing_sync_dir(void *context, int dir)
{
	if (++moves == kill_at)
		raise(SIGKILL);
	return storage_system.ops->sync_dir(context, dir);
}

/* In a child that is killed at that step; true where it was. */
static bool change_and_die(int step, const char *name, const char *to)
{
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		struct storage_ops ops = *storage_system.ops;
		struct storage storage = {.ops = &ops};
		Berm__Wire__Agent *agent = get(name);

		agent->runs_per_hour = 99999;
		ops.rename = killing_rename;
		ops.sync_dir = killing_sync_dir;
		moves = 0;
		kill_at = step;
		agents.place.storage = &storage;
		if (to)
			(void)!agents_rename(&agents, agent, to, NULL);
		else
			(void)!agents_retire(&agents, agent, "over", NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status);
}

static void a_kill_during_a_rename_leaves_one_agent_under_one_name(void **state)
{
	unsigned old = 0, new = 0;

	(void)state;
	for (int step = 1; step < 40; step++) {
		char from[32], to[32];
		const char *id;
		bool killed, is_old;
		Berm__Wire__Agent *agent;
		struct error err = {0};

		snprintf(from, sizeof(from), "from-%d", step);
		snprintf(to, sizeof(to), "to-%d", step);
		id = add(from);
		killed = change_and_die(step, from, to);
		is_old = look_for(from) == 0;
		assert_int_equal(look_for(is_old ? to : from), -ENOENT);
		agent = get(is_old ? from : to);
		assert_string_equal(agent->id, id);
		assert_string_equal(agent->name, is_old ? from : to);
		assert_int_equal(agent->runs_total, 7);
		/* Nothing of the change without the new name. */
		assert_true(!is_old || agent->runs_per_hour != 99999);
		old += killed && is_old;
		new += killed && !is_old;
		/* And it can be gone on with. */
		assert_int_equal(agents_rename(&agents, agent, "z", &err), 0);
		agent_free(&agent);
		agent = get("z");
		assert_string_equal(agent->id, id);
		assert_int_equal(agents_retire(&agents, agent, "over", &err), 0);
		agent_free(&agent);
		if (!killed)
			break;
	}
	assert_true(old >= 3 && new >= 2);
}

static void a_kill_during_a_retirement_never_gives_the_agent_back(void **state)
{
	unsigned retired = 0;

	(void)state;
	for (int step = 1; step < 40; step++) {
		const char *id = add("again");
		bool killed = change_and_die(step, "again", NULL);
		Berm__Wire__Agent *agent = get(id);
		struct error err = {0};

		retired += killed && agent->retired;
		if (!agent->retired)
			assert_int_equal(agents_retire(&agents, agent, "over", &err), 0);
		agent_free(&agent);
		/* The name is free, whether its file was moved or not. */
		agent = get(add("again"));
		assert_null(agent->retired);
		assert_string_not_equal(agent->id, id);
		assert_int_equal(agents_retire(&agents, agent, "over", &err), 0);
		agent_free(&agent);
		agent = get(id);
		assert_non_null(agent->retired);
		assert_int_equal(agents_retire(&agents, agent, "again", &err), -EALREADY);
		agent_free(&agent);
		if (!killed)
			break;
	}
	assert_true(retired >= 2);
}

static void a_group_grows_only_so_fast(void **state)
{
	struct error err = {0};
	char name[32];

	(void)state;
	for (unsigned i = 0; i <= AGENTS_NEW_PER_HOUR; i++) {
		Berm__Wire__Agent *agent = sample_agent();
		int r;

		snprintf(name, sizeof(name), "a%u", i);
		set_name(agent, name);
		agent->group = sample_words("lab");
		r = agents_add(&agents, agent, &err);
		assert_int_equal(r, i < AGENTS_NEW_PER_HOUR ? 0 : -EDQUOT);
		/* Retired ones count. */
		if (r == 0 && i % 2)
			assert_int_equal(agents_retire(&agents, agent, "over", &err), 0);
		agent_free(&agent);
	}
	assert_int_equal(err.kind, ERROR_REFUSED);
	add("alone");
}

static void a_group_that_is_joined_grows_as_fast_as_one_that_is_added_to(void **state)
{
	struct error err = {0};
	char name[32];

	(void)state;
	for (unsigned i = 0; i <= AGENTS_NEW_PER_HOUR; i++) {
		Berm__Wire__Agent *agent;
		int r;

		snprintf(name, sizeof(name), "a%u", i);
		add(name);
		agent = get(name);
		agent->group = sample_words("lab");
		r = agents_join(&agents, agent, &err);
		assert_int_equal(r, i < AGENTS_NEW_PER_HOUR ? 0 : -EDQUOT);
		if (r == 0)
			assert_int_equal(agents_write(&agents, agent, &err), 0);
		agent_free(&agent);
	}
	assert_int_equal(err.kind, ERROR_REFUSED);
}

/* A retirement that a kill left half done, and the end of a run that came after it. */
static void what_was_written_of_a_retired_agent_last_stays(void **state)
{
	char *id = add("a");
	Berm__Wire__Agent *agent = get("a");
	struct error err = {0};
	struct agent_now now;

	(void)state;
	assert_int_equal(agents_now(&now, &err), 0);
	agent->retired = agent_moment(&now);
	agent->retired_reason = sample_words("over");
	assert_int_equal(state_file_write(&agents.place, "a", &agent->base, &err), 0);
	agent->runs_total = 8;
	assert_int_equal(agents_write(&agents, agent, &err), 0);
	agent_free(&agent);
	assert_string_not_equal(add("a"), id);
	agent = get(id);
	assert_int_equal(agent->runs_total, 8);
	agent_free(&agent);
	agent = get("a");
	assert_null(agent->retired);
	agent_free(&agent);
}

static void what_cannot_be_read_is_counted_and_the_rest_listed(void **state)
{
	Berm__Wire__Agent **list = NULL, *agent;
	size_t count = 0, damaged = 0;
	struct error err = {0};

	(void)state;
	add("b");
	add("a");
	agent = get(add("c"));
	assert_int_equal(agents_retire(&agents, agent, "over", &err), 0);
	agent_free(&agent);
	make_file("state/agents/broken", "nothing");
	assert_int_equal(agents_list(&agents, false, &list, &count, &damaged, &err), 0);
	assert_int_equal(count, 2);
	assert_string_equal(list[0]->name, "a");
	assert_int_equal(damaged, 1);
	assert_true(err.text[0]);
	agents_free_list(list, count);
	assert_int_equal(agents_list(&agents, true, &list, &count, &damaged, &err), 0);
	assert_int_equal(count, 3);
	agents_free_list(list, count);
}

static void what_is_no_agent_is_neither_kept_nor_read(void **state)
{
	static const struct {
		const char *what;
		size_t field;
		const char *words;
	} rows[] = {
		{"no role", offsetof(Berm__Wire__Agent, role), ""},
		{"blank", offsetof(Berm__Wire__Agent, accountable_human), "   "},
		{"two lines", offsetof(Berm__Wire__Agent, role), "a\nb"},
		{"escape", offsetof(Berm__Wire__Agent, role), "a\033[2Jb"},
		{"right to left", offsetof(Berm__Wire__Agent, role),
			"a\xe2\x80\xae"
			"b"},
		{"no UTF-8", offsetof(Berm__Wire__Agent, role), "a\xff"},
		{"a name", offsetof(Berm__Wire__Agent, name), "A"},
		{"another", offsetof(Berm__Wire__Agent, name), "-a"},
		{"a third", offsetof(Berm__Wire__Agent, name), "a.new"},
		{"a path", offsetof(Berm__Wire__Agent, profile), "read-only"},
		{"another", offsetof(Berm__Wire__Agent, profile), "/etc/../x"},
		{"a place", offsetof(Berm__Wire__Agent, directory), "here"},
		{"a group", offsetof(Berm__Wire__Agent, group), "a/b"},
	};
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		Berm__Wire__Agent *agent = sample_agent();
		char **field = (char **)(void *)((char *)agent + rows[i].field);

		if (*field != protobuf_c_empty_string)
			free(*field);
		*field = sample_words(rows[i].words);
		assert_int_equal(agents_add(&agents, agent, &err), -EINVAL);
		assert_int_equal(err.kind, ERROR_INPUT);
		agent_free(&agent);
	}
	for (unsigned tier = 0; tier < 5; tier++) {
		Berm__Wire__Agent *agent = sample_agent();

		agent->tier = tier;
		assert_int_equal(agent_check(agent, &err), tier >= 1 && tier <= 3 ? 0 : -EINVAL);
		agent_free(&agent);
	}
}

#define row(test) cmocka_unit_test_setup_teardown(test, open_state, close_state)

int main(void)
{
	const struct CMUnitTest rows[] = {
		row(ids_are_new_and_names_are_one_agents),
		row(a_refused_rename_changes_nothing),
		row(a_kill_during_a_rename_leaves_one_agent_under_one_name),
		row(a_kill_during_a_retirement_never_gives_the_agent_back),
		row(a_group_grows_only_so_fast),
		row(a_group_that_is_joined_grows_as_fast_as_one_that_is_added_to),
		row(what_was_written_of_a_retired_agent_last_stays),
		row(what_cannot_be_read_is_counted_and_the_rest_listed),
		row(what_is_no_agent_is_neither_kept_nor_read),
	};

	umask(022);
	return cmocka_run_group_tests(rows, NULL, NULL);
}
