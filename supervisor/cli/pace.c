/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/pace-group.h"
#include "daemon/control.h"
#include "wire/effects.h"

#include <string.h>

struct pace_options {
	bool json;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct pace_options, json), NULL, NULL,
		"one JSON object instead of a line"},
};

#define PACE_OPTIONS                                                                               \
	{                                                                                          \
		.specs = specs, .count = array_size(specs), .size = sizeof(struct pace_options)    \
	}

static int print(const struct pace_options *options, Berm__Wire__RunStatus *status)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};

	if (options->json) {
		json_object_begin(&j, NULL);
		json_put_string(&j, "run", status->run);
		json_put_string(&j, "posture", posture_name(status->posture));
		json_put_string(&j, "phase", phase_name(status->phase));
		json_object_end(&j);
	} else {
		text_escape(&out, status->run, strlen(status->run), 64);
		text_printf(
			&out, " %s (%s)", posture_name(status->posture), phase_name(status->phase));
	}
	text_puts(&out, "\n");
	berm__wire__run_status__free_unpacked(status, NULL);
	return verb_print(&out, CLI_GOOD);
}

static int pace_set(const struct verb *verb, const void *values, int argc, char **argv)
{
	Berm__Wire__RunStatus *status = NULL;
	struct error err = {0};
	unsigned posture;

	if (argc != 2)
		return verb_misused(verb, "a run and a posture");
	if (!control_posture_parse(argv[1], &posture))
		return verb_misused(
			verb, "\"%s\" is no posture: open, read-only or frozen", argv[1]);
	if (ask_posture(argv[0], posture, &status, &err) < 0)
		return verb_failed(verb, &err);
	return print(values, status);
}

static int pace_show(const struct verb *verb, const void *values, int argc, char **argv)
{
	Berm__Wire__RunStatus *status = NULL;
	struct error err = {0};

	const struct pace_group_options *group_options = values;
	const struct pace_options options = {.json = group_options->json};
	int code = -1;

	if (argc > 1)
		return verb_misused(verb, "one group, or one run by the beginning of its id");
	code = pace_show_group(verb, group_options, argc ? argv[0] : NULL);
	if (code >= 0)
		return code;
	if (ask_status(argv[0], &status, &err) < 0)
		return verb_failed(verb, &err);
	return print(&options, status);
}

const struct verb verb_pace_set = {
	.name = "pace set",
	.summary = "Change what the processes of a run may do, at once",
	.usage = "[--json] RUN open|read-only|frozen",
	.details =
		"read-only refuses changes of files and the network; frozen stops every process. "
		"open takes\n"
		"back what was set and what the run's own breakers set; its caps go on to refuse. "
		"A "
		"profile\n"
		"can say that nobody takes a run out of a phase (pace.PHASE.recover: never). A run "
		"whose\n"
		"profile has neither blast_radius nor pace can be frozen and opened only.\n"
		"Exit: 0 it is so now, 1 it was refused, 2 wrong words or no such run.",
	.options = PACE_OPTIONS,
	.function = pace_set,
};

static const struct option_spec show_specs[] = {PACE_STATE_DIR, PACE_JSON};

const struct verb verb_pace_show = {
	.name = "pace show",
	.summary = "Tell the phase of groups, or of a run",
	.usage = "[--json] [--state-dir DIR] [GROUP|RUN]",
	.details = "Without a word: every group. What time alone will bring next is told with it.\n"
		   "Exit: 0 told, 2 no such group or run, 3 it cannot be read.",
	.options = PACE_OPTIONS_OF(show_specs),
	.function = pace_show,
};

static const struct verb *const children[] = {
	&verb_pace_show,
	&verb_pace_declare,
	&verb_pace_recover,
	&verb_pace_explain,
	&verb_pace_dismiss,
	&verb_pace_trigger,
	&verb_pace_group,
	&verb_pace_sign,
	&verb_pace_key,
	&verb_pace_set,
	NULL,
};

const struct verb verb_pace = {
	.name = "pace",
	.summary = "Look at and change the phase of groups, and what a run may do",
	.children = children,
};
