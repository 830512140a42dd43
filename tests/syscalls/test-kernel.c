/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "bpf-interpreter.h"
#include "fixture.h"
#include "plan/filter.h"
#include "policy/calls.h"
#include "random.h"
#include "wire/verdict.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The interpreter against the kernel it runs on: the same programs are accepted, and an accepted
 * program decides the same. Children load the filters and tell what they saw in shared memory,
 * which needs no system call; one that took a random filter ends by a trap, since that filter may
 * refuse even exit_group(2). */

#define CHECK_PROGRAMS 4000
#define RUN_PROGRAMS 400
#define PROGRAM_MIN 8
#define PROGRAM_MAX 40
#define SCRATCH_WORDS 4
#define NOT_TRIED (-1)
/* An errno that no system call returns, so that a refusal by the filter cannot be mistaken for one
 * by the kernel. */
#define MARK 3999
#define NUMBERS 1024

/* An instruction that no processor has, not __builtin_trap(): before that one a sanitizer makes
 * system calls of its own. */
#ifdef __x86_64__
#define NATIVE "x86_64"
#define DIE() __asm__ volatile("ud2")
#else
#define NATIVE "aarch64"
#define DIE() __asm__ volatile(".inst 0")
#endif

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* In a child: give up privileges, so that nothing tried here could do harm even where a filter
 * failed. */
static void prepare(void)
{
	static const int signals[] = {SIGILL, SIGTRAP, SIGSYS, SIGSEGV, SIGBUS, SIGFPE};
	struct rlimit none = {0}, seconds = {20, 20};

	/* cmocka catches them and would go on in the child. */
	for (size_t i = 0; i < array_size(signals); i++)
		signal(signals[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &seconds);
	if (!geteuid() && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
				  setresuid(65534, 65534, 65534)))
		_exit(99);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(98);
}

static int load(const struct sock_filter *program, size_t count)
{
	struct sock_fprog fprog = {
		.len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)program};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &fprog) ? errno : 0;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Codes of real operations most of the time, and operands at the edges of what is allowed. */
static struct sock_filter random_instruction(size_t pc, size_t count)
{
	static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_IMM,
		BPF_LDX | BPF_IMM, BPF_LD | BPF_MEM, BPF_LDX | BPF_MEM, BPF_ST, BPF_STX,
		BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA, BPF_ALU | BPF_ADD | BPF_K,
		BPF_ALU | BPF_SUB | BPF_X, BPF_ALU | BPF_MUL | BPF_K, BPF_ALU | BPF_DIV | BPF_K,
		BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_AND | BPF_K, BPF_ALU | BPF_OR | BPF_X,
		BPF_ALU | BPF_XOR | BPF_K, BPF_ALU | BPF_LSH | BPF_K, BPF_ALU | BPF_RSH | BPF_K,
		BPF_ALU | BPF_NEG, BPF_JMP | BPF_JA, BPF_JMP | BPF_JEQ | BPF_K,
		BPF_JMP | BPF_JGT | BPF_X, BPF_JMP | BPF_JGE | BPF_K, BPF_JMP | BPF_JSET | BPF_K,
		BPF_LD | BPF_W | BPF_LEN, BPF_LDX | BPF_W | BPF_LEN};
	struct sock_filter i = {.code = codes[random_below(array_size(codes))]};
	/* No jump over the three instructions that make the value an errno. */
	uint32_t after = pc + 3 < count ? (uint32_t)(count - pc - 3) : 0;

	i.jt = (uint8_t)random_below(after ? after : 1);
	i.jf = (uint8_t)random_below(after ? after : 1);
	i.k = random_below(2) ? random_below(16) : (uint32_t)random_u64();
	if (i.code == (BPF_LD | BPF_W | BPF_ABS))
		i.k = 16 + 4 * random_below(12);
	if (i.code == (BPF_JMP | BPF_JA))
		i.k = random_below(after ? after : 1);
	if (i.code == (BPF_ALU | BPF_LSH | BPF_K) || i.code == (BPF_ALU | BPF_RSH | BPF_K))
		i.k = random_below(32);
	if (i.code == (BPF_ALU | BPF_DIV | BPF_K))
		i.k |= 1;
	if (BPF_CLASS(i.code) == BPF_ST || BPF_CLASS(i.code) == BPF_STX ||
		BPF_MODE(i.code) == BPF_MEM)
		i.k = random_below(SCRATCH_WORDS);
	return i;
}

