/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"
#include "policy/diagnostics.h"

#include <ctype.h>

static void put_code(const struct code *code, struct text *out)
{
	text_printf(out, "%s: %s\n\n%s\n", code->id, code->title, code->help);
}

/* "e12" is read as "E012": people type what they remember. */
static const struct code *find(const char *word)
{
	char id[8];
	unsigned number;
	int used = 0;

	if (sscanf(word + (word[0] != '\0'), "%3u%n", &number, &used) != 1 ||
		word[1 + used] != '\0')
		return NULL;
	snprintf(id, sizeof(id), "%c%03u", toupper((unsigned char)word[0]), number);
	return code_find(id);
}

static int explain(const struct verb *verb, const void *options, int argc, char **argv)
{
	autotext struct text out = {0};

	(void)options;
	if (argc > 1)
		return verb_misused(verb, "one code at a time");
	for (size_t i = 0; argc == 0 && i < CODE_COUNT; i++)
		text_printf(&out, "%s  %s\n", codes[i].id, codes[i].title);
	if (argc == 1) {
		const struct code *code = find(argv[0]);

		if (!code)
			return verb_misused(verb,
				"no message has the code \"%s\"; without a word all are listed",
				argv[0]);
		put_code(code, &out);
	}
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_explain = {
	.name = "explain",
	.summary = "Explain the code of an error, a warning or a note",
	.usage = "[CODE]",
	.function = explain,
};
