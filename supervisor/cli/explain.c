/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-denial.h"
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

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct explain_words, json), NULL, NULL,
		"of a refusal: one JSON object instead of lines"},
	{"profile", 'p', OPTION_TEXT, offsetof(struct explain_words, profile), "FILE", NULL,
		"of a refusal: the profile of that run"},
	LOG_REQUEST_ROWS(struct explain_words),
};

static int explain(const struct verb *verb, const void *values, int argc, char **argv)
{
	autotext struct text out = {0};

	if (argc > 1)
		return verb_misused(verb, "one code or one refusal at a time");
	if (argc == 1 && explain_is_denial(argv[0]))
		return explain_denial(verb, values, argv[0]);
	for (size_t i = 0; argc == 0 && i < CODE_COUNT; i++)
		text_printf(&out, "%s  %s\n", codes[i].id, codes[i].title);
	if (argc == 1) {
		const struct code *code = find(argv[0]);

		if (!code)
			return verb_misused(verb,
				"no message has the code \"%s\", and no refusal that id; without "
				"a word all codes are listed",
				argv[0]);
		put_code(code, &out);
	}
	return verb_print(&out, CLI_GOOD);
}

const struct verb verb_explain = {
	.name = "explain",
	.summary = "Explain a refusal, or the code of an error, a warning or a note",
	.usage = "[CODE | DENIAL-ID]",
	.details =
		"DENIAL-ID is what berm log, --json and --status-fd show of a refusal: the log "
		"tells "
		"which rule in\n"
		"which line, by what it is enforced, how often and when; the profile, what would "
		"allow it or why it\n"
		"should stay refused. Exit: 0 told, 1 the log fails the check, 2 nothing has that "
		"code or id.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct explain_words)},
	.function = explain,
};