/* Mostly right; a few instructions are then spoilt. */
static size_t random_program(struct sock_filter program[PROGRAM_MAX], bool spoil)
{
	size_t count = PROGRAM_MIN + random_below(PROGRAM_MAX - PROGRAM_MIN);

	for (size_t pc = 0; pc < count; pc++)
		program[pc] = random_instruction(pc, count);
	for (uint32_t word = 0; word < SCRATCH_WORDS; word++)
		program[word] = (struct sock_filter)BPF_STMT(BPF_ST, word);
	/* An errno from 0 to 2047, whatever was computed. */
	program[count - 3] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
	program[count - 2] =
		(struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
	program[count - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	for (uint32_t n = spoil ? random_below(3) : 0; n; n--) {
		struct sock_filter *i = &program[random_below((uint32_t)count)];

		switch (random_below(5)) {
		case 0:
			i->code = (uint16_t)random_below(random_below(2) ? 256 : 65536);
			break;
		case 1:
			i->k = random_below(80);
			break;
		case 2:
			i->k = (uint32_t)random_u64();
			break;
		case 3:
			i->jt = (uint8_t)random_u64();
			break;
		default:
			i->jf = (uint8_t)random_u64();
		}
	}
	return spoil && random_below(16) == 0 ? random_below((uint32_t)count) : count;
}

/* results[i]: what seccomp(2) said of the i-th program. A child goes on until one is accepted. */
static void load_all(int *results)
{
	for (unsigned next = 0; next < CHECK_PROGRAMS; next++) {
		pid_t pid = fork();

		if (!pid) {
			prepare();
			for (; next < CHECK_PROGRAMS; next++) {
				struct sock_filter program[PROGRAM_MAX];
				size_t count;

				random_seed(next + 1);
				count = random_program(program, true);
				results[next] = load(program, count);
				if (!results[next])
					DIE();
			}
			_exit(0);
		}
		wait_for(pid);
		while (next < CHECK_PROGRAMS && results[next] > 0)
			next++;
		if (next < CHECK_PROGRAMS && results[next] == NOT_TRIED)
			fail_msg("program %u was not tried", next);
	}
}

static void the_kernel_takes_the_same_programs(void **state)
{
	int *results = shared(CHECK_PROGRAMS * sizeof(*results));
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < CHECK_PROGRAMS; i++)
		results[i] = NOT_TRIED;
	load_all(results);
	for (unsigned i = 0; i < CHECK_PROGRAMS; i++) {
		struct sock_filter program[PROGRAM_MAX];
		const char *why;
		size_t count;

		random_seed(i + 1);
		count = random_program(program, true);
		why = bpf_check(program, count);
		if (!results[i] == !!why)
			fail_msg("program %u: the kernel says %s, we say %s", i,
				strerror(results[i]), why ? why : "good");
		accepted += !why;
	}
	print_message("# %u of %u programs accepted\n", accepted, CHECK_PROGRAMS);
	assert_true(accepted > CHECK_PROGRAMS / 20 && accepted < CHECK_PROGRAMS * 19 / 20);
	munmap(results, CHECK_PROGRAMS * sizeof(*results));
}

static void the_kernel_runs_a_program_to_the_same_end(void **state)
{
	int *result = shared(sizeof(*result));
	unsigned ran = 0;

	(void)state;
	for (unsigned round = 0; round < RUN_PROGRAMS; round++) {
		struct sock_filter program[PROGRAM_MAX];
		struct seccomp_data data = {.nr = SYS_getppid, .arch = AUDIT_ARCH_X86_64};
		uint32_t expected;
		size_t count;
		pid_t pid;

		random_seed(round + 1);
		count = random_program(program, false);
		if (bpf_check(program, count))
			continue;
		for (int i = 0; i < 6; i++)
			data.args[i] = random_below(2) ? random_below(16) : random_u64();
		expected = bpf_run(program, count, &data, NULL);
		/* A division by 0 ends in "kill the thread". */
		if (expected == SECCOMP_RET_KILL_THREAD)
			continue;
		*result = NOT_TRIED;
		pid = fork();
		if (!pid) {
			long r;

			prepare();
			if (load(program, count))
				_exit(97);
			r = syscall(SYS_getppid, data.args[0], data.args[1], data.args[2],
				data.args[3], data.args[4], data.args[5]);
			*result = r < 0 ? errno : 0;
			DIE();
		}
		wait_for(pid);
		if ((SECCOMP_RET_ERRNO | (uint32_t)*result) != expected)
			fail_msg("program %u: the kernel says %d, we say 0x%x", round, *result,
				expected);
		ran++;
	}
	print_message("# %u programs ran\n", ran);
	assert_true(ran > RUN_PROGRAMS / 4);
	munmap(result, sizeof(*result));
}

/* Every refusal of the table becomes MARK; a notification has nobody to answer it here. */
static void mark(Berm__Wire__Seccomp *seccomp)
{
	struct error err;

	seccomp->unknown_errno = MARK;
	for (size_t i = 0; i < seccomp->n_syscalls; i++) {
		Berm__Wire__Syscall *call = seccomp->syscalls[i];

		if (call->errno_value)
			call->errno_value = MARK;
		for (size_t k = 0; k < call->n_cases; k++) {
			if (call->cases[k]->errno_value)
				call->cases[k]->errno_value = MARK;
		}
	}
	assert_int_equal(filter_compile(seccomp, &err), 0);
}

struct sample {
	const char *call;
	uint64_t arguments[6];
};

/* Calls with argument rules, refused and allowed ones; the allowed fail at once or do nothing. */
static const struct sample samples[] = {
	{"openat", {(uint64_t)-1, 0, 0100, 04755}},
	{"openat", {(uint64_t)-1, 0, 0100, 0755}},
	{"openat", {(uint64_t)-1, 0, 0, 04755}},
	{"openat", {(uint64_t)-1, 0, 0xdeadbeef00000100ULL | 0100, 0xdeadbeef00000000ULL | 02000}},
	{"fchmod", {(uint64_t)-1, 04000}},
	{"fchmod", {(uint64_t)-1, 0777}},
	{"mknodat", {(uint64_t)-1, 0, 020000}},
	{"mknodat", {(uint64_t)-1, 0, 010000}},
	{"ioctl", {(uint64_t)-1, 0x5412}},
	{"ioctl", {(uint64_t)-1, 0x100005412ULL}},
	{"ioctl", {(uint64_t)-1, 0x5413}},
	{"ioctl", {(uint64_t)-1, 0x540e, 0}},
	{"clone", {0x10000000}},
	{"clone", {0x20000 | 17}},
	{"socket", {38, 5, 0}},
	{"socket", {0x100000000ULL | 38, 5, 0}},
	{"socket", {1, 3, 0}},
	{"socket", {1, 1, 0}},
	{"socket", {2, 1, 132}},
	{"socket", {16, 3, 0}},
	{"socketpair", {30, 5, 0, 0}},
	{"setsockopt", {(uint64_t)-1, 6, 31}},
	{"setsockopt", {(uint64_t)-1, 1, 31}},
	{"setsockopt", {(uint64_t)-1, 1, 36}},
	{"seccomp", {1, 8, 0}},
	{"seccomp", {1, 0, 0}},
	{"personality", {0x400000}},
	{"personality", {0xffffffff}},
	{"memfd_create", {0, 0x10}},
	{"memfd_create", {0, 1}},
	{"prctl", {35, 0}},
	{"prctl", {21, 0}},
	{"renameat2", {(uint64_t)-1, 0, (uint64_t)-1, 0, 4}},
	{"renameat2", {(uint64_t)-1, 0, (uint64_t)-1, 0, 1}},
	{"vmsplice", {(uint64_t)-1, 0, 0, 8}},
};

static int native_number(const char *call)
{
	const struct calls_entry *entry = calls_find(call);

	return strcmp(NATIVE, "x86_64") ? entry->aarch64 : entry->x86_64;
}

static bool is_refused(const struct fixture *f, int number, const uint64_t arguments[6])
{
	struct seccomp_data data = {.nr = number, .arch = f->seccomp->audit_arch};
	size_t count;
	const struct sock_filter *program = fixture_program(f, &count);

	memcpy(data.args, arguments, sizeof(data.args));
	return bpf_run(program, count, &data, NULL) == (SECCOMP_RET_ERRNO | MARK);
}

/* In the child. Numbers with zero arguments are only tried where they are refused: an allowed one
 * might end the child. */
static void try_all(const struct fixture *f, int *by_number, int *by_sample)
{
	static const uint64_t zero[6];

	for (int n = 0; n < NUMBERS; n++) {
		if (is_refused(f, n, zero))
			by_number[n] = syscall(n, 0, 0, 0, 0, 0, 0) < 0 ? errno : 0;
	}
	for (size_t i = 0; i < array_size(samples); i++) {
		const uint64_t *a = samples[i].arguments;
		int number = native_number(samples[i].call);

		by_sample[i] = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ? errno : 0;
	}
	_exit(0);
}

static void compare_with_kernel(const char *setting)
{
	static const uint64_t zero[6];
	char words[256];
	struct fixture f;
	int *by_number = shared(sizeof(int) * (NUMBERS + array_size(samples)));
	int *by_sample = by_number + NUMBERS;
	size_t count;
	const struct sock_filter *program;
	pid_t pid;

	assert_true(fixture_make(&f, setting, words, sizeof(words)));
	mark(f.seccomp);
	program = fixture_program(&f, &count);
	for (size_t i = 0; i < NUMBERS + array_size(samples); i++)
		by_number[i] = NOT_TRIED;
	pid = fork();
	if (!pid) {
		prepare();
		if (load(program, count))
			_exit(97);
		try_all(&f, by_number, by_sample);
	}
	assert_int_equal(wait_for(pid), 0);
	for (int n = 0; n < NUMBERS; n++)
		assert_int_equal(by_number[n], is_refused(&f, n, zero) ? MARK : NOT_TRIED);
	for (size_t i = 0; i < array_size(samples); i++) {
		int number = native_number(samples[i].call);

		if (is_refused(&f, number, samples[i].arguments) != (by_sample[i] == MARK))
			fail_msg("%s, sample %zu (%s): the kernel says %d", setting, i,
				samples[i].call, by_sample[i]);
	}
	fixture_finish(&f);
	munmap(by_number, sizeof(int) * (NUMBERS + array_size(samples)));
}

static void the_kernel_decides_compiled_filters_as_the_interpreter_does(void **state)
{
	(void)state;
	compare_with_kernel("listener no, machine " NATIVE);
	compare_with_kernel("listener no, machine " NATIVE ", base strict");
	compare_with_kernel("listener no, machine " NATIVE
			    ", families none, on_deny ENOSYS, allow ptrace, deny prlimit64");
}

#ifdef __x86_64__
static long legacy_getpid(void)
{
	long r = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory");
	return r;
}

static long x32_getpid(void)
{
	return syscall((long)VERDICT_X32_BIT | SYS_getpid);
}

/* How a child ends that makes the call, behind the default filter or not: 0 where it came back with
 * anything. */
static int signal_of(long (*call)(void), bool filtered)
{
	struct fixture f;
	char words[64];
	size_t count;
	const struct sock_filter *program;
	int status;
	pid_t pid;

	assert_true(fixture_make(&f, "listener no", words, sizeof(words)));
	program = fixture_program(&f, &count);
	pid = fork();
	if (!pid) {
		prepare();
		if (filtered && load(program, count))
			_exit(97);
		call();
		_exit(0);
	}
	status = wait_for(pid);
	fixture_finish(&f);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void other_entries_of_the_machine_end_in_sigsys(void **state)
{
	(void)state;
	assert_int_equal(signal_of(x32_getpid, false), 0);
	assert_int_equal(signal_of(x32_getpid, true), SIGSYS);
	if (signal_of(legacy_getpid, false))
		print_message("# this kernel has no int 0x80: only the program was tested\n");
	else
		assert_int_equal(signal_of(legacy_getpid, true), SIGSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_takes_the_same_programs),
		cmocka_unit_test(the_kernel_runs_a_program_to_the_same_end),
		cmocka_unit_test(the_kernel_decides_compiled_filters_as_the_interpreter_does),
#ifdef __x86_64__
		cmocka_unit_test(other_entries_of_the_machine_end_in_sigsys),
#endif
	};

	return cmocka_run_group_tests_name("syscalls-kernel", tests, NULL, NULL);
}
