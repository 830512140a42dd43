/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/log-time.h"
#include "cli/log-trace.h"
#include "record/line.h"
#include "wire/effects.h"

#include <inttypes.h>
#include <string.h>

#define WORDS_BYTES 400

static void put(struct text *out, const char *words)
{
	text_escape(out, words ? words : "?", words ? strlen(words) : 1, WORDS_BYTES);
}

static void put_digest(struct text *out, const ProtobufCBinaryData *digest)
{
	for (size_t i = 0; i < digest->len && i < 64; i++)
		text_printf(out, "%02x", digest->data[i]);
}

static void put_caller(struct text *out, const Berm__Wire__RunStart *s)
{
	text_puts(out, "asked by   ");
	put(out, s->caller_name);
	if (s->has_caller_uid)
		text_printf(out, " (uid %u, pid %u)", s->caller_uid, s->caller_pid);
	if (s->asked_by) {
		text_puts(out, ", for ");
		put(out, s->asked_by);
	}
	text_puts(out, "\n");
}

static void put_start(struct text *out, const Berm__Wire__Record *record)
{
	const Berm__Wire__RunStart *s = record->run_start;

	put_caller(out, s);
	text_puts(out, "command    ");
	for (size_t i = 0; i < s->n_argv; i++) {
		text_puts(out, i ? " " : "");
		ask_put(out, s->argv[i], LINE_OBJECT_BYTES_MAX);
		if (i == 15 && s->n_argv > 16) {
			text_printf(out, " … and %zu more words", s->n_argv - 16);
			break;
		}
	}
	text_puts(out, "\n");
	for (size_t i = 0; i < s->n_delegated_by; i++) {
		text_puts(out, i ? "           by " : "delegated  by ");
		put(out, s->delegated_by[i]->agent);
		text_puts(out, ", run ");
		put(out, s->delegated_by[i]->run);
		text_puts(out, "\n");
	}
	text_puts(out, "in         ");
	ask_put(out, s->working_directory, WORDS_BYTES);
	text_puts(out, "\nprofile    ");
	put(out, s->profile);
	text_puts(out, "  ");
	put_digest(out, &record->profile_digest);
	for (size_t i = 0; i < s->n_profile_files; i++) {
		text_puts(out, i ? "\n           " : "\nread from  ");
		ask_put(out, s->profile_files[i]->path, WORDS_BYTES);
		text_puts(out, "  ");
		put_digest(out, &s->profile_files[i]->digest);
	}
	text_puts(out, s->profile_files_cut ? "\n           and more files" : "");
	text_puts(out, "\nplan       ");
	put_digest(out, &s->plan_digest);
	text_puts(out, "\nenforced   ");
	put(out, s->enforced_by);
	for (size_t i = 0; i < s->n_degraded; i++) {
		text_puts(out, i ? ", " : "; missing and accepted: ");
		put(out, s->degraded[i]);
	}
	text_puts(out, "\n");
}

void trace_words_begin(struct trace *t, const struct log_item *first, struct text *out)
{
	const Berm__Wire__Record *record = first->record;

	text_puts(out, "run        ");
	put(out, t->run);
	text_puts(out, "\nagent      ");
	if (record->chain && record->chain->agent_nhi && record->chain->agent_nhi[0]) {
		put(out, record->chain->agent_nhi);
		text_puts(out, ", ");
	}
	put(out, record->agent_id && record->agent_id[0] ? record->agent_id : "none named");
	if (record->group) {
		text_puts(out, " of ");
		put(out, record->group);
	}
	text_puts(out, "\n");
	if (record->body_case == BERM__WIRE__RECORD__BODY_RUN_START)
		put_start(out, record);
	else
		text_puts(out, "start      not in the log (any more)\n");
	text_puts(out, "\n");
}

static void put_counters(struct text *out, const Berm__Wire__RunEnd *e)
{
	for (size_t i = 0; i < e->n_counters; i++) {
		const Berm__Wire__CounterUse *c = e->counters[i];

		text_printf(out, "%s%s %" PRIu64, i ? ", " : "counters   ",
			ask_counter_name(c->counter), c->used);
		if (c->has_cap)
			text_printf(out, " of %" PRIu64, c->cap);
	}
	text_puts(out, e->n_counters ? "\n" : "");
}

static void put_end(struct text *out, const Berm__Wire__RunEnd *e)
{
	text_puts(out, "ended      ");
	put(out, e->outcome);
	if (e->has_signal && e->signal)
		text_printf(out, ", signal %u", e->signal);
	else
		text_printf(out, ", code %u", e->exit_code);
	if (e->has_duration_ms)
		text_printf(out, ", after %" PRIu64 " ms", e->duration_ms);
	if (e->reason) {
		text_puts(out, ": ");
		put(out, e->reason);
	}
	text_printf(out, "\ndenied     %" PRIu64 "\n", e->denials);
	put_counters(out, e);
	if (e->resources)
		text_printf(out,
			"used       %" PRIu64 " ms user, %" PRIu64 " ms system, %" PRIu64
			" KiB at most\n",
			e->resources->user_us / 1000, e->resources->system_us / 1000,
			e->resources->max_rss_kib);
	for (size_t i = 0; i < e->n_outputs; i++) {
		text_puts(out, "output     ");
		ask_put(out, e->outputs[i]->path, WORDS_BYTES);
		text_puts(out, "  ");
		if (e->outputs[i]->state)
			put(out, e->outputs[i]->state);
		put_digest(out, &e->outputs[i]->digest);
		if (e->outputs[i]->has_bytes)
			text_printf(out, "  %" PRIu64 " bytes", e->outputs[i]->bytes);
		text_puts(out, "\n");
	}
	text_puts(out, e->outputs_cut ? "output     and more\n" : "");
}

void trace_words_end(struct trace *t, struct text *out)
{
	const struct verify_result *r = &t->check->result;

	text_puts(out, "\n");
	if (t->end)
		put_end(out, t->end->run_end);
	else
		text_puts(out, "ended      not in the log: it lasts, or its supervisor died\n");
	text_printf(out,
		"activity   %" PRIu64 " programs, %" PRIu64 " file operations, %" PRIu64
		" network operations recorded%s\n",
		t->execs, t->files, t->networks,
		t->all || t->execs + t->files + t->networks == 0 ? "" : "; --all lists them");
	text_printf(out, "lost       %" PRIu64 " records\n", t->lost);
	if (!t->check->pinned)
		text_puts(out, "check      none: there was no key\n");
	else
		text_printf(out, "check      %s: %s\n", r->pass ? "PASS" : "FAIL",
			verify_reason_text(r->reason));
}
