/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fixture.h"
#include "plan/filter.h"
#include "plan/syscalls-gate.h"
#include "policy/calls.h"
#include "random.h"
#include "wire/effects.h"
#include "wire/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 200000
#define WORDS_MAX 512
#define TMPFILE_BIT 020000000

static const Berm__Wire__Syscall *find(const Berm__Wire__Seccomp *seccomp, const char *name)
{
	for (size_t i = 0; i < seccomp->n_syscalls; i++)
		if (!strcmp(seccomp->syscalls[i]->name, name))
			return seccomp->syscalls[i];
	return NULL;
}

static void the_table_is_sorted_and_names_calls_that_exist(void **state)
{
	size_t count;
	const struct gate_entry *table = gate_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct calls_entry *call = calls_find(table[i].call);

		assert_non_null(call);
		assert_int_equal(call->x86_64, table[i].x86_64);
		assert_ptr_equal(gate_find(call->x86_64), &table[i]);
		assert_true(i == 0 || table[i - 1].x86_64 < table[i].x86_64);
		for (size_t k = 0; k < table[i].count; k++) {
			const struct gate_rule *rule = &table[i].rules[k];

			/* What has no conditions ends the list. */
			assert_true(rule->conditions[0].mask || k + 1 == table[i].count);
			assert_int_equal(rule->charge & ~CHARGE_ALL, 0);
			/* Two are one and one more. */
			assert_int_equal((rule->charge >> 16) & ~rule->charge, 0);
			assert_int_equal(rule->needs & ~POSTURE_ALL, 0);
			/* This one is looked at, whatever the posture. */
			assert_true(rule->needs || strcmp(table[i].call, "rt_sigaction") == 0);
		}
	}
	assert_null(gate_find(0));
	assert_null(gate_find(CALLS_NO_NUMBER));
}

/* The calls that take a path and change or run what is there are marked in another table. */
static void every_call_that_changes_a_path_is_gated(void **state)
{
	static const char *const others[] = {"fork", "vfork", "clone", "ftruncate", "fchmod",
		"fchown", "fsetxattr", "fremovexattr", "fallocate", "setxattrat", "removexattrat",
		"file_setattr", "bind"};
	size_t count;
	const struct calls_entry *calls = calls_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++)
		if (calls[i].flags & CALLS_TRACED && !gate_find(calls[i].x86_64))
			fail_msg("%s is not gated", calls[i].name);
	for (size_t i = 0; i < array_size(others); i++)
		assert_non_null(gate_find(calls_find(others[i])->x86_64));
}

/* What a call is without the gate, it is with it, but for what the gate lets through. */
static void compare_calls(
	const Berm__Wire__Syscall *plain, const Berm__Wire__Syscall *gated, const char *setting)
{
	bool in_table = gate_find(calls_find(plain->name)->x86_64) != NULL;
	bool open = plain->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW ||
		    plain->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE;

	assert_int_equal(plain->number, gated->number);
	if (gated->action != plain->action &&
		!(open && in_table && gated->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE))
		fail_msg("%s: %s changed its action", setting, plain->name);
	assert_true(gated->n_cases >= plain->n_cases);
	assert_true(gated->n_cases == plain->n_cases || (in_table && open));
	for (size_t i = 0; i < gated->n_cases; i++)
		if (i < plain->n_cases)
			assert_int_equal(gated->cases[i]->action, plain->cases[i]->action);
		else
			assert_int_equal(
				gated->cases[i]->action, BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE);
}

