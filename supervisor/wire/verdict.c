/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/verdict.h"

#include <linux/audit.h>
#include <stdbool.h>

static const Berm__Wire__Syscall *find(const Berm__Wire__Seccomp *seccomp, uint32_t number)
{
	size_t low = 0, high = seccomp->n_syscalls;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (seccomp->syscalls[middle]->number == number)
			return seccomp->syscalls[middle];
		if (seccomp->syscalls[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool matches(const Berm__Wire__SyscallCase *c, const uint64_t arguments[6])
{
	for (size_t i = 0; i < c->n_conditions; i++) {
		const Berm__Wire__SyscallCondition *condition = c->conditions[i];
		bool equal;

		/* A malformed condition matches nothing here and is refused by the compiler of the
		 * filter. */
		if (condition->argument > 5)
			return false;
		equal = (arguments[condition->argument] & condition->mask) == condition->value;
		if (equal == condition->negate)
			return false;
	}
	return true;
}

static void fill(struct syscall_verdict *verdict, Berm__Wire__SyscallAction action,
	uint32_t errno_value, uint32_t rule, const char *name)
{
	bool fails = action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY ||
		     action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO;

	verdict->action = action;
	verdict->errno_value = fails ? errno_value : 0;
	verdict->rule = rule;
	verdict->charge = 0;
	verdict->needs = 0;
	verdict->watched = false;
	verdict->name = name;
}

static void fill_gate(
	struct syscall_verdict *verdict, uint32_t charge, uint32_t needs, bool watched)
{
	if (verdict->action != BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		return;
	verdict->charge = charge;
	verdict->needs = needs;
	verdict->watched = watched;
}

void syscall_verdict(const Berm__Wire__Seccomp *seccomp, uint32_t arch, uint32_t number,
	const uint64_t arguments[6], struct syscall_verdict *ret_verdict)
{
	bool x32 = arch == AUDIT_ARCH_X86_64 && number >= VERDICT_X32_BIT &&
		   number < 2 * VERDICT_X32_BIT;
	const Berm__Wire__Syscall *call;

	if (arch != seccomp->audit_arch || x32) {
		fill(ret_verdict, BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL, 0, 0, "");
		return;
	}
	call = find(seccomp, number);
	if (!call) {
		fill(ret_verdict, seccomp->unknown_action, seccomp->unknown_errno, 0, "");
		return;
	}
	for (size_t i = 0; i < call->n_cases; i++) {
		const Berm__Wire__SyscallCase *c = call->cases[i];

		if (matches(c, arguments)) {
			fill(ret_verdict, c->action, c->errno_value, c->rule, call->name);
			fill_gate(ret_verdict, c->charge, c->needs, c->watched);
			return;
		}
	}
	fill(ret_verdict, call->action, call->errno_value, call->rule, call->name);
	fill_gate(ret_verdict, call->charge, call->needs, call->watched);
}
