/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/plan-guard.h"
#include "facts-text.h"
#include "hostile-bounds.h"
#include "hostile-host.h"
#include "loading.h"

#include <string.h>

/* What a planner that was taken over could send as a plan. */

static const char profile_text[] = "version: 1\nname: guarded\nfs:\n  read: [/usr]\n"
				   "blast_radius: {files_changed: 10}\n"
				   "limits: {wall_time: 5m}\n";
static struct loading files;

/* Of a run of root's in somebody's tree. */
static const char writer_text[] =
	"version: 1\nname: writer\nfs:\n  read: [/usr]\n  write: [/w]\n"
	"  protect: [/w/hooks]\n"
	"blast_radius: {files_changed: 10}\nlimits: {pids: 10, open_files: 64}\n"
	"approvals: {on: [run], channels: [exec], exec: [/usr/bin/ask]}\n"
	"gates: [{name: judge, exec: [/usr/bin/judge, word], on: [run]}]\n";
static struct profile *profile, *writer;
static Berm__Wire__HostFacts *facts, *writer_facts;
static const char *const argv[] = {"/usr/bin/true", "word", NULL};
static const char *const nothing[] = {NULL};
static Berm__Wire__Agent agent;
static struct plan_request request = {
	.argv = argv, .environment = nothing, .run_id = "r1", .agent = &agent};

static struct profile *load(const char *text)
{
	loading_good(&files, text);
	return take_ptr(&files.profile);
}

static int make_all(void **state)
{
	static const char *const base =
		"landlock_abi 7\nseccomp_filter 1\nseccomp_notify 1\n"
		"user_namespaces 1\nnetwork_namespaces 1\nprivileged 1\n"
		"id_mapped_mounts 1\ncgroup_v2 1\ncgroup_parent /sys/fs/cgroup\n"
		"caller_uid 1000\ncaller_gid 1000\ncaller_name u\n"
		"caller_home /home/u\naudit_arch 3221225534\n"
		"meter_programs 2\nmeter_make lsm\npath /usr\n";
	static const char *const of_root =
		"landlock_abi 7\nseccomp_filter 1\nseccomp_notify 1\n"
		"user_namespaces 1\nnetwork_namespaces 1\nprivileged 1\n"
		"id_mapped_mounts 1\ncgroup_v2 1\ncgroup_parent /sys/fs/cgroup\n"
		"cgroup_controllers pids\ncaller_uid 0\ncaller_gid 0\ncaller_name root\n"
		"caller_home /root\naudit_arch 3221225534\n"
		"meter_programs 2\nmeter_make lsm\npath /usr\n"
		"path /w owner_uid=1000 owner_gid=1000\n"
		"path /w/hooks kind=absent deepest_existing=/w deepest_kind=directory "
		"deepest_mode=493 missing=hooks\n";

	(void)state;
	loading_init(&files);
	profile = load(profile_text);
	writer = load(writer_text);
	facts = facts_from_text(base);
	writer_facts = facts_from_text(of_root);
	berm__wire__agent__init(&agent);
	agent.id = (char *)(uintptr_t) "A1";
	agent.name = (char *)(uintptr_t) "researcher";
	agent.tier = 1;
	return 0;
}

static int release_all(void **state)
{
	(void)state;
	loading_finish(&files);
	profile_destroy(profile);
	profile_destroy(writer);
	berm__wire__host_facts__free_unpacked(facts, NULL);
	berm__wire__host_facts__free_unpacked(writer_facts, NULL);
	return 0;
}

static Berm__Wire__Plan *make_plan(const struct profile *of, const Berm__Wire__HostFacts *where)
{
	autotext struct text notes = {0};
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	if (plan_compile(of, where, &request, &plan, &notes, &err) < 0)
		fail_msg("%s", err.text);
	return plan;
}

/* ---- plans ---- */

static void other_run(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], "BERM_RUN=", 9) == 0)
			put_string(&plan->environment[i], "BERM_RUN=r2");
}

static void no_run(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_environment; i++)
		if (strncmp(plan->environment[i], "BERM_RUN=", 9) == 0)
			put_string(&plan->environment[i], "OTHER=r1");
}

