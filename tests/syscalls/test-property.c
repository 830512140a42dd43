/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "bpf-interpreter.h"
#include "fixture.h"
#include "plan/filter.h"
#include "policy/calls.h"
#include "random.h"
#include "wire/verdict.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>

/* Random tables and random profiles: the compiled program and the table must say the same. Rounds
 * from the environment (BERM_ROUNDS) for longer runs; a failure prints the round's seed. */

#define TABLE_ROUNDS 100000
#define PROFILE_ROUNDS 10000
#define CALLS_MAX 900
#define CASES_MAX 8
#define CONDITIONS_MAX 3
#define WORDS_MAX 12
#define LARGE_EVERY 100 /* one round of so many has a table as large as a real one or larger */

static unsigned rounds(unsigned standard)
{
	const char *text = getenv("BERM_ROUNDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : standard;
}

/* Storage for one random table. */
struct table {
	Berm__Wire__Seccomp seccomp;
	Berm__Wire__Syscall calls[CALLS_MAX], *call_list[CALLS_MAX];
	Berm__Wire__SyscallCase cases[CALLS_MAX][CASES_MAX], *case_list[CALLS_MAX][CASES_MAX];
	Berm__Wire__SyscallCondition conditions[CALLS_MAX][CASES_MAX][CONDITIONS_MAX],
		*condition_list[CALLS_MAX][CASES_MAX][CONDITIONS_MAX];
};

static uint64_t random_mask(void)
{
	static const uint64_t masks[] = {UINT64_MAX, UINT32_MAX, 0xffffffff00000000ULL, 1,
		0x8000000000000000ULL, 0x80000000, 06000, 0x7e020000, 0xf, 0x100000001ULL,
		0xff000000ffULL, 0};
	uint32_t pick = random_below(array_size(masks) + 3);

	return pick < array_size(masks) ? masks[pick] : random_u64() & random_u64();
}

/* The last one is the gate, which needs a listener. */
static void random_action(bool gate, Berm__Wire__SyscallAction *action, uint32_t *errno_value)
{
	*action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW + random_below(gate ? 6 : 5);
	*errno_value = 1 + random_below(4095);
}

static void random_condition(Berm__Wire__SyscallCondition *c)
{
	berm__wire__syscall_condition__init(c);
	c->argument = random_below(6);
	c->mask = random_mask();
	/* Few bits, so that values repeat among the cases of a call. */
	c->value = c->mask & (random_below(2) ? random_below(4) : random_u64());
	c->negate = random_below(3) == 0;
}

static void random_call(struct table *t, size_t i, uint32_t number)
{
	Berm__Wire__Syscall *call = &t->calls[i];

	berm__wire__syscall__init(call);
	t->call_list[i] = call;
	call->number = number;
	random_action(t->seccomp.listener, &call->action, &call->errno_value);
	call->cases = t->case_list[i];
	call->n_cases = random_below(2) ? 0 : random_below(CASES_MAX + 1);
	for (size_t k = 0; k < call->n_cases; k++) {
		Berm__Wire__SyscallCase *c = &t->cases[i][k];

		berm__wire__syscall_case__init(c);
		t->case_list[i][k] = c;
		random_action(t->seccomp.listener, &c->action, &c->errno_value);
		c->conditions = t->condition_list[i][k];
		c->n_conditions = random_below(CONDITIONS_MAX + 1);
		for (size_t j = 0; j < c->n_conditions; j++) {
			random_condition(&t->conditions[i][k][j]);
			t->condition_list[i][k][j] = &t->conditions[i][k][j];
		}
	}
}

static void random_table(struct table *t, bool large)
{
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64};
	size_t count = large ? random_below(CALLS_MAX + 1) : random_below(12);
	uint32_t number = random_below(3);

	berm__wire__seccomp__init(&t->seccomp);
	t->seccomp.audit_arch = arches[random_below(2)];
	t->seccomp.listener = random_below(2);
	random_action(false, &t->seccomp.unknown_action, &t->seccomp.unknown_errno);
	t->seccomp.syscalls = t->call_list;
	for (size_t i = 0; i < count && number < VERDICT_X32_BIT; i++) {
		random_call(t, i, number);
		t->seccomp.n_syscalls = i + 1;
		number += 1 +
			  (random_below(4) ? 0 : random_below(random_below(500) ? 8 : 0x10000000));
	}
}

static uint32_t expected(const Berm__Wire__Seccomp *seccomp, const struct syscall_verdict *v)
{
	static const uint32_t plain[] = {
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW] = SECCOMP_RET_ALLOW,
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY] = SECCOMP_RET_USER_NOTIF,
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO] = SECCOMP_RET_ERRNO,
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL] = SECCOMP_RET_KILL_PROCESS,
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE] = SECCOMP_RET_USER_NOTIF,
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE] = SECCOMP_RET_USER_NOTIF,
	};
	uint32_t value = plain[v->action];

	if (value == SECCOMP_RET_USER_NOTIF && !seccomp->listener)
		value = v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE ? SECCOMP_RET_ALLOW
									       : SECCOMP_RET_ERRNO;
	return value == SECCOMP_RET_ERRNO ? value | v->errno_value : value;
}

