/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/verb.h"

#include <string.h>

static int show_help(const struct verb *verb)
{
	autotext struct text out = {0};

	verb_help_text(verb, &out);
	return verb_print(&out, CLI_GOOD);
}

static int show_version(void)
{
	autotext struct text out = {0};

	text_puts(&out, "berm " BERM_VERSION "\n");
	return verb_print(&out, CLI_GOOD);
}

static int run_verb(const struct verb *verb, char **words)
{
	struct option_result result = {0};
	struct error err = {0};
	int code;

	if (option_parse(&verb->options, words, &result, &err) < 0)
		return err.kind == ERROR_INPUT ? verb_misused(verb, "%s", err.text)
					       : verb_failed(verb, &err);
	if (result.help)
		code = show_help(verb);
	else if (!verb->function)
		code = verb_misused(verb, "a verb is missing after \"%s\"", verb->name);
	else
		code = verb->function(verb, result.values, result.argc, result.argv);
	option_finish(&verb->options, &result);
	return code;
}

int cli_main(int argc, char **argv)
{
	const struct verb *verb, *group = NULL;
	struct error err = {0};
	int used = 0;

	/* argc is 0 where an attacker called execve() with an empty argv. */
	if (argc < 1)
		return CLI_BAD_INPUT;
	if (argv[1] && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
		return show_version();
	if (argv[1] && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return show_help(NULL);
	if (argv[1] && argv[1][0] == '-')
		return verb_misused(NULL, "unknown option %s", argv[1]);
	verb = verb_find(argv + 1, &used, &group, &err);
	if (!verb)
		return verb_misused(group, "%s", err.text);
	return run_verb(verb, argv + 1 + used);
}
