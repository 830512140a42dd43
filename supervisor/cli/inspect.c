/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/held.h"
#include "cli/verb.h"
#include "wire/effects.h"

#include <string.h>

#define LINE_BYTES 200

struct inspect_options {
	bool json;
	const char *state_dir;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct inspect_options, json), NULL, NULL,
		"one JSON object instead of lines"},
	{"state-dir", 0, OPTION_TEXT, offsetof(struct inspect_options, state_dir), "DIR",
		"BERM_STATE_DIR", "where berm keeps what is held"},
};

static void put_rule(struct text *out, const Berm__Wire__RunRule *rule)
{
	if (!rule)
		return;
	text_puts(out, "  by ");
	ask_put(out, rule->key, LINE_BYTES);
	if (rule->value.len) {
		text_puts(out, " ");
		ask_put(out, rule->value, LINE_BYTES);
	}
	if (rule->file.len) {
		text_puts(out, " (");
		ask_put(out, rule->file, LINE_BYTES);
		if (rule->line)
			text_printf(out, ":%u", rule->line);
		text_puts(out, ")");
	}
}

static void put_head(struct text *out, const Berm__Wire__RunStatus *status)
{
	text_puts(out, "run       ");
	text_escape(out, status->run, strlen(status->run), LINE_BYTES);
	for (size_t i = 0; i < status->n_delegated_by; i++) {
		const Berm__Wire__RunHop *hop = status->delegated_by[i];

		text_puts(out, i ? "\n          by " : "\ndelegated by ");
		text_escape(out, hop->agent, strlen(hop->agent), LINE_BYTES);
		text_puts(out, ", run ");
		text_escape(out, hop->run, strlen(hop->run), LINE_BYTES);
	}
	text_puts(out, "\nprofile   ");
	ask_put(out, status->profile, LINE_BYTES);
	text_puts(out, "\ncommand   ");
	ask_put_command(out, status, LINE_BYTES);
	text_printf(out, "\nposture   %s\nphase     %s\nup        ", posture_name(status->posture),
		phase_name(status->phase));
	ask_put_time(out, status->uptime_ms);
	ask_put_held(out, status, "\nheld      at ");
	text_printf(out, "\nberm      pid %u, for uid %u\nmeter     ", status->pid, status->uid);
	if (status->metered)
		text_escape(out, status->make, strlen(status->make), LINE_BYTES);
	else
		text_puts(out, "none: the profile has neither blast_radius nor pace");
	text_puts(out, "\n");
}

static void put_counters(struct text *out, const Berm__Wire__RunStatus *status)
{
	if (status->n_counters)
		text_puts(out, "\ncounters            done        cap         refused beyond it\n");
	for (size_t i = 0; i < status->n_counters; i++) {
		const Berm__Wire__RunCounter *c = status->counters[i];
		char cap[32] = "-";

		if (c->capped)
			snprintf(cap, sizeof(cap), "%llu", (unsigned long long)c->limit);
		text_printf(out, "  %-17s %-11llu %-11s %llu\n", ask_counter_name(c->counter),
			(unsigned long long)c->value, cap, (unsigned long long)c->refused);
	}
}

static void put_trips(struct text *out, const Berm__Wire__RunStatus *status)
{
	if (status->n_trips)
		text_puts(out, "\nreports of the meter\n");
	for (size_t i = 0; i < status->n_trips; i++) {
		const Berm__Wire__RunTrip *t = status->trips[i];

		text_puts(out, "  after ");
		ask_put_time(out, t->after_ms);
		text_printf(out, ": %s", ask_trip_word(t));
		if (t->limit)
			text_printf(out, ", %s %llu of %llu", ask_counter_name(t->counter),
				(unsigned long long)t->value, (unsigned long long)t->limit);
		if (!t->warning)
			text_printf(out, "; then %s (%s)", posture_name(t->posture),
				phase_name(t->phase));
		put_rule(out, t->rule);
		text_puts(out, "\n");
	}
}

static void put_denials(struct text *out, const Berm__Wire__RunStatus *status)
{
	if (status->n_denials)
		text_printf(out, "\nrefused (%llu in all, the last kinds)\n",
			(unsigned long long)status->denials_total);
	for (size_t i = 0; i < status->n_denials; i++) {
		const Berm__Wire__RunDenial *d = status->denials[i];

		text_printf(out, "  %llux ", (unsigned long long)d->count);
		text_escape(out, d->operation, strlen(d->operation), LINE_BYTES);
		text_puts(out, " ");
		ask_put(out, d->target, LINE_BYTES);
		put_rule(out, d->rule);
		text_puts(out, "\n");
	}
}

static void put_enforcement(struct text *out, const Berm__Wire__RunStatus *status)
{
	text_puts(out, "\nenforced by\n");
	for (size_t i = 0; i < status->n_enforcement; i++) {
		const Berm__Wire__RunEnforcement *e = status->enforcement[i];

		text_puts(out, "  ");
		text_escape(out, e->key, strlen(e->key), LINE_BYTES);
		text_puts(out, ": ");
		text_escape(out, e->by, strlen(e->by), LINE_BYTES);
		text_puts(out, "\n");
	}
	for (size_t i = 0; i < status->n_degraded; i++) {
		text_puts(out, "  missing and accepted: ");
		text_escape(out, status->degraded[i], strlen(status->degraded[i]), LINE_BYTES);
		text_puts(out, "\n");
	}
}

static int inspect(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct inspect_options *options = values;
	Berm__Wire__RunStatus *status = NULL;
	autotext struct text out = {0};
	struct json j = {.out = &out};
	autoheld struct held_runs held = {0};
	struct error err = {0};

	if (argc != 1)
		return verb_misused(verb, "one run, by the beginning of its id");
	held_read(options->state_dir, &held);
	if (ask_status(argv[0], &status, &err) < 0)
		return err.kind == ERROR_NOT_FOUND &&
				       held_put_one(&held, argv[0], options->json, &out)
			       ? verb_print(&out, CLI_GOOD)
			       : verb_failed(verb, &err);
	held_name(&held, status);
	if (options->json) {
		ask_json(&j, NULL, status);
		text_puts(&out, "\n");
	} else {
		put_head(&out, status);
		put_counters(&out, status);
		put_trips(&out, status);
		put_denials(&out, status);
		put_enforcement(&out, status);
	}
	berm__wire__run_status__free_unpacked(status, NULL);
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_inspect = {
	.name = "inspect",
	.summary = "Tell what a run that lasts has done and what it may do",
	.usage = "[--json] [--state-dir DIR] RUN",
	.details = "RUN is the beginning of an id that \"berm ps\" shows. Counters stand beside "
		   "their caps. Of a run\nthat is held and not begun: at what, and for how "
		   "long.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct inspect_options)},
	.function = inspect,
};