/* Registers that the conditions of the call are about, or nearly: equal, one bit off, junk in the
 * unmasked bits. */
static void random_arguments(const Berm__Wire__Syscall *call, uint64_t arguments[6])
{
	for (int i = 0; i < 6; i++)
		arguments[i] = random_below(2) ? random_below(4) : random_u64();
	if (!call || !call->n_cases)
		return;
	for (int n = 0; n < 3; n++) {
		const Berm__Wire__SyscallCase *c =
			call->cases[random_below((uint32_t)call->n_cases)];

		for (size_t j = 0; j < c->n_conditions; j++) {
			const Berm__Wire__SyscallCondition *condition = c->conditions[j];
			uint64_t *a = &arguments[condition->argument];

			*a = condition->value | (random_u64() & ~condition->mask);
			if (random_below(4) == 0)
				*a ^= UINT64_C(1) << random_below(64);
		}
	}
}

static void compare(const Berm__Wire__Seccomp *seccomp, unsigned round)
{
	const struct sock_filter *program = (const void *)seccomp->program.data;
	size_t count = seccomp->program.len / sizeof(*program);
	static const uint32_t arches[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386};

	for (int i = 0; i < 24; i++) {
		const Berm__Wire__Syscall *call =
			seccomp->n_syscalls
				? seccomp->syscalls[random_below((uint32_t)seccomp->n_syscalls)]
				: NULL;
		struct seccomp_data data = {
			.arch = seccomp->audit_arch, .instruction_pointer = random_u64()};
		struct syscall_verdict v;
		uint64_t arguments[6];

		data.nr = call ? (int)(call->number + random_below(3) - 1) : 0;
		if (i % 8 == 6)
			data.nr = (int)random_u64();
		if (i % 8 == 7)
			data.arch = arches[random_below(array_size(arches))];
		random_arguments(call, arguments);
		memcpy(data.args, arguments, sizeof(data.args));
		syscall_verdict(seccomp, data.arch, (uint32_t)data.nr, arguments, &v);
		if (bpf_run(program, count, &data, NULL) != expected(seccomp, &v))
			fail_msg("round %u: call 0x%x of arch 0x%x: program 0x%08x, table 0x%08x",
				round, (unsigned)data.nr, data.arch,
				bpf_run(program, count, &data, NULL), expected(seccomp, &v));
	}
}

static void check_program(const Berm__Wire__Seccomp *seccomp, unsigned round)
{
	const struct sock_filter *program = (const void *)seccomp->program.data;
	const char *why = bpf_check(program, seccomp->program.len / sizeof(*program));

	if (why)
		fail_msg("round %u: the program has %s", round, why);
}

static void any_table_compiles_into_a_program_that_agrees_with_it(void **state)
{
	static struct table t;
	unsigned too_long = 0, large = 0, longest = 0;

	(void)state;
	for (unsigned round = 0; round < rounds(TABLE_ROUNDS); round++) {
		bool is_large = round % LARGE_EVERY == 0;
		struct error err;
		int r;

		random_seed(round + 1);
		random_table(&t, is_large);
		r = filter_compile(&t.seccomp, &err);
		too_long += r == -E2BIG;
		large += is_large;
		if (r == -E2BIG && is_large)
			continue;
		assert_int_equal(r, 0);
		if (t.seccomp.program.len / sizeof(struct sock_filter) > longest)
			longest = (unsigned)(t.seccomp.program.len / sizeof(struct sock_filter));
		check_program(&t.seccomp, round);
		compare(&t.seccomp, round);
		free(t.seccomp.program.data);
	}
	print_message("# longest program %u instructions; %u of %u large tables were too long\n",
		longest, too_long, large);
	/* Programs with jumps over more than 255 instructions, and the limit, were really met. */
	assert_true(longest > 2000);
	assert_true(too_long > 0 && too_long < large);
}

static const char *random_call_name(void)
{
	size_t count;
	const struct calls_entry *table = calls_table(&count);

	return table[random_below((uint32_t)count)].name;
}

