/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include "wire/effects.h"

#include <linux/filter.h>

static void print_action(struct text *out, Berm__Wire__SyscallAction action, uint32_t number)
{
	static const char *const words[] = {
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_UNSPECIFIED] = "unspecified",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ALLOW] = "allow",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_DENY] = "deny",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_ERRNO] = "errno",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_KILL] = "kill",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE] = "trace",
		[BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE] = "gate",
	};

	text_puts(out, (unsigned)action < array_size(words) ? words[action] : "?");
	if (number)
		text_printf(out, "(%u)", number);
}

/* "gate(files_changed*2+files_deleted, unless no-write)": what is counted and what refuses it. */
static void print_gate(struct text *out, uint32_t charge, uint32_t needs, bool watched)
{
	const char *before = "(";

	for (unsigned counter = 0; counter < COUNTER_COUNT; counter++) {
		if (!(charge & (CHARGE_ONE(counter) | CHARGE_MORE(counter))))
			continue;
		text_printf(out, "%s%s", before, effect_counter_name(counter));
		if ((charge & CHARGE_ONE(counter)) && (charge & CHARGE_MORE(counter)))
			text_puts(out, "*2");
		before = "+";
	}
	if (needs)
		text_printf(out, "%sunless %s", *before == '(' ? "(" : ", ", posture_name(needs));
	if (*before == '+' || needs)
		text_puts(out, ")");
	if (watched)
		text_puts(out, " and trace");
}

static void print_case(struct text *out, const Berm__Wire__SyscallCase *one)
{
	text_puts(out, "; ");
	print_action(out, one->action, one->errno_value);
	if (one->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
		print_gate(out, one->charge, one->needs, one->watched);
	for (size_t i = 0; i < one->n_conditions; i++) {
		const Berm__Wire__SyscallCondition *cond = one->conditions[i];

		text_printf(out, "%s arg%u", i ? " and" : " if", cond->argument);
		if (cond->mask != UINT64_MAX)
			text_printf(out, "&0x%llx", (unsigned long long)cond->mask);
		text_printf(out, "%s0x%llx",
			cond->negate ? "!=" : "==", (unsigned long long)cond->value);
	}
}

static void print_place(const Berm__Wire__Plan *plan, uint32_t rule, struct text *out)
{
	const Berm__Wire__Rule *r = rule < plan->n_rules ? plan->rules[rule] : NULL;

	if (!r)
		return;
	text_puts(out, " # ");
	print_escaped(out, r->key);
	if (!r->line)
		return;
	text_puts(out, " ");
	print_escaped(out, r->file);
	text_printf(out, ":%u:%u", r->line, r->column);
}

void print_seccomp(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Seccomp *s = plan->seccomp;

	if (!s)
		return;
	text_printf(out, "seccomp    %zu instructions, machine 0x%x, %s, unknown calls ",
		s->program.len / sizeof(struct sock_filter), s->audit_arch,
		s->listener ? "denials reported" : "denials not reported");
	print_action(out, s->unknown_action, s->unknown_errno);
	text_puts(out, "\n");
	for (size_t i = 0; i < s->n_syscalls; i++) {
		const Berm__Wire__Syscall *call = s->syscalls[i];

		text_puts(out, "syscall    ");
		print_escaped(out, call->name);
		text_printf(out, " %u ", call->number);
		print_action(out, call->action, call->errno_value);
		if (call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE)
			print_gate(out, call->charge, call->needs, call->watched);
		for (size_t k = 0; k < call->n_cases; k++)
			print_case(out, call->cases[k]);
		print_place(plan, call->rule, out);
		text_puts(out, "\n");
	}
}
