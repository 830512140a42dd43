/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "bpf-interpreter.h"
#include "fixture.h"
#include "policy/calls.h"
#include "random.h"
#include "wire/verdict.h"

#include <linux/audit.h>
#include <string.h>

#define SWEEP_NUMBERS 1024
#define WORDS_MAX 512
#define RANDOM_SETS 6
/* What a program may cost; far from what the kernel takes, near to what it is (the test prints it).
 */
#define INSTRUCTIONS_LIKELY_MAX 512
#define PATH_LIKELY_MAX 64

struct entry {
	const char *name;
	uint32_t arch;
	uint32_t bits;
};

static const struct entry entries[] = {
	{"x86_64", AUDIT_ARCH_X86_64, 0},
	{"x32", AUDIT_ARCH_X86_64, VERDICT_X32_BIT},
	{"i386", AUDIT_ARCH_I386, 0},
	{"aarch64", AUDIT_ARCH_AARCH64, 0},
	{"arm", AUDIT_ARCH_ARM, 0},
	{"aarch64 big endian", AUDIT_ARCH_AARCH64 & ~(uint32_t)__AUDIT_ARCH_LE, 0},
	{"none", 0, 0},
};

/* What the kernel is to do for a verdict, said again here. */
static uint32_t expected(const struct fixture *f, const struct syscall_verdict *v)
{
	bool listener = f->seccomp->listener;

	if (v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW)
		return SECCOMP_RET_ALLOW;
	if (v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE)
		return listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	if (v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		return SECCOMP_RET_USER_NOTIF;
	if (v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO)
		return SECCOMP_RET_ERRNO | v->errno_value;
	if (v->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY)
		return listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | v->errno_value;
	return SECCOMP_RET_KILL_PROCESS;
}

static unsigned compare(
	const struct fixture *f, const char *setting, const struct seccomp_data *data)
{
	size_t count;
	const struct sock_filter *program = fixture_program(f, &count);
	uint64_t arguments[6];
	struct syscall_verdict v;
	unsigned steps;
	uint32_t got = bpf_run(program, count, data, &steps);

	memcpy(arguments, data->args, sizeof(arguments));
	syscall_verdict(f->seccomp, data->arch, (uint32_t)data->nr, arguments, &v);
	if (got != expected(f, &v))
		fail_msg("%s: arch 0x%x call 0x%x: program 0x%08x, table 0x%08x", setting,
			data->arch, (unsigned)data->nr, got, expected(f, &v));
	return steps;
}

static unsigned sweep_entry(const struct fixture *f, const char *setting, const struct entry *entry)
{
	unsigned longest = 0;

	for (uint32_t number = 0; number < SWEEP_NUMBERS; number++) {
		struct seccomp_data data = {.nr = (int)(number | entry->bits), .arch = entry->arch};

		for (int set = 0; set < 2 + RANDOM_SETS; set++) {
			unsigned steps = compare(f, setting, &data);

			longest = steps > longest ? steps : longest;
			for (int i = 0; i < 6; i++)
				data.args[i] = set ? random_u64() : UINT64_MAX;
		}
	}
	return longest;
}

static void every_number_at_every_entry_is_decided_as_the_table_says(void **state)
{
	char words[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < fixture_setting_count; i++) {
		struct fixture f;
		unsigned longest = 0;

		assert_true(fixture_make(&f, fixture_settings[i], words, sizeof(words)));
		for (size_t e = 0; e < array_size(entries); e++) {
			unsigned steps = sweep_entry(&f, fixture_settings[i], &entries[e]);

			longest = steps > longest ? steps : longest;
		}
		print_message("# %zu instructions, %u at most in a call: %.60s\n",
			f.seccomp->program.len / sizeof(struct sock_filter), longest,
			fixture_settings[i]);
		assert_true(f.seccomp->program.len / sizeof(struct sock_filter) <=
			    INSTRUCTIONS_LIKELY_MAX);
		assert_true(longest <= PATH_LIKELY_MAX);
		fixture_finish(&f);
	}
}

/* Zero arguments, as tests/escape/ sweeps the real kernel: the open numbers are exactly those of
 * the profile. */
static void the_open_calls_are_those_of_the_base_and_no_other(void **state)
{
	static const struct {
		const char *setting;
		enum syscall_base base;
	} cases[] = {{"base default", SYSCALL_BASE_DEFAULT}, {"base strict", SYSCALL_BASE_STRICT}};
	char words[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		struct fixture f;
		size_t length, count;
		const struct sock_filter *program;
		const struct calls_entry *table = calls_table(&count);

		assert_true(fixture_make(&f, cases[i].setting, words, sizeof(words)));
		program = fixture_program(&f, &length);
		for (int number = 0; number < SWEEP_NUMBERS; number++) {
			struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};
			bool open = false;

			for (size_t k = 0; k < count; k++)
				open |= table[k].x86_64 == number &&
					calls_in_base(&table[k], cases[i].base);
			/* socket(AF_UNSPEC) and socketpair(AF_UNSPEC) are the ones whose zero
			 * arguments are refused; connect is watched, which is a row of its own. */
			if (number == 41 || number == 42 || number == 53)
				open = false;
			assert_int_equal(
				bpf_run(program, length, &data, NULL) == SECCOMP_RET_ALLOW, open);
		}
		fixture_finish(&f);
	}
}

