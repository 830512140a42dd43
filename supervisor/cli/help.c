/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"

static int help(const struct verb *self, const void *options, int argc, char **argv)
{
	const struct verb *verb = NULL, *group = NULL;
	autotext struct text out = {0};
	struct error err = {0};
	int used = 0;

	(void)options;
	if (argc > 0) {
		verb = verb_find(argv, &used, &group, &err);
		if (!verb)
			return verb_misused(self, "%s", err.text);
		if (used < argc)
			return verb_misused(
				self, "\"%s\" has no verb \"%s\"", verb->name, argv[used]);
	}
	verb_help_text(verb, &out);
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_help = {
	.name = "help",
	.summary = "Explain a verb",
	.usage = "[VERB]",
	.function = help,
};
