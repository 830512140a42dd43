/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf-interpreter.h"
#include "fuzz.h"
#include "plan/filter.h"
#include "wire/effects.h"
#include "wire/verdict.h"

/* A table of system calls from anywhere: it is refused, or becomes a program that the kernel would
 * take and that says the same as the table. Input: a packed Seccomp message. */

static uint32_t expected(const Berm__Wire__Seccomp *seccomp, const struct syscall_verdict *v)
{
	switch (v->action) {
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW:
		return SECCOMP_RET_ALLOW;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY:
		return seccomp->listener ? SECCOMP_RET_USER_NOTIF
					 : SECCOMP_RET_ERRNO | v->errno_value;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE:
		return seccomp->listener ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO:
		return SECCOMP_RET_ERRNO | v->errno_value;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL:
		return SECCOMP_RET_KILL_PROCESS;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE:
		assert(seccomp->listener && !(v->charge & ~CHARGE_ALL));
		return SECCOMP_RET_USER_NOTIF;
	case BERM__WIRE__SYSCALL_ACTION__SYSCALL_UNSPECIFIED:
	case _BERM__WIRE__SYSCALL_ACTION_IS_INT_SIZE:
		break;
	}
	assert(!"an action that the compiler must refuse");
	return 0;
}

static void compare(const Berm__Wire__Seccomp *seccomp, struct seccomp_data *data)
{
	const struct sock_filter *program = (const void *)seccomp->program.data;
	size_t count = seccomp->program.len / sizeof(*program);
	struct syscall_verdict v;
	uint64_t arguments[6];

	memcpy(arguments, data->args, sizeof(arguments));
	syscall_verdict(seccomp, data->arch, (uint32_t)data->nr, arguments, &v);
	assert(bpf_run(program, count, data, NULL) == expected(seccomp, &v));
}

/* The registers that meet all conditions of a case, or all but one. */
static void compare_case(const Berm__Wire__Seccomp *seccomp, const Berm__Wire__SyscallCase *c,
	struct seccomp_data *data)
{
	for (size_t missed = 0; missed <= c->n_conditions; missed++) {
		memset(data->args, missed & 1 ? 0xff : 0, sizeof(data->args));
		for (size_t i = 0; i < c->n_conditions; i++) {
			const Berm__Wire__SyscallCondition *k = c->conditions[i];
			__u64 *a = (__u64 *)&data->args[k->argument];

			*a = (*a & ~k->mask) | (k->value ^ (i == missed ? k->mask & -k->mask : 0));
		}
		compare(seccomp, data);
	}
}

static void compare_call(const Berm__Wire__Seccomp *seccomp, uint32_t number)
{
	struct seccomp_data data = {.nr = (int)number, .arch = seccomp->audit_arch};

	compare(seccomp, &data);
	memset(data.args, 0xff, sizeof(data.args));
	compare(seccomp, &data);
	data.arch ^= 0x40000000;
	compare(seccomp, &data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Berm__Wire__Seccomp *seccomp = berm__wire__seccomp__unpack(NULL, size, data);
	struct error err = {0};

	if (!seccomp)
		return 0;
	if (filter_compile(seccomp, &err) == 0) {
		assert(seccomp->program.len % sizeof(struct sock_filter) == 0);
		assert(!bpf_check((const void *)seccomp->program.data,
			seccomp->program.len / sizeof(struct sock_filter)));
		for (size_t i = 0; i < seccomp->n_syscalls; i++) {
			const Berm__Wire__Syscall *call = seccomp->syscalls[i];
			struct seccomp_data now = {
				.nr = (int)call->number, .arch = seccomp->audit_arch};

			compare_call(seccomp, call->number - 1);
			compare_call(seccomp, call->number);
			compare_call(seccomp, call->number + 1);
			for (size_t k = 0; k < call->n_cases; k++)
				compare_case(seccomp, call->cases[k], &now);
		}
		compare_call(seccomp, VERDICT_X32_BIT);
		compare_call(seccomp, UINT32_MAX);
	} else {
		assert(err.code < 0 && *err.text);
	}
	berm__wire__seccomp__free_unpacked(seccomp, NULL);
	return 0;
}
