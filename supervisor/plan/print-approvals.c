/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include "base/number.h"
#include "wire/held.h"

static void put_set(struct text *out, uint32_t set, const char *const *words)
{
	bool first = true;

	for (unsigned i = 0; words[i]; i++) {
		if (!(set & 1U << i))
			continue;
		text_printf(out, "%s%s", first ? "" : ",", words[i]);
		first = false;
	}
	if (first)
		text_puts(out, "nothing");
}

static void put_command(struct text *out, char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		text_puts(out, " ");
		print_escaped(out, words[i]);
	}
}

void print_approvals(const Berm__Wire__Plan *plan, struct text *out)
{
	static const char *const moments[] = {"run", "commit", "write", NULL};
	static const char *const channels[] = {"tty", "exec", "socket", NULL};
	const Berm__Wire__Approvals *a = plan->approvals;
	char time[32];
	size_t start;

	if (!a)
		return;
	start = print_begin(out, "approval");
	text_puts(out, "person ");
	put_set(out, a->on, moments);
	text_puts(out, " by ");
	put_set(out, a->channels, channels);
	text_printf(out, " for %s", number_format_duration(a->timeout_ms, time, sizeof(time)));
	text_printf(out, " at most %llu within %s", (unsigned long long)a->rate_max,
		number_format_duration(a->rate_within_ms, time, sizeof(time)));
	put_command(out, a->exec, a->n_exec);
	print_end_rule(out, start, plan, a->rule);
	for (size_t i = 0; i < a->n_gates; i++) {
		const Berm__Wire__ApprovalGate *gate = a->gates[i];

		start = print_begin(out, "approval");
		text_puts(out, "gate ");
		print_escaped(out, gate->name);
		text_puts(out, " ");
		put_set(out, gate->on, moments);
		text_printf(out, " for %s",
			number_format_duration(gate->timeout_ms, time, sizeof(time)));
		text_puts(out, gate->ask_on_error ? " else ask" : " else deny");
		put_command(out, gate->exec, gate->n_exec);
		print_end_rule(out, start, plan, gate->rule);
	}
}
