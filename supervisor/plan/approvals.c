/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/approvals.h"
#include "plan/compile.h"

/* Plan.approvals: who is asked before the run. */

static bool add_words(
	struct compiler *c, const struct command_words *command, char ***items, size_t *count)
{
	for (size_t i = 0; i < command->count; i++) {
		char *word = message_string(c, command->items[i]);

		if (message_push(c, items, count, word))
			continue;
		if (word != protobuf_c_empty_string)
			free(word);
		return false;
	}
	return true;
}

static bool add_gate(struct compiler *c, Berm__Wire__Approvals *a, size_t index)
{
	const struct judge_rule *gate = &c->profile->gates.items[index];
	Berm__Wire__ApprovalGate *to = malloc(sizeof(*to));

	if (!to || !message_push(c, &a->gates, &a->n_gates, to)) {
		free(to);
		return false;
	}
	berm__wire__approval_gate__init(to);
	to->name = message_string(c, gate->name);
	to->on = (uint32_t)gate->on.value;
	to->timeout_ms = gate_timeout_ms(gate);
	to->ask_on_error = gate->on_error == GATE_ERROR_ASK;
	to->operators = gate->operators;
	to->rule = rule_index(c, RULES_GATES, index);
	rule_enforced(c, to->rule, "approval");
	return add_words(c, &gate->exec, &to->exec, &to->n_exec);
}

int plan_approvals(struct compiler *c)
{
	const struct profile *p = c->profile;
	bool written = approvals_are_written(p);
	Berm__Wire__Approvals *a = written ? malloc(sizeof(*a)) : NULL;

	if (!written)
		return 0;
	if (!a)
		return -ENOMEM;
	berm__wire__approvals__init(a);
	c->plan->approvals = a;
	a->on = (uint32_t)p->approvals.on.value;
	a->channels = approvals_channels(p);
	a->exec_is_operators = p->approvals.exec_is_operators;
	a->timeout_ms = approvals_timeout_ms(p);
	a->rate_max = approvals_rate(p, &a->rate_within_ms);
	a->rule = rule_index(c, RULES_APPROVALS_ON, 0);
	rule_enforced(c, a->rule, "approval");
	if (!add_words(c, &p->approvals.exec, &a->exec, &a->n_exec))
		return -ENOMEM;
	for (size_t i = 0; i < p->gates.count; i++)
		if (!add_gate(c, a, i))
			return -ENOMEM;
	return 0;
}
