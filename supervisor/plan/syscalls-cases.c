/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/syscalls-cases.h"

#include <stdlib.h>

#define GATE BERM__WIRE__SYSCALL_ACTION__SYSCALL_GATE

bool cases_reserve(Berm__Wire__Syscall *call, size_t count)
{
	Berm__Wire__SyscallCase **cases =
		reallocarray(call->cases, call->n_cases + count, sizeof(*cases));

	if (!cases)
		return false;
	call->cases = cases;
	return true;
}

static Berm__Wire__SyscallCondition *make_condition(const struct argument_condition *from)
{
	Berm__Wire__SyscallCondition *condition = malloc(sizeof(*condition));

	if (!condition)
		return NULL;
	berm__wire__syscall_condition__init(condition);
	condition->argument = from->argument;
	condition->mask = from->mask;
	condition->value = from->value;
	condition->negate = from->negate;
	return condition;
}

Berm__Wire__SyscallCase *cases_add(
	Berm__Wire__Syscall *call, const struct argument_condition *conditions, size_t most)
{
	Berm__Wire__SyscallCase *made = malloc(sizeof(*made));

	if (!made)
		return NULL;
	berm__wire__syscall_case__init(made);
	call->cases[call->n_cases++] = made;
	made->conditions = calloc(most, sizeof(*made->conditions));
	if (!made->conditions)
		return NULL;
	for (size_t i = 0; i < most && conditions[i].mask; i++) {
		made->conditions[i] = make_condition(&conditions[i]);
		if (!made->conditions[i])
			return NULL;
		made->n_conditions++;
	}
	return made;
}

bool cases_add_gate(Berm__Wire__Syscall *call, const struct gate_entry *gate)
{
	bool watched = call->action == BERM__WIRE__SYSCALL_ACTION__SYSCALL_TRACE;

	if (!cases_reserve(call, gate->count))
		return false;
	for (size_t i = 0; i < gate->count; i++) {
		const struct gate_rule *rule = &gate->rules[i];
		Berm__Wire__SyscallCase *made;

		if (!rule->conditions[0].mask) {
			call->action = GATE;
			call->charge = rule->charge;
			call->needs = rule->needs;
			call->watched = watched;
			return true;
		}
		made = cases_add(call, rule->conditions, GATE_CONDITIONS_MAX);
		if (!made)
			return false;
		made->action = GATE;
		made->charge = rule->charge;
		made->needs = rule->needs;
		made->watched = watched;
		made->rule = call->rule;
	}
	return true;
}
