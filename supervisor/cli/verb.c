/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"

#include "base/io.h"
#include "base/log.h"

#include <stdarg.h>
#include <string.h>

#define SUMMARY_COLUMN 20
#define VERBS_MAX 32

const struct verb *const verbs[] = {
	&verb_run,
	&verb_ps,
	&verb_inspect,
	&verb_agent,
	&verb_pace,
	&verb_approvals,
	&verb_approve,
	&verb_deny,
	&verb_top,
	&verb_kill,
	&verb_killswitch,
	&verb_halt,
	&verb_supervise,
	&verb_learn,
	&verb_profile,
	&verb_changes,
	&verb_log,
	&verb_doctor,
	&verb_redteam,
	&verb_explain,
	&verb_help,
	NULL,
};

const char *verb_word(const struct verb *verb)
{
	const char *space = strrchr(verb->name, ' ');

	return space ? space + 1 : verb->name;
}

static const struct verb *find_in(const struct verb *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(verb_word(*list), word) == 0)
			return *list;
	return NULL;
}

static const char *nearest_in(const struct verb *const *list, const char *word)
{
	const char *names[VERBS_MAX];
	size_t count = 0;

	for (; *list && count < array_size(names); list++)
		names[count++] = verb_word(*list);
	return text_nearest(word, names, count);
}

const struct verb *verb_find(
	char **words, int *ret_used, const struct verb **ret_group, struct error *err)
{
	const struct verb *const *list = verbs;
	const struct verb *verb = NULL;
	int used = 0;

	while (list && words[used] && words[used][0] != '-') {
		const struct verb *found = find_in(list, words[used]);
		const char *near = found ? NULL : nearest_in(list, words[used]);

		if (!found) {
			error_set(err, -EINVAL, ERROR_INPUT, "unknown verb \"%s%s%s\"%s%s%s",
				verb ? verb->name : "", verb ? " " : "", words[used],
				near ? "; did you mean \"" : "", near ? near : "",
				near ? "\"?" : "");
			*ret_group = verb;
			return NULL;
		}
		verb = found;
		list = verb->children;
		used++;
	}
	*ret_used = used;
	*ret_group = NULL;
	if (!verb)
		error_set(err, -EINVAL, ERROR_INPUT, "a verb is missing");
	return verb;
}

void verb_usage(const struct verb *verb, struct text *out)
{
	if (!verb) {
		text_puts(out, "usage: berm VERB [OPTIONS] [WORDS]\n"
			       "       berm --version | --help\nverbs:");
		for (const struct verb *const *row = verbs; *row; row++)
			text_printf(out, " %s", (*row)->name);
		text_puts(out, "\n");
		return;
	}
	if (verb->usage)
		text_printf(out, "usage: berm %s%s%s\n", verb->name, verb->usage[0] ? " " : "",
			verb->usage);
	for (const struct verb *const *child = verb->children; child && *child; child++)
		text_printf(out, "%s berm %s%s%s\n",
			child == verb->children && !verb->usage ? "usage:" : "      ",
			(*child)->name, (*child)->usage[0] ? " " : "", (*child)->usage);
}

static void list_verbs(const struct verb *const *list, struct text *out)
{
	for (; *list; list++)
		text_printf(out, "  %-*s%s\n", SUMMARY_COLUMN, (*list)->name, (*list)->summary);
}

void verb_help_text(const struct verb *verb, struct text *out)
{
	verb_usage(verb, out);
	if (!verb) {
		text_puts(out,
			"\nRuns the tools of AI agents behind walls that a profile describes.\n\n");
		list_verbs(verbs, out);
		text_puts(out, "\n\"berm VERB --help\" explains a verb.\n");
		return;
	}
	text_printf(out, "\n%s.\n", verb->summary);
	if (verb->details)
		text_printf(out, "\n%s\n", verb->details);
	text_puts(out, "\n");
	if (verb->children)
		list_verbs(verb->children, out);
	if (verb->function)
		option_help(&verb->options, out);
}

int verb_misused(const struct verb *verb, const char *format, ...)
{
	autotext struct text usage = {0};
	char words[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (verb)
		log_line("%s: %s", verb->name, words);
	else
		log_line("%s", words);
	verb_usage(verb, &usage);
	text_printf(&usage, "\"berm %s%s--help\" explains it.\n", verb ? verb->name : "",
		verb ? " " : "");
	(void)!io_write_all(STDERR_FILENO, text_string(&usage), usage.length);
	return CLI_BAD_INPUT;
}

static const int exit_codes[ERROR_KIND_COUNT] = {
	[ERROR_INTERNAL] = CLI_HOST_CANNOT,
	[ERROR_INPUT] = CLI_BAD_INPUT,
	[ERROR_UNSUPPORTED] = CLI_HOST_CANNOT,
	[ERROR_REFUSED] = CLI_NO,
	[ERROR_NOT_FOUND] = CLI_BAD_INPUT,
};

int verb_failed(const struct verb *verb, const struct error *err)
{
	log_line("%s: %s", verb->name, err->text);
	return err->kind < ERROR_KIND_COUNT ? exit_codes[err->kind] : CLI_HOST_CANNOT;
}

int verb_print(const struct text *out, int code)
{
	int r = out->failed ? -ENOMEM : io_write_all(STDOUT_FILENO, text_string(out), out->length);

	if (r == 0)
		return code;
	log_line("cannot write to stdout: %s", strerror(-r));
	return CLI_HOST_CANNOT;
}
