/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "meter/classes.h"
#include "policy/calls.h"

#include <string.h>

static void a_refusal_is_what_its_call_is_for(void **state)
{
	static const struct {
		const char *operation, *target;
		enum denial_class class;
	} rows[] = {
		{"syscall", "mount", DENIAL_ESCAPE},
		{"syscall", "setns", DENIAL_ESCAPE},
		{"syscall", "open_by_handle_at", DENIAL_ESCAPE},
		{"syscall", "seccomp", DENIAL_ESCAPE},
		/* Debuggers, leak detectors, browsers, Bazel. */
		{"syscall", "ptrace", DENIAL_COUNTED},
		{"syscall", "process_vm_readv", DENIAL_COUNTED},
		{"syscall", "pidfd_getfd", DENIAL_COUNTED},
		{"syscall", "perf_event_open", DENIAL_COUNTED},
		{"syscall", "clone", DENIAL_COUNTED},
		{"syscall", "unshare", DENIAL_COUNTED},
		{"syscall", "chroot", DENIAL_COUNTED},
		{"syscall", "kcmp", DENIAL_QUIET},
		{"syscall", "ioctl", DENIAL_ESCAPE},
		{"syscall", "chmod", DENIAL_COUNTED},
		{"syscall", "openat", DENIAL_COUNTED},
		{"syscall", "unlink", DENIAL_COUNTED},
		{"syscall", "keyctl", DENIAL_QUIET},
		{"syscall", "no_such_call", DENIAL_COUNTED},
		{"syscall", "personality", DENIAL_QUIET},
		{"socket", "family alg", DENIAL_QUIET},
		{"socket", "family netlink", DENIAL_QUIET},
		{"socket", "family packet", DENIAL_COUNTED},
		{"connect", "family netlink", DENIAL_COUNTED},
		/* A target is the tool's own text: it does not make a class. */
		{"connect", "mount", DENIAL_COUNTED},
		{"open", "prctl", DENIAL_COUNTED},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++)
		assert_int_equal(denial_class_of(rows[i].operation, rows[i].target), rows[i].class);
}

/* Groups that no base has and no tool needs: each of their calls is an attempt at something. */
static void every_call_of_a_dangerous_group_is_an_escape(void **state)
{
	static const enum calls_group groups[] = {CALLS_MODULE, CALLS_KEXEC, CALLS_SWAP,
		CALLS_RAW_IO, CALLS_REBOOT, CALLS_BPF, CALLS_USERFAULTFD};
	size_t count, seen = 0;
	const struct calls_entry *table = calls_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++)
		for (size_t g = 0; g < array_size(groups); g++) {
			if (table[i].group != groups[g])
				continue;
			seen++;
			if (denial_class_of("syscall", table[i].name) != DENIAL_ESCAPE)
				fail_msg("%s is no escape", table[i].name);
		}
	assert_true(seen > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_is_what_its_call_is_for),
		cmocka_unit_test(every_call_of_a_dangerous_group_is_an_escape),
	};

	return cmocka_run_group_tests_name("meter-classes", tests, NULL, NULL);
}
