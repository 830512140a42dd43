/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fixture.h"
#include "plan/filter.h"
#include "policy/calls.h"
#include "wire/verdict.h"

#include <errno.h>
#include <linux/audit.h>
#include <string.h>

static void refused(const char *key, const char *value, const char *const texts[], size_t count)
{
	struct fixture f;
	struct error err = {0};

	fixture_init(&f);
	assert_true(fixture_add(&f, key, value, 7));
	assert_int_equal(fixture_compile(&f, &err), -EINVAL);
	assert_int_equal(err.kind, ERROR_INPUT);
	assert_non_null(strstr(err.text, "test.yaml:7:5: "));
	assert_non_null(strstr(err.text, value));
	for (size_t i = 0; i < count; i++) {
		if (!strstr(err.text, texts[i]))
			fail_msg("\"%s\" is not in: %s", texts[i], err.text);
	}
	assert_null(f.seccomp);
	fixture_finish(&f);
}

static void a_denial_that_no_program_could_live_with_is_refused_with_its_line(void **state)
{
	static const char *const texts[] = {"syscalls.deny: ", "cannot be denied"};
	size_t count, essential = 0;
	const struct calls_entry *table = calls_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		if (table[i].flags & CALLS_ESSENTIAL) {
			refused("deny", table[i].name, texts, array_size(texts));
			essential++;
		}
	}
	assert_true(essential >= 25);
}

static void a_group_that_holds_such_a_call_is_refused_and_says_which(void **state)
{
	static const struct {
		const char *group, *call;
	} cases[] = {{"process", "getpid"}, {"file-io", "read"}, {"signal", "rt_sigaction"},
		{"memory", "mmap"}, {"poll", "ppoll"}, {"thread", "arch_prctl"}};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		const char *texts[] = {"syscalls.deny_groups: ", cases[i].call};

		refused("deny_groups", cases[i].group, texts, array_size(texts));
	}
}

static void every_other_group_can_be_denied(void **state)
{
	static const char *const kept[] = {
		"process", "file-io", "signal", "memory", "poll", "thread"};

	(void)state;
	for (int g = 0; g < CALLS_GROUP_COUNT; g++) {
		const char *name = calls_group(g)->name;
		bool keep = false;
		struct fixture f;
		struct error err;

		for (size_t i = 0; i < array_size(kept); i++)
			keep |= !strcmp(kept[i], name);
		if (keep)
			continue;
		fixture_init(&f);
		assert_true(fixture_add(&f, "deny_groups", name, 1));
		assert_int_equal(fixture_compile(&f, &err), 0);
		for (size_t i = 0; i < f.seccomp->n_syscalls; i++) {
			const Berm__Wire__Syscall *call = f.seccomp->syscalls[i];

			if (calls_find(call->name)->group == g)
				assert_int_not_equal(
					call->action, BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW);
		}
		fixture_finish(&f);
	}
}

static void what_the_filter_cannot_look_into_can_never_be_allowed(void **state)
{
	static const char *const names[] = {
		"clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"};
	static const char *const texts[] = {"syscalls.allow: ", "cannot be allowed"};

	(void)state;
	for (size_t i = 0; i < array_size(names); i++)
		refused("allow", names[i], texts, array_size(texts));
}

static void a_name_that_does_not_exist_is_refused_with_the_nearest(void **state)
{
	static const char *const call[] = {"is no system call", "did you mean \"ptrace\"?"};
	static const char *const group[] = {
		"is no group of system calls", "did you mean \"keyring\"?"};
	static const char *const family[] = {"is no socket family"};
	static const char *const alg[] = {"syscalls.families: ", "kernel code"};

	(void)state;
	refused("allow", "ptracee", call, array_size(call));
	refused("deny", "ptracee", call, array_size(call));
	refused("deny", "qqqqqqqqqqqqqq", call, 1);
	refused("deny_groups", "keyrings", group, array_size(group));
	refused("families", "ipv4", family, array_size(family));
	refused("families", "alg", alg, array_size(alg));
	refused("families", "vsock", NULL, 0);
	refused("families", "packet", NULL, 0);
}

