/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/verb.h"
#include "daemon/runs.h"
#include "wire/effects.h"

#include <string.h>

#define PROFILE_BYTES 20
#define COMMAND_BYTES 40
#define NEAREST 2 /* counters shown of each run */

struct ps_options {
	bool json;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct ps_options, json), NULL, NULL,
		"one JSON object with everything that \"berm inspect\" tells of each"},
};

/* How much of its cap a counter has used, in thousandths. */
static uint64_t share_of(const Berm__Wire__RunCounter *c)
{
	if (!c->capped)
		return 0;
	if (c->value >= c->limit)
		return 1000;
	return (uint64_t)((double)c->value * 1000 / (double)c->limit);
}

/* The counters that are nearest to their caps. */
static void put_nearest(struct text *out, const Berm__Wire__RunStatus *status)
{
	const Berm__Wire__RunCounter *shown[NEAREST] = {NULL};

	for (size_t n = 0; n < NEAREST; n++) {
		for (size_t i = 0; i < status->n_counters; i++) {
			const Berm__Wire__RunCounter *c = status->counters[i];

			if (c->capped && (n == 0 || c != shown[0]) &&
				(!shown[n] || share_of(c) > share_of(shown[n])))
				shown[n] = c;
		}
		if (!shown[n])
			break;
		text_printf(out, "%s%s %llu/%llu", n ? ", " : "",
			ask_counter_name(shown[n]->counter), (unsigned long long)shown[n]->value,
			(unsigned long long)shown[n]->limit);
	}
	if (!shown[0])
		text_puts(out, status->metered ? "no caps" : "not metered");
}

static void put_row(struct text *out, const Berm__Wire__RunStatus *status)
{
	autotext struct text run = {0}, profile = {0}, uptime = {0};

	text_escape(&run, status->run, strlen(status->run), RUN_ID_LENGTH);
	ask_put(&profile, status->profile, PROFILE_BYTES);
	ask_put_time(&uptime, status->uptime_ms);
	text_printf(out, "%-*s  %-*s  %-10s  %-11s  %-7s  ", RUN_ID_LENGTH, text_string(&run),
		PROFILE_BYTES, text_string(&profile), posture_name(status->posture),
		phase_name(status->phase), text_string(&uptime));
	put_nearest(out, status);
	text_puts(out, "  ");
	ask_put_command(out, status, COMMAND_BYTES);
	text_puts(out, "\n");
}

static int ps(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct ps_options *options = values;
	char(*ids)[RUN_ID_LENGTH + 1] = NULL;
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct error err = {0};
	size_t count = 0;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (runs_list(&ids, &count, &err) < 0)
		return verb_failed(verb, &err);
	if (options->json) {
		json_object_begin(&j, NULL);
		json_array_begin(&j, "runs");
	} else {
		text_printf(&out, "%-*s  %-*s  %-10s  %-11s  %-7s  %s\n", RUN_ID_LENGTH, "RUN",
			PROFILE_BYTES, "PROFILE", "POSTURE", "PHASE", "UP",
			"NEAREST CAPS, COMMAND");
	}
	for (size_t i = 0; i < count; i++) {
		Berm__Wire__RunStatus *status = NULL;

		/* It may have ended since it was listed. */
		if (ask_status(ids[i], &status, &err) < 0)
			continue;
		if (options->json)
			ask_json(&j, NULL, status);
		else
			put_row(&out, status);
		berm__wire__run_status__free_unpacked(status, NULL);
	}
	free(ids);
	if (options->json) {
		json_array_end(&j);
		json_object_end(&j);
		text_puts(&out, "\n");
	}
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_ps = {
	.name = "ps",
	.summary = "List the runs that last",
	.usage = "[--json]",
	.details =
		"Yours; as root those that root started. Of the caps the two that are nearest are "
		"shown.",
	.options = {.specs = specs, .count = array_size(specs), .size = sizeof(struct ps_options)},
	.function = ps,
};