static void other_command(Berm__Wire__Plan *plan)
{
	put_string(&plan->argv[1], "other");
}

static void shorter_command(Berm__Wire__Plan *plan)
{
	free(plan->argv[--plan->n_argv]);
}

static void other_agent(Berm__Wire__Plan *plan)
{
	put_string(&plan->agent->id, "A2");
}

static void no_agent(Berm__Wire__Plan *plan)
{
	berm__wire__plan_agent__free_unpacked(plan->agent, NULL);
	plan->agent = NULL;
}

static void root(Berm__Wire__Plan *plan)
{
	plan->identity->outside_uid = 0;
}

static void other_user(Berm__Wire__Plan *plan)
{
	plan->identity->outside_uid = 1001;
}

static void group_of_root(Berm__Wire__Plan *plan)
{
	plan->identity->outside_gid = 0;
}

static void stays_root(Berm__Wire__Plan *plan)
{
	plan->identity->drop_from_root = false;
}

static void root_inside(Berm__Wire__Plan *plan)
{
	plan->identity->inside_uid = 0;
}

static void nobody(Berm__Wire__Plan *plan)
{
	berm__wire__identity__free_unpacked(plan->identity, NULL);
	plan->identity = NULL;
}

static void other_profile(Berm__Wire__Plan *plan)
{
	plan->profile_digest.data[0] ^= 1;
}

static void for_ever(Berm__Wire__Plan *plan)
{
	plan->wall_time_ms = 0;
}

static void longer(Berm__Wire__Plan *plan)
{
	plan->wall_time_ms++;
}

static void traced(Berm__Wire__Plan *plan)
{
	plan->trace_denials = true;
}

static void degraded(Berm__Wire__Plan *plan)
{
	assert_int_equal(plan->n_degraded, 0);
	plan->degraded = calloc(1, sizeof(char *));
	plan->degraded[plan->n_degraded++] = strdup("landlock");
}

static void no_landlock(Berm__Wire__Plan *plan)
{
	berm__wire__landlock__free_unpacked(plan->landlock, NULL);
	plan->landlock = NULL;
}

static void less_landlock(Berm__Wire__Plan *plan)
{
	plan->landlock->handled_fs &= ~(uint64_t)2;
}

static void no_filter(Berm__Wire__Plan *plan)
{
	berm__wire__seccomp__free_unpacked(plan->seccomp, NULL);
	plan->seccomp = NULL;
}

static void empty_filter(Berm__Wire__Plan *plan)
{
	free(plan->seccomp->program.data);
	plan->seccomp->program = (ProtobufCBinaryData){0};
}

static void other_filter(Berm__Wire__Plan *plan)
{
	plan->seccomp->program.data[plan->seccomp->program.len - 1] ^= 1;
}

static void open_filter(Berm__Wire__Plan *plan)
{
	plan->seccomp->unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW;
}

static void other_machine(Berm__Wire__Plan *plan)
{
	plan->seccomp->audit_arch ^= 1;
}

static void wrong_name(Berm__Wire__Plan *plan)
{
	put_string(&plan->seccomp->syscalls[0]->name, "mount");
}

static void up_and_out(Berm__Wire__Plan *plan)
{
	put_string(&plan->mounts[0]->target, "/usr/../etc");
}

static void root_of_the_host(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND)
			put_string(&plan->mounts[i]->target, "/");
}

static void writable(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_BIND)
			plan->mounts[i]->read_only = false;
}

static void writable_root(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY)
			put_string(&plan->mounts[i]->target, "/other");
}

static void open_network(Berm__Wire__Plan *plan)
{
	plan->network->mode = BERM__WIRE__NETWORK_MODE__NETWORK_HOST;
}

static void other_cgroup(Berm__Wire__Plan *plan)
{
	assert_true(plan->cgroup && plan->cgroup->use);
	put_string(&plan->cgroup->parent, "/sys/fs/cgroup/init.scope");
}