static uint32_t count_rule(
	void *context, const char *key, const char *value, const struct source *at)
{
	(void)key, (void)value, (void)at;
	return ++*(uint32_t *)context;
}

static void a_call_of_another_machine_is_a_note_and_no_error(void **state)
{
	struct fixture f;
	autotext struct text notes = {0};
	struct error err;
	uint32_t rules = 0;
	struct syscalls_request request = {.rule = count_rule, .context = &rules};

	(void)state;
	fixture_init(&f);
	assert_true(fixture_add(&f, "machine", "aarch64", 1));
	assert_true(fixture_add(&f, "deny", "mkdir", 2));
	assert_true(fixture_add(&f, "deny", "_llseek", 3));
	assert_true(fixture_add(&f, "allow", "epoll_wait", 4));
	assert_int_equal(
		syscalls_compile(&f.profile, &f.facts, &request, &f.seccomp, &notes, &err), 0);
	assert_int_equal(rules, 3);
	assert_string_equal(text_string(&notes),
		"test.yaml:4: syscalls.allow: \"epoll_wait\" does not exist on this machine\n"
		"test.yaml:2: syscalls.deny: \"mkdir\" does not exist on this machine\n"
		"test.yaml:3: syscalls.deny: \"_llseek\" does not exist on this machine\n");
	fixture_finish(&f);
}