/* What the kernel does at load for each number (seccomp_is_const_allow() of
 * kernel/seccomp.c, 5.11): follow the program with only nr and arch known, and give up at anything
 * else. */
static bool is_cacheable(
	const struct sock_filter *program, size_t count, uint32_t number, uint32_t arch)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &program[pc];
		bool taken;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k != offsetof(struct seccomp_data, nr) &&
				i->k != offsetof(struct seccomp_data, arch))
				return false;
			a = i->k == offsetof(struct seccomp_data, nr) ? number : arch;
			continue;
		case BPF_RET | BPF_K:
			return i->k == SECCOMP_RET_ALLOW;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = a >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = a > i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = a & i->k;
			break;
		default:
			return false;
		}
		pc += taken ? i->jt : i->jf;
	}
	return false;
}

static void every_call_allowed_without_conditions_fits_the_kernels_bitmap(void **state)
{
	char words[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < fixture_setting_count; i++) {
		struct fixture f;
		size_t count, cacheable = 0;
		const struct sock_filter *program;

		assert_true(fixture_make(&f, fixture_settings[i], words, sizeof(words)));
		program = fixture_program(&f, &count);
		for (size_t k = 0; k < f.seccomp->n_syscalls; k++) {
			const Berm__Wire__Syscall *call = f.seccomp->syscalls[k];
			bool plain = call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW &&
				     !call->n_cases;

			assert_int_equal(
				is_cacheable(program, count, call->number, f.seccomp->audit_arch),
				plain);
			cacheable += plain;
		}
		assert_true(cacheable > 150);
		fixture_finish(&f);
	}
}

static void the_same_profile_always_gives_the_same_bytes(void **state)
{
	char words[WORDS_MAX];

	(void)state;
	for (size_t i = 0; i < fixture_setting_count; i++) {
		struct fixture a, b;

		assert_true(fixture_make(&a, fixture_settings[i], words, sizeof(words)));
		assert_true(fixture_make(&b, fixture_settings[i], words, sizeof(words)));
		assert_int_equal(a.seccomp->program.len, b.seccomp->program.len);
		assert_memory_equal(
			a.seccomp->program.data, b.seccomp->program.data, a.seccomp->program.len);
		fixture_finish(&a);
		fixture_finish(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_at_every_entry_is_decided_as_the_table_says),
		cmocka_unit_test(the_open_calls_are_those_of_the_base_and_no_other),
		cmocka_unit_test(every_call_allowed_without_conditions_fits_the_kernels_bitmap),
		cmocka_unit_test(the_same_profile_always_gives_the_same_bytes),
	};

	return cmocka_run_group_tests_name("syscalls-sweep", tests, NULL, NULL);
}
