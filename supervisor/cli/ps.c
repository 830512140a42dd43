/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"
#include "cli/held.h"
#include "cli/verb.h"

struct ps_options {
	bool json;
	const char *state_dir;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct ps_options, json), NULL, NULL,
		"one JSON object with everything that \"berm inspect\" tells of each"},
	{"state-dir", 0, OPTION_TEXT, offsetof(struct ps_options, state_dir), "DIR",
		"BERM_STATE_DIR", "where berm keeps what is held"},
};

static int ps(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct ps_options *options = values;
	struct ask_answer *answers = NULL;
	autotext struct text out = {0};
	struct error err = {0};
	autoheld struct held_runs held = {0};
	size_t count = 0;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (ask_all(&answers, &count, &err) < 0)
		return verb_failed(verb, &err);
	held_read(options->state_dir, &held);
	for (size_t i = 0; i < count; i++)
		if (answers[i].status)
			held_name(&held, answers[i].status);
	if (options->json) {
		ask_put_json(&out, answers, count, &held);
	} else {
		ask_put_heading(&out);
		for (size_t i = 0; i < count; i++)
			ask_put_row(&out, &answers[i]);
		held_put_rows(&held, &out);
	}
	ask_all_finish(answers, count);
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_ps = {
	.name = "ps",
	.summary = "List the runs that last",
	.usage = "[--json] [--state-dir DIR]",
	.details =
		"Yours; as root those that root started. Of the caps the two that are nearest are "
		"shown. A run\n"
		"whose berm does not answer within a second is listed with that. A run that waits "
		"for an answer says\n"
		"at what (docs/approvals.md); one that is not begun is listed as held, for as long "
		"as it waits.",
	.options = {.specs = specs, .count = array_size(specs), .size = sizeof(struct ps_options)},
	.function = ps,
};