static void what_is_not_in_the_table_is_as_without_a_gate(void **state)
{
	static const char *const settings[] = {"base default", "base strict", "trace yes",
		"network open", "families unix", "machine aarch64", "on_deny kill, deny unlink"};

	(void)state;
	for (size_t i = 0; i < array_size(settings); i++) {
		char words[WORDS_MAX], gated_words[WORDS_MAX], setting[WORDS_MAX];
		struct fixture plain, gated;
		size_t different = 0;

		snprintf(setting, sizeof(setting), "%s, gate yes", settings[i]);
		assert_true(fixture_make(&plain, settings[i], words, sizeof(words)));
		assert_true(fixture_make(&gated, setting, gated_words, sizeof(gated_words)));
		assert_int_equal(plain.seccomp->n_syscalls, gated.seccomp->n_syscalls);
		for (size_t k = 0; k < plain.seccomp->n_syscalls; k++) {
			const Berm__Wire__Syscall *a = plain.seccomp->syscalls[k],
						  *b = gated.seccomp->syscalls[k];

			compare_calls(a, b, settings[i]);
			different += a->action != b->action || a->n_cases != b->n_cases;
		}
		assert_true(different > 20);
		fixture_finish(&plain);
		fixture_finish(&gated);
	}
}

static void a_meter_without_a_gate_changes_nothing(void **state)
{
	char words[WORDS_MAX], more[WORDS_MAX];
	struct fixture plain, metered;

	(void)state;
	assert_true(fixture_make(&plain, "network open", words, sizeof(words)));
	assert_true(fixture_make(&metered, "network open, gate no", more, sizeof(more)));
	assert_int_equal(plain.seccomp->program.len, metered.seccomp->program.len);
	assert_memory_equal(plain.seccomp->program.data, metered.seccomp->program.data,
		plain.seccomp->program.len);
	fixture_finish(&plain);
	fixture_finish(&metered);
}

/* What open(2) does for flags, said again from its manual page. */
static void expect_open(uint64_t flags, struct syscall_verdict *ret)
{
	uint32_t low = (uint32_t)flags;

	memset(ret, 0, sizeof(*ret));
	ret->action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
	ret->needs = POSTURE_NO_WRITE;
	if (low & TMPFILE_BIT)
		return;
	if (low & O_CREAT)
		ret->charge = 1U << COUNTER_FILES_CREATED | 1U << COUNTER_FILES_CHANGED;
	else if ((low & 3) != O_RDONLY || low & O_TRUNC)
		ret->charge = 1U << COUNTER_FILES_CHANGED;
	else
		*ret = (struct syscall_verdict){
			.action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW};
}

static void every_set_of_open_flags_is_counted_as_what_it_can_do(void **state)
{
	static const uint32_t bits[] = {0, 1, 2, 3, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_PATH,
		O_DIRECTORY, O_CLOEXEC, TMPFILE_BIT, O_NONBLOCK};
	char words[WORDS_MAX];
	struct fixture f;

	(void)state;
	random_seed(1);
	assert_true(fixture_make(&f, "gate yes", words, sizeof(words)));
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t arguments[6] = {random_u64(), random_u64(), 0, 0, random_u64()};
		struct syscall_verdict got, wanted;

		for (uint32_t n = random_below(6); n; n--)
			arguments[2] |= bits[random_below(array_size(bits))];
		if (random_below(2))
			arguments[2] |= random_u64() << 32;
		expect_open(arguments[2], &wanted);
		syscall_verdict(f.seccomp, f.facts.audit_arch, find(f.seccomp, "openat")->number,
			arguments, &got);
		assert_int_equal(got.action, wanted.action);
		assert_int_equal(got.charge, wanted.charge);
		assert_int_equal(got.needs, wanted.needs);
	}
	fixture_finish(&f);
}