static void random_profile(struct fixture *f)
{
	static const char *const families[] = {"unix", "inet", "inet6", "netlink"};
	static const char *const keys[] = {"allow", "deny"};
	static const char *const denials[] = {"EPERM", "ENOSYS", "kill"};
	uint32_t line = 1;

	fixture_init(f);
	assert_true(fixture_add(f, "on_deny", denials[random_below(3)], line++));
	assert_true(fixture_add(f, "machine", random_below(2) ? "x86_64" : "aarch64", line++));
	assert_true(fixture_add(f, "listener", random_below(2) ? "yes" : "no", line++));
	assert_true(fixture_add(f, "trace", random_below(2) ? "yes" : "no", line++));
	if (f->facts.seccomp_notify && random_below(2))
		assert_true(fixture_add(f, "gate", "yes", line++));
	assert_true(fixture_add(f, "network", random_below(2) ? "open" : "closed", line++));
	if (random_below(2))
		assert_true(fixture_add(f, "base", random_below(2) ? "strict" : "default", line++));
	for (uint32_t n = random_below(WORDS_MAX); n; n--)
		assert_true(fixture_add(f, keys[random_below(2)], random_call_name(), line++));
	for (uint32_t n = random_below(3); n; n--)
		assert_true(fixture_add(f, "deny_groups",
			calls_group(random_below(CALLS_GROUP_COUNT))->name, line++));
	for (uint32_t n = random_below(4); n; n--)
		assert_true(fixture_add(f, "families", families[random_below(4)], line++));
}

static bool listed(const struct string_rules *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!strcmp(list->items[i].text, name))
			return true;
	}
	return false;
}

/* The language of profiles said again: deny and deny_groups over allow over the base. */
static void check_meaning(const struct fixture *f, unsigned round)
{
	for (size_t i = 0; i < f->seccomp->n_syscalls; i++) {
		const Berm__Wire__Syscall *call = f->seccomp->syscalls[i];
		const struct calls_entry *entry = calls_find(call->name);
		bool open = calls_in_base(entry, f->profile.syscalls.base) ||
			    listed(&f->profile.syscalls.allow, call->name);

		if (listed(&f->profile.syscalls.deny, call->name) ||
			listed(&f->profile.syscalls.deny_groups, calls_group(entry->group)->name))
			open = false;
		if (open != (call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW ||
				    call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE ||
				    call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE))
			fail_msg("round %u: %s is %sopen", round, call->name, open ? "not " : "");
		if (call->rule > f->rule_count)
			fail_msg("round %u: %s has no rule %u", round, call->name, call->rule);
	}
}

static void any_profile_compiles_into_what_it_means_or_is_refused(void **state)
{
	unsigned compiled = 0;

	(void)state;
	for (unsigned round = 0; round < rounds(PROFILE_ROUNDS); round++) {
		struct fixture f;
		struct error err = {0};
		int r;

		random_seed(round + 1);
		random_profile(&f);
		r = fixture_compile(&f, &err);
		if (r == 0) {
			check_program(f.seccomp, round);
			check_meaning(&f, round);
			compare(f.seccomp, round);
			compiled++;
		} else {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(err.kind, ERROR_INPUT);
		}
		fixture_finish(&f);
	}
	print_message("# %u of %u random profiles compiled\n", compiled, rounds(PROFILE_ROUNDS));
	assert_true(compiled > rounds(PROFILE_ROUNDS) / 4 && compiled < rounds(PROFILE_ROUNDS));
}

/* Run under the sanitizers, this is the interpreter's fuzzer. */
static void any_program_that_passes_the_check_runs_to_a_return(void **state)
{
	unsigned passed = 0;

	(void)state;
	random_seed(1);
	for (unsigned round = 0; round < rounds(TABLE_ROUNDS); round++) {
		struct sock_filter program[12];
		struct seccomp_data data;
		size_t count = random_below(array_size(program) + 1);
		unsigned steps;

		for (size_t i = 0; i < sizeof(data); i++)
			((uint8_t *)&data)[i] = (uint8_t)random_u64();
		for (size_t i = 0; i < count; i++) {
			uint64_t bits = random_u64();

			memcpy(&program[i], &bits, sizeof(bits));
			program[i].code &= random_below(8) ? 0xff : 0xffff;
			if (random_below(2))
				program[i].jt = program[i].jf = 0;
			if (random_below(2))
				program[i].k &= 0x1c;
		}
		if (count && random_below(4))
			program[count - 1].code = BPF_RET | (random_below(2) ? BPF_A : BPF_K);
		if (bpf_check(program, count))
			continue;
		(void)bpf_run(program, count, &data, &steps);
		assert_true(steps >= 1 && steps <= count);
		passed++;
	}
	print_message("# %u random programs ran\n", passed);
	assert_true(passed > rounds(TABLE_ROUNDS) / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_table_compiles_into_a_program_that_agrees_with_it),
		cmocka_unit_test(any_profile_compiles_into_what_it_means_or_is_refused),
		cmocka_unit_test(any_program_that_passes_the_check_runs_to_a_return),
	};

	return cmocka_run_group_tests_name("syscalls-property", tests, NULL, NULL);
}
