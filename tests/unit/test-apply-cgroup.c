/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "tree.h"

#include "apply/facts.h"
#include "base/text.h"

/* Where a run's cgroup goes, shown with directories of plain files in place of a cgroup file
 * system. */

static Berm__Wire__HostFacts *cgroup_facts(const char *own)
{
	Berm__Wire__HostFacts *facts = malloc(sizeof(*facts));
	struct error err = {0};

	assert_non_null(facts);
	berm__wire__host_facts__init(facts);
	if (facts_cgroup_in(top, own, facts, &err) < 0)
		fail_msg("%s", err.text);
	return facts;
}

static void make_cgroup(const char *directory, const char *own_processes, const char *handed_down)
{
	const struct {
		const char *name, *content;
	} files[] = {{"cgroup.procs", own_processes},
		{"cgroup.controllers", "cpuset cpu io memory pids\n"},
		{"cgroup.subtree_control", handed_down}, {"cgroup.type", "domain\n"}};
	size_t count = array_size(files) - (directory[0] == '\0'); /* the root has no cgroup.type */
	char name[PATH_MAX];

	if (directory[0])
		make_directory(directory);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s%s%s", directory, directory[0] ? "/" : "",
			files[i].name);
		make_file(name, files[i].content);
	}
}

static void expect_controllers(const Berm__Wire__HostFacts *facts, const char *expected)
{
	autotext struct text got = {0};

	for (size_t i = 0; i < facts->n_cgroup_controllers; i++)
		text_printf(&got, "%s%s", i ? " " : "", facts->cgroup_controllers[i]);
	assert_string_equal(text_string(&got), expected);
}

static void the_root_cgroup_may_hold_processes_and_hand_controllers_down(void **state)
{
	Berm__Wire__HostFacts *facts;

	(void)state;
	make_cgroup("", "1\n2\n", "");
	facts = cgroup_facts("/");
	assert_true(facts->cgroup_v2);
	assert_string_equal(facts->cgroup_parent, top);
	expect_controllers(facts, "memory pids cpu io");
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

/* What a login session of systemd looks like: the shell's own cgroup has processes, its parent has
 * none. */
static void a_level_further_up_is_taken_for_its_controllers(void **state)
{
	Berm__Wire__HostFacts *facts;

	(void)state;
	make_cgroup("", "", "");
	make_cgroup("app", "", "memory pids\n");
	make_cgroup("app/shell", "42\n", "");
	assert_int_equal(unlink(in_top("cgroup.subtree_control")), 0);
	facts = cgroup_facts("/app/shell");
	assert_true(facts->cgroup_v2);
	assert_string_equal(facts->cgroup_parent, in_top("app"));
	expect_controllers(facts, "memory pids cpu io");
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

/* The caller was put into a cgroup with a limit: a run must not get out of it. */
static void a_limit_on_the_own_cgroup_keeps_the_run_inside(void **state)
{
	Berm__Wire__HostFacts *facts;

	(void)state;
	make_cgroup("", "", "memory pids cpu io\n");
	make_cgroup("job", "42\n", "");
	make_file("job/memory.max", "1073741824\n");
	facts = cgroup_facts("/job");
	assert_string_equal(facts->cgroup_parent, in_top("job"));
	expect_controllers(facts, "");
	berm__wire__host_facts__free_unpacked(facts, NULL);
	assert_int_equal(unlink(in_top("job/memory.max")), 0);
	make_file("job/memory.max", "max\n");
	facts = cgroup_facts("/job");
	assert_string_equal(facts->cgroup_parent, top);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		in_tree(the_root_cgroup_may_hold_processes_and_hand_controllers_down),
		in_tree(a_level_further_up_is_taken_for_its_controllers),
		in_tree(a_limit_on_the_own_cgroup_keeps_the_run_inside),
	};

	return cmocka_run_group_tests_name("apply-cgroup", list, NULL, NULL);
}