static void a_gate_that_nobody_watches_is_refused(void **state)
{
	struct fixture f;
	struct error err = {0};
	char words[WORDS_MAX];
	Berm__Wire__Syscall *call;

	(void)state;
	fixture_init(&f);
	assert_true(fixture_add(&f, "gate", "yes", 1) && fixture_add(&f, "listener", "no", 2));
	assert_int_equal(fixture_compile(&f, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, ERROR_UNSUPPORTED);
	fixture_finish(&f);

	assert_true(fixture_make(&f, "gate yes", words, sizeof(words)));
	assert_int_equal(filter_compile(f.seccomp, &err), 0);
	f.seccomp->listener = false;
	assert_int_equal(filter_compile(f.seccomp, &err), -EINVAL);
	f.seccomp->listener = true;
	f.seccomp->unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE;
	assert_int_equal(filter_compile(f.seccomp, &err), -EINVAL);
	f.seccomp->unknown_action = BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO;
	call = (Berm__Wire__Syscall *)(uintptr_t)find(f.seccomp, "execve");
	call->charge |= CHARGE_ONE(COUNTER_COUNT);
	assert_int_equal(filter_compile(f.seccomp, &err), -EINVAL);
	call->charge = 0;
	call->needs = POSTURE_ALL + 1;
	assert_int_equal(filter_compile(f.seccomp, &err), -EINVAL);
	call->needs = 0;
	assert_int_equal(filter_compile(f.seccomp, &err), 0);
	fixture_finish(&f);
}

static void a_traced_call_stays_watched_behind_the_gate(void **state)
{
	char words[WORDS_MAX];
	struct syscall_verdict verdict;
	const uint64_t writing[6] = {0, 0, O_WRONLY}, none[6] = {0};
	struct fixture f;

	(void)state;
	assert_true(fixture_make(&f, "gate yes, trace yes", words, sizeof(words)));
	syscall_verdict(f.seccomp, f.facts.audit_arch, find(f.seccomp, "openat")->number, writing,
		&verdict);
	assert_true(verdict.watched);
	syscall_verdict(
		f.seccomp, f.facts.audit_arch, find(f.seccomp, "unlink")->number, none, &verdict);
	assert_true(verdict.watched);
	syscall_verdict(
		f.seccomp, f.facts.audit_arch, find(f.seccomp, "fork")->number, none, &verdict);
	assert_false(verdict.watched);
	fixture_finish(&f);
}

/* In a child: load the program with a listener that nobody holds, then try. Bits of the exit
 * status say what went as it must not. */
static void try_without_a_listener(const struct fixture *f, const char *directory)
{
	struct sock_fprog program = {
		.len = (unsigned short)(f->seccomp->program.len / sizeof(struct sock_filter)),
		.filter = (void *)f->seccomp->program.data};
	int wrong = 0, listener;

	if (chdir(directory) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(99);
	listener = (int)syscall(
		SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (listener < 0)
		_exit(98);
	close(listener);
	wrong |= unlink("kept") == 0 || errno != ENOSYS ? 1 : 0;
	wrong |= open("made", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != ENOSYS ? 2 : 0;
	wrong |= fork() >= 0 || errno != ENOSYS ? 4 : 0;
	wrong |= access("kept", F_OK) < 0 || open("kept", O_RDONLY | O_CLOEXEC) < 0 ? 8 : 0;
	_exit(wrong);
}

static void a_gated_call_fails_where_the_listener_is_gone(void **state)
{
	char directory[] = "/tmp/berm-gate-XXXXXX", words[WORDS_MAX], path[64];
	struct fixture f;
	struct stat st;
	int status = 0, fd;
	pid_t pid;

	(void)state;
#ifdef __x86_64__
	assert_true(fixture_make(&f, "gate yes, machine x86_64", words, sizeof(words)));
#else
	assert_true(fixture_make(&f, "gate yes, machine aarch64", words, sizeof(words)));
#endif
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/kept", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	pid = fork();
	if (pid == 0)
		try_without_a_listener(&f, directory);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/made", directory);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(rmdir(directory), 0);
	fixture_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sorted_and_names_calls_that_exist),
		cmocka_unit_test(every_call_that_changes_a_path_is_gated),
		cmocka_unit_test(what_is_not_in_the_table_is_as_without_a_gate),
		cmocka_unit_test(a_meter_without_a_gate_changes_nothing),
		cmocka_unit_test(every_set_of_open_flags_is_counted_as_what_it_can_do),
		cmocka_unit_test(a_gate_that_nobody_watches_is_refused),
		cmocka_unit_test(a_traced_call_stays_watched_behind_the_gate),
		cmocka_unit_test(a_gated_call_fails_where_the_listener_is_gone),
	};

	return cmocka_run_group_tests_name("syscalls-gate", tests, NULL, NULL);
}