static void a_machine_or_kernel_without_filters_is_unsupported(void **state)
{
	struct fixture f;
	struct error err = {0};

	(void)state;
	fixture_init(&f);
	f.facts.audit_arch = AUDIT_ARCH_I386;
	assert_int_equal(fixture_compile(&f, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	fixture_finish(&f);
	fixture_init(&f);
	f.facts.seccomp_filter = false;
	assert_int_equal(fixture_compile(&f, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	fixture_finish(&f);
}

static uint32_t no_rule(void *context, const char *key, const char *value, const struct source *at)
{
	(void)context, (void)key, (void)value, (void)at;
	return UINT32_MAX;
}

static void a_rule_that_cannot_be_made_fails_the_plan(void **state)
{
	static const struct {
		const char *key, *value;
	} words[] = {{"base", "strict"}, {"allow", "ptrace"}, {"deny", "mlock"},
		{"deny_groups", "ipc"}, {"families", "unix"}};
	struct syscalls_request request = {.rule = no_rule};

	(void)state;
	for (size_t i = 0; i < array_size(words); i++) {
		struct fixture f;
		struct error err;

		fixture_init(&f);
		assert_true(fixture_add(&f, words[i].key, words[i].value, 1));
		assert_int_equal(
			syscalls_compile(&f.profile, &f.facts, &request, &f.seccomp, NULL, &err),
			-ENOMEM);
		fixture_finish(&f);
	}
}

/* A table of two calls, the second with one case of one condition, for the emitter's own checks. */
struct small {
	Berm__Wire__Seccomp seccomp;
	Berm__Wire__Syscall calls[2], *call_list[2];
	Berm__Wire__SyscallCase one, *cases[1];
	Berm__Wire__SyscallCondition condition, *conditions[1];
};

static void small_init(struct small *s)
{
	berm__wire__seccomp__init(&s->seccomp);
	berm__wire__syscall_case__init(&s->one);
	berm__wire__syscall_condition__init(&s->condition);
	for (int i = 0; i < 2; i++) {
		berm__wire__syscall__init(&s->calls[i]);
		s->calls[i].number = (uint32_t)i + 10;
		s->calls[i].action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW;
		s->call_list[i] = &s->calls[i];
	}
	s->condition.mask = UINT64_MAX;
	s->conditions[0] = &s->condition;
	s->one.conditions = s->conditions;
	s->one.n_conditions = 1;
	s->one.action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY;
	s->one.errno_value = EPERM;
	s->cases[0] = &s->one;
	s->calls[1].cases = s->cases;
	s->calls[1].n_cases = 1;
	s->seccomp.audit_arch = AUDIT_ARCH_X86_64;
	s->seccomp.unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO;
	s->seccomp.unknown_errno = ENOSYS;
	s->seccomp.syscalls = s->call_list;
	s->seccomp.n_syscalls = 2;
}

static int small_compile(struct small *s)
{
	struct error err;
	int r = filter_compile(&s->seccomp, &err);

	free(s->seccomp.program.data);
	s->seccomp.program.data = NULL;
	return r;
}

/* K14: the kernel cuts an errno over 4095 and returns success for 0. */
static void a_table_that_the_kernel_would_read_otherwise_is_refused(void **state)
{
	struct small s;

	(void)state;
	small_init(&s);
	assert_int_equal(small_compile(&s), 0);
	s.one.errno_value = 0;
	assert_int_equal(small_compile(&s), -EINVAL);
	s.one.errno_value = 4095;
	assert_int_equal(small_compile(&s), 0);
	s.one.errno_value = 4096;
	assert_int_equal(small_compile(&s), -EINVAL);
	small_init(&s);
	s.seccomp.unknown_errno = 65536 + EPERM;
	assert_int_equal(small_compile(&s), -EINVAL);
	small_init(&s);
	s.seccomp.unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_UNSPECIFIED;
	assert_int_equal(small_compile(&s), -EINVAL);
	small_init(&s);
	s.calls[0].action = 77;
	assert_int_equal(small_compile(&s), -EINVAL);
	small_init(&s);
	s.one.action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_UNSPECIFIED;
	assert_int_equal(small_compile(&s), -EINVAL);
}

static void a_table_with_a_number_or_condition_out_of_range_is_refused(void **state)
{
	struct small s;

	(void)state;
	small_init(&s);
	s.calls[1].number = s.calls[0].number;
	assert_int_equal(small_compile(&s), -EINVAL);
	s.calls[1].number = s.calls[0].number - 1;
	assert_int_equal(small_compile(&s), -EINVAL);
	s.calls[1].number = VERDICT_X32_BIT;
	assert_int_equal(small_compile(&s), -EINVAL);
	s.calls[1].number = VERDICT_X32_BIT - 1;
	assert_int_equal(small_compile(&s), 0);
	small_init(&s);
	s.condition.argument = 6;
	assert_int_equal(small_compile(&s), -EINVAL);
	s.condition.argument = 5;
	assert_int_equal(small_compile(&s), 0);
	s.condition.mask = 0xff;
	s.condition.value = 0x100;
	assert_int_equal(small_compile(&s), -EINVAL);
}

/* Four instructions for each condition on a whole argument. */
static void a_program_longer_than_the_kernel_takes_is_refused(void **state)
{
	static Berm__Wire__SyscallCondition conditions[1100];
	static Berm__Wire__SyscallCondition *list[1100];
	struct small s;

	(void)state;
	small_init(&s);
	for (size_t i = 0; i < array_size(conditions); i++) {
		berm__wire__syscall_condition__init(&conditions[i]);
		conditions[i].mask = UINT64_MAX;
		conditions[i].value = i;
		list[i] = &conditions[i];
	}
	s.one.conditions = list;
	s.one.n_conditions = 900;
	assert_int_equal(small_compile(&s), 0);
	s.one.n_conditions = array_size(conditions);
	assert_int_equal(small_compile(&s), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_denial_that_no_program_could_live_with_is_refused_with_its_line),
		cmocka_unit_test(a_group_that_holds_such_a_call_is_refused_and_says_which),
		cmocka_unit_test(every_other_group_can_be_denied),
		cmocka_unit_test(what_the_filter_cannot_look_into_can_never_be_allowed),
		cmocka_unit_test(a_name_that_does_not_exist_is_refused_with_the_nearest),
		cmocka_unit_test(a_call_of_another_machine_is_a_note_and_no_error),
		cmocka_unit_test(a_machine_or_kernel_without_filters_is_unsupported),
		cmocka_unit_test(a_rule_that_cannot_be_made_fails_the_plan),
		cmocka_unit_test(a_table_that_the_kernel_would_read_otherwise_is_refused),
		cmocka_unit_test(a_table_with_a_number_or_condition_out_of_range_is_refused),
		cmocka_unit_test(a_program_longer_than_the_kernel_takes_is_refused),
	};

	return cmocka_run_group_tests_name("syscalls-refusals", tests, NULL, NULL);
}
