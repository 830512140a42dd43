/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/calls.h"

#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

/* Newer than libseccomp 2.5.4 knows them; a newer libseccomp is compared as well. */
#define FIRST_OWN_NUMBER 457
#define URETPROBE 335
#define UPROBE 336

static int number_on(const struct calls_entry *call, uint32_t machine)
{
	return machine == SCMP_ARCH_X86_64 ? call->x86_64 : call->aarch64;
}

static bool is_own(int number, uint32_t machine)
{
	return number >= FIRST_OWN_NUMBER ||
	       (machine == SCMP_ARCH_X86_64 && (number == URETPROBE || number == UPROBE));
}

static void compare_with_libseccomp(uint32_t machine)
{
	size_t count;
	const struct calls_entry *table = calls_table(&count);

	for (int number = 0; number <= CALLS_NUMBER_MAX; number++) {
		autofree char *known = seccomp_syscall_resolve_num_arch(machine, number);
		unsigned found = 0;

		for (size_t i = 0; i < count; i++) {
			if (number_on(&table[i], machine) != number)
				continue;
			found++;
			if (known)
				assert_string_equal(table[i].name, known);
			else
				assert_true(is_own(number, machine));
		}
		assert_true(found <= 1);
		if (known && !found)
			fail_msg("system call %d (%s) is in no group", number, known);
	}
}

static void every_call_that_libseccomp_knows_is_in_exactly_one_group(void **state)
{
	(void)state;
	compare_with_libseccomp(SCMP_ARCH_X86_64);
	compare_with_libseccomp(SCMP_ARCH_AARCH64);
}

static void calls_from_457_on_have_the_same_number_everywhere_and_no_gap(void **state)
{
	size_t count;
	const struct calls_entry *table = calls_table(&count);
	int next = FIRST_OWN_NUMBER;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		if (table[i].x86_64 < FIRST_OWN_NUMBER)
			continue;
		assert_int_equal(table[i].x86_64, next++);
		assert_int_equal(table[i].aarch64, table[i].x86_64);
	}
	assert_int_equal(next, 472);
}

static void the_table_is_sorted_and_names_are_unique(void **state)
{
	size_t count;
	const struct calls_entry *table = calls_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_true(table[i].group < CALLS_GROUP_COUNT);
		assert_true(table[i].x86_64 >= 0 && table[i].x86_64 <= CALLS_NUMBER_MAX);
		assert_true(table[i].aarch64 <= CALLS_NUMBER_MAX);
		if (i)
			assert_true(table[i].x86_64 > table[i - 1].x86_64);
		assert_ptr_equal(calls_find(table[i].name), &table[i]);
	}
	assert_null(calls_find("no_such_call"));
	assert_null(calls_find(""));
}

static void every_group_is_filled_and_found_by_its_name(void **state)
{
	size_t count;
	const struct calls_entry *table = calls_table(&count);

	(void)state;
	for (int g = 0; g < CALLS_GROUP_COUNT; g++) {
		const struct calls_group_entry *group = calls_group(g);
		enum calls_group found = CALLS_GROUP_COUNT;
		bool used = false;

		assert_non_null(group->name);
		assert_non_null(group->holds);
		assert_true(calls_group_find(group->name, &found));
		assert_int_equal(found, g);
		for (size_t i = 0; i < count; i++)
			used |= table[i].group == g;
		if (!used)
			fail_msg("group %s holds no call", group->name);
		/* The strict base is a part of the default one. */
		assert_true(group->in_base[SYSCALL_BASE_DEFAULT] ||
			    !group->in_base[SYSCALL_BASE_STRICT]);
		assert_int_equal(group->in_base[SYSCALL_BASE_DEFAULT], g < CALLS_MOUNT);
	}
}

static void what_starts_and_ends_a_program_is_essential_and_in_every_base(void **state)
{
	static const char *const needed[] = {"read", "write", "close", "waitid", "wait4", "kill",
		"rt_sigtimedwait", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "clone",
		"fork", "vfork", "execve", "execveat", "exit", "exit_group", "sendmsg", "ppoll",
		"prctl", "setsid", "dup2", "dup3", "close_range", "getpid"};
	size_t count;
	const struct calls_entry *table = calls_table(&count);

	(void)state;
	for (size_t i = 0; i < array_size(needed); i++)
		assert_true(calls_find(needed[i])->flags & CALLS_ESSENTIAL);
	for (size_t i = 0; i < count; i++) {
		if (table[i].flags & CALLS_ESSENTIAL) {
			assert_true(calls_group(table[i].group)->in_base[SYSCALL_BASE_STRICT]);
			assert_false(table[i].flags & (CALLS_PROBED | CALLS_NEVER));
		}
	}
}

static void a_misspelt_call_or_group_has_a_near_one(void **state)
{
	(void)state;
	assert_string_equal(calls_nearest("ptrase"), "ptrace");
	assert_string_equal(calls_nearest("io_uring_setpu"), "io_uring_setup");
	assert_string_equal(calls_group_nearest("keyrings"), "keyring");
}

static void families_have_distinct_numbers_and_only_four_can_be_named(void **state)
{
	size_t count;
	const struct calls_family *families = calls_families(&count);
	unsigned nameable = 0;

	(void)state;
	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(calls_family_find(families[i].name), &families[i]);
		nameable += families[i].nameable;
		assert_int_equal(families[i].nameable, families[i].reason == NULL);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(families[i].number, families[j].number);
	}
	assert_int_equal(nameable, 4);
	assert_false(calls_family_find("alg")->nameable);
	assert_null(calls_family_find("AF_INET"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_that_libseccomp_knows_is_in_exactly_one_group),
		cmocka_unit_test(calls_from_457_on_have_the_same_number_everywhere_and_no_gap),
		cmocka_unit_test(the_table_is_sorted_and_names_are_unique),
		cmocka_unit_test(every_group_is_filled_and_found_by_its_name),
		cmocka_unit_test(what_starts_and_ends_a_program_is_essential_and_in_every_base),
		cmocka_unit_test(a_misspelt_call_or_group_has_a_near_one),
		cmocka_unit_test(families_have_distinct_numbers_and_only_four_can_be_named),
	};

	return cmocka_run_group_tests_name("policy-calls", tests, NULL, NULL);
}