static void untried(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_canaries; i++)
		plan->canaries[i]->kind = BERM__WIRE__CANARY_KIND__CANARY_UNSPECIFIED;
}

static void asks_by_its_own(Berm__Wire__Plan *plan)
{
	assert_null(plan->approvals);
	plan->approvals = malloc(sizeof(*plan->approvals));
	berm__wire__approvals__init(plan->approvals);
	plan->approvals->exec_is_operators = true;
}

static Berm__Wire__Syscall *find_call(Berm__Wire__Plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->seccomp->n_syscalls; i++)
		if (strcmp(plan->seccomp->syscalls[i]->name, name) == 0)
			return plan->seccomp->syscalls[i];
	fail_msg("%s is in no row", name);
	return NULL;
}

static void never_allowed(Berm__Wire__Plan *plan)
{
	find_call(plan, "io_uring_setup")->action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW;
}

static void never_traced(Berm__Wire__Plan *plan)
{
	find_call(plan, "openat2")->action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE;
}

static void never_gated(Berm__Wire__Plan *plan)
{
	find_call(plan, "clone3")->action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
}

static void never_by_a_case(Berm__Wire__Plan *plan)
{
	Berm__Wire__Syscall *row = find_call(plan, "io_uring_setup");

	assert_int_equal(row->n_cases, 0);
	row->cases = calloc(1, sizeof(*row->cases));
	row->cases[0] = malloc(sizeof(**row->cases));
	berm__wire__syscall_case__init(row->cases[0]);
	row->cases[0]->action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW;
	row->n_cases = 1;
}

static void mount_of_no_rule(Berm__Wire__Plan *plan)
{
	plan->mounts[plan->n_mounts - 1]->rule = (uint32_t)plan->n_rules;
}

static void cap_of_no_rule(Berm__Wire__Plan *plan)
{
	plan->meter->caps[0]->rule = 1U << 31;
}

static void untried_landlock(Berm__Wire__Plan *plan)
{
	for (size_t i = 0; i < plan->n_canaries; i++)
		if (plan->canaries[i]->kind == BERM__WIRE__CANARY_KIND__CANARY_LANDLOCK)
			plan->canaries[i]->kind = BERM__WIRE__CANARY_KIND__CANARY_CAPABILITIES;
}

static void a_plan_that_berm_makes_is_taken(void **state)
{
	Berm__Wire__Plan *plan = make_plan(profile, facts);
	Berm__Wire__Plan *other = make_plan(writer, writer_facts);
	struct error err = {0};

	(void)state;
	if (plan_guard(plan, profile, facts, &request, &err) < 0 ||
		plan_guard(other, writer, writer_facts, &request, &err) < 0)
		fail_msg("%s", err.text);
	plan_destroy(plan);
	plan_destroy(other);
}

struct hostile {
	void (*change)(Berm__Wire__Plan *plan);
	const char *refusal;
};

static void all_are_refused(const struct hostile *rows, size_t count, const struct profile *of,
	const Berm__Wire__HostFacts *where)
{
	for (size_t i = 0; i < count; i++) {
		Berm__Wire__Plan *plan = make_plan(of, where);
		struct error err = {0};

		rows[i].change(plan);
		if (plan_guard(plan, of, where, &request, &err) != -EPROTO)
			fail_msg("row %zu (%s) was taken", i, rows[i].refusal);
		if (!strstr(err.text, rows[i].refusal))
			fail_msg("\"%s\" and not \"%s\"", err.text, rows[i].refusal);
		plan_destroy(plan);
	}
}

