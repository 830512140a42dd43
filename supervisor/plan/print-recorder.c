/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/print.h"

#include "base/number.h"
#include "wire/effects.h"

static void print_failure(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Recorder *r = plan->recorder;
	size_t start = print_begin(out, "recorder");

	text_puts(out, "on-failure ");
	print_enum(out, &berm__wire__recorder_failure__descriptor, (int)r->on_failure,
		"RECORDER_FAILURE_");
	if (r->on_failure == BERM__WIRE__RECORDER_FAILURE__RECORDER_FAILURE_PHASE)
		text_printf(out, " %s (%s)", phase_name(r->failure_phase),
			posture_name(r->failure_posture));
	print_end_rule(out, start, plan, r->failure_rule);
}

void print_recorder(const Berm__Wire__Plan *plan, struct text *out)
{
	const Berm__Wire__Recorder *r = plan->recorder;
	char keep[32];
	size_t start;

	if (!r)
		return;
	start = print_begin(out, "recorder");
	text_puts(out, "level ");
	print_enum(out, &berm__wire__recorder_level__descriptor, (int)r->level, "RECORDER_");
	print_end_rule(out, start, plan, r->level_rule);
	print_failure(plan, out);
	start = print_begin(out, "recorder");
	text_printf(out, "keep %s", number_format_duration(r->keep_ms, keep, sizeof(keep)));
	print_end_rule(out, start, plan, r->keep_rule);
	for (size_t i = 0; i < r->n_redact; i++) {
		print_begin(out, "recorder");
		text_puts(out, "redact ");
		print_escaped(out, r->redact[i]);
		print_end(out);
	}
	for (size_t i = 0; i < r->n_sinks; i++) {
		start = print_begin(out, "recorder");
		text_puts(out, "sink ");
		print_enum(out, &berm__wire__recorder_sink_type__descriptor, (int)r->sinks[i]->type,
			"RECORDER_SINK_");
		text_puts(out, " ");
		print_escaped(out, r->sinks[i]->format);
		print_end_rule(out, start, plan, r->sinks[i]->rule);
	}
	for (size_t i = 0; i < r->n_outputs; i++) {
		start = print_begin(out, "recorder");
		text_puts(out, "output ");
		print_escaped(out, r->outputs[i]->path);
		print_end_rule(out, start, plan, r->outputs[i]->rule);
	}
}