static void what_would_be_done_to_the_host_is_refused(void **state)
{
	static const struct hostile rows[] = {
		{bind_of_another_place, "does not have there"},
		{bind_of_an_unknown_object, "does not have there"},
		{mapped_from_root, "belongs to somebody else"},
		{tree_as_a_device, "a device that is none"},
		{device_of_another_name, "a device that is none"},
		{reserved_elsewhere, "where it may not"},
		{reserved_in_what_is_read, "where it may not"},
		{reserved_for_another, "where it may not"},
		{staged_without_a_tree, "stages what"},
		{asks_nobody, "asks whom"},
		{asks_another_program, "in another way"},
		{asks_as_the_operator, "in another way"},
		{asks_of_nothing, "in another way"},
		{judged_by_another_program, "other gates"},
		{judged_as_the_operator, "other gates"},
		{judged_of_nothing, "other gates"},
		{more_processes, "more of this host"},
		{processes_without_end, "more of this host"},
		{processes_once_more, "more of this host"},
		{processes_by_chance, "more of this host"},
		{unbounded_processes, "more of this host"},
		{no_cgroup, "more of this host"},
		{more_open_files, "more of this host"},
		{more_open_files_later, "more of this host"},
		{unbounded_files, "more of this host"},
		{core_pattern, "bound no run"},
		{parents_processes, "bound no run"},
		{two_controllers, "bound no run"},
		{two_lines, "bound no run"},
		{linked, "nothing looks at"},
		{linked_by_another_prefix, "not the operator's"},
	};

	(void)state;
	all_are_refused(rows, array_size(rows), writer, writer_facts);
}

static void what_no_plan_of_this_run_is_is_refused(void **state)
{
	static const struct hostile rows[] = {
		{never_allowed, "no profile can allow"},
		{never_traced, "no profile can allow"},
		{never_gated, "no profile can allow"},
		{never_by_a_case, "no profile can allow"},
		{mount_of_no_rule, "does not list"},
		{cap_of_no_rule, "does not list"},
		{untried_landlock, "does not try"},
		{mapped_for_a_user, "belongs to somebody else"},
		{other_run, "of another run"},
		{no_run, "of no run"},
		{other_command, "of another command"},
		{shorter_command, "of another command"},
		{other_agent, "of another agent"},
		{no_agent, "of another agent"},
		{root, "another user's"},
		{other_user, "another user's"},
		{group_of_root, "another user's"},
		{stays_root, "another user's"},
		{root_inside, "another user's"},
		{nobody, "nobody's"},
		{other_profile, "of another profile"},
		{for_ever, "lasts longer"},
		{longer, "lasts longer"},
		{traced, "traces"},
		{degraded, "does without"},
		{no_landlock, "no Landlock"},
		{less_landlock, "no Landlock"},
		{no_filter, "no filter"},
		{empty_filter, "no filter"},
		{other_filter, "not what it says"},
		{open_filter, "lets through"},
		{other_machine, "lets through"},
		{wrong_name, "a system call that is none"},
		{up_and_out, "no plain path"},
		{root_of_the_host, "the host's root"},
		{writable, "writes where"},
		{writable_root, "no root of its own"},
		{open_network, "the host's network"},
		{other_cgroup, "a cgroup that is not"},
		{untried, "does not try"},
		{higher_cap, "more be done"},
		{no_cap, "does not count"},
		{cap_of_another_counter, "does not count"},
		{no_meter, "does not count"},
		{nothing_counts, "a meter that does not count"},
		{only_the_network_counts, "a meter that does not count"},
		{asks_by_its_own, "asks whom"},
	};

	(void)state;
	all_are_refused(rows, array_size(rows), profile, facts);
}

/* Where only the gate of system calls counts. */
static void what_counts_without_programs_is_the_gate(void **state)
{
	static const struct hostile rows[] = {{no_gate, "a meter that does not count"},
		{no_cap, "does not count"}, {higher_cap, "more be done"}};
	Berm__Wire__Plan *plan;
	struct error err = {0};

	(void)state;
	facts->meter_programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
	plan = make_plan(profile, facts);
	if (plan_guard(plan, profile, facts, &request, &err) < 0)
		fail_msg("%s", err.text);
	plan_destroy(plan);
	all_are_refused(rows, array_size(rows), profile, facts);
	facts->meter_programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_that_berm_makes_is_taken),
		cmocka_unit_test(what_no_plan_of_this_run_is_is_refused),
		cmocka_unit_test(what_would_be_done_to_the_host_is_refused),
		cmocka_unit_test(what_counts_without_programs_is_the_gate),
	};

	return cmocka_run_group_tests(tests, make_all, release_all);
}
