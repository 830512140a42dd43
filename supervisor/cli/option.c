/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include "base/number.h"

#include <limits.h>
#include <string.h>

#define HELP_COLUMN 30

static const struct option_spec help_spec = {
	.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "show this help and exit"};

static int append_word(struct word_list *list, const char *word, struct error *err)
{
	const char **grown;

	if (list->count >= OPTION_WORDS_MAX)
		return error_set(err, -E2BIG, ERROR_INPUT, "more than %d words", OPTION_WORDS_MAX);
	grown = realloc(list->items, (list->count + 2) * sizeof(*grown));
	if (!grown)
		return error_errno(err, "options");
	list->items = grown;
	list->items[list->count] = strdup(word);
	if (!list->items[list->count])
		return error_errno(err, "options");
	list->items[++list->count] = NULL;
	return 0;
}

static int set_flag(void *field, const char *value, struct error *err)
{
	bool *flag = field;

	if (value && strcmp(value, "1") != 0 && strcmp(value, "true") != 0 &&
		strcmp(value, "0") != 0 && strcmp(value, "false") != 0)
		return error_set(err, -EINVAL, ERROR_INPUT, "\"%s\" is not true or false", value);
	*flag = !value || strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
	return 0;
}

static int set_text(void *field, const char *value, struct error *err)
{
	if (value[0] == '\0')
		return error_set(err, -EINVAL, ERROR_INPUT, "the value is empty");
	*(const char **)field = value;
	return 0;
}

static int set_duration(void *field, const char *value, struct error *err)
{
	uint64_t ms;

	if (!number_parse_duration(value, &ms) || ms == 0)
		return error_set(err, -EINVAL, ERROR_INPUT,
			"\"%s\" is not a time over zero: write 250ms, 30s, 15m, 2h or 1d", value);
	*(uint64_t *)field = ms;
	return 0;
}

static int set_number(void *field, const char *value, struct error *err)
{
	uint64_t number;

	if (!number_parse_u64(value, &number) || number == 0)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "\"%s\" is not a number over zero", value);
	*(uint64_t *)field = number;
	return 0;
}

static int set_descriptor(void *field, const char *value, struct error *err)
{
	uint64_t number;

	if (!number_parse_u64(value, &number) || number > INT_MAX)
		return error_set(
			err, -EINVAL, ERROR_INPUT, "\"%s\" is not a descriptor number", value);
	*(int *)field = (int)number;
	return 0;
}

static int set_words(void *field, const char *value, struct error *err)
{
	if (value[0] == '\0')
		return error_set(err, -EINVAL, ERROR_INPUT, "the value is empty");
	return append_word(field, value, err);
}

static int set_comma_words(void *field, const char *value, struct error *err)
{
	for (const char *at = value;; at++) {
		size_t length = strcspn(at, ",");
		autofree char *word = strndup(at, length);
		int r;

		if (!word)
			return error_errno(err, "options");
		if (length == 0)
			return error_set(err, -EINVAL, ERROR_INPUT,
				"\"%s\" has an empty word between commas", value);
		r = append_word(field, word, err);
		if (r < 0)
			return r;
		at += length;
		if (*at == '\0')
			return 0;
	}
}

static int (*const setters[OPTION_TYPE_COUNT])(
	void *field, const char *value, struct error *err) = {
	[OPTION_FLAG] = set_flag,
	[OPTION_TEXT] = set_text,
	[OPTION_DURATION] = set_duration,
	[OPTION_NUMBER] = set_number,
	[OPTION_DESCRIPTOR] = set_descriptor,
	[OPTION_WORDS] = set_words,
	[OPTION_COMMA_WORDS] = set_comma_words,
};

static bool type_is_list(enum option_type type)
{
	return type == OPTION_WORDS || type == OPTION_COMMA_WORDS;
}

static const struct option_spec *find_long(
	const struct option_table *table, const char *name, size_t length)
{
	for (size_t i = 0; i < table->count; i++)
		if (strncmp(table->specs[i].name, name, length) == 0 &&
			table->specs[i].name[length] == '\0')
			return &table->specs[i];
	if (length == strlen(help_spec.name) && strncmp(name, help_spec.name, length) == 0)
		return &help_spec;
	return NULL;
}

static const struct option_spec *find_short(const struct option_table *table, char letter)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->specs[i].letter == letter)
			return &table->specs[i];
	return letter == help_spec.letter ? &help_spec : NULL;
}

static int unknown_option(const struct option_table *table, const char *word, struct error *err)
{
	size_t length = strcspn(word, "=");
	const char *names[64] = {help_spec.name};
	size_t count = 1;
	autofree char *name = strndup(word + 2, length - 2);
	const char *near;

	if (!name)
		return error_errno(err, "options");
	for (size_t i = 0; i < table->count && count < array_size(names); i++)
		names[count++] = table->specs[i].name;
	near = text_nearest(name, names, count);
	return error_set(err, -EINVAL, ERROR_INPUT, "unknown option --%s%s%s%s", name,
		near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* One walk over the words: where it stands and what it has seen. */
struct walk {
	const struct option_table *table;
	char **argv;
	int at; /* index of the word being read */
	struct option_result *result;
	bool given[64]; /* by index in the table */
	struct error *err;
};

static int store(
	struct walk *w, const struct option_spec *spec, const char *shown, const char *value)
{
	size_t index = (size_t)(spec - w->table->specs);
	int r;

	if (spec == &help_spec) {
		w->result->help = true;
		return 0;
	}
	w->given[index] = true;
	r = setters[spec->type]((char *)w->result->values + spec->offset, value, w->err);
	return r < 0 ? error_wrap(w->err, "%s", shown) : 0;
}

/* An option whose value is not joined to it takes the next word. */
static int store_with_next(struct walk *w, const struct option_spec *spec, const char *shown)
{
	const char *next = w->argv[w->at + 1];

	if (spec->type == OPTION_FLAG)
		return store(w, spec, shown, NULL);
	if (!next)
		return error_set(w->err, -EINVAL, ERROR_INPUT, "%s needs a value: %s", shown,
			spec->argument);
	if (next[0] == '-' && next[1] != '\0')
		return error_set(w->err, -EINVAL, ERROR_INPUT,
			"%s needs a value (%s) and is followed by %s; if that is the value, write "
			"--%s=%s",
			shown, spec->argument, next, spec->name, next);
	w->at++;
	return store(w, spec, shown, next);
}

static int read_long(struct walk *w, const char *word)
{
	size_t length = strcspn(word + 2, "=");
	const struct option_spec *spec = find_long(w->table, word + 2, length);
	char shown[64];

	if (!spec)
		return unknown_option(w->table, word, w->err);
	snprintf(shown, sizeof(shown), "--%s", spec->name);
	if (word[2 + length] != '=')
		return store_with_next(w, spec, shown);
	if (spec->type == OPTION_FLAG)
		return error_set(w->err, -EINVAL, ERROR_INPUT, "%s takes no value", shown);
	return store(w, spec, shown, word + 2 + length + 1);
}

static int read_short(struct walk *w, const char *word)
{
	for (const char *at = word + 1; *at; at++) {
		const struct option_spec *spec = find_short(w->table, *at);
		char shown[3] = {'-', *at, '\0'};
		int r;

		if (!spec)
			return error_set(w->err, -EINVAL, ERROR_INPUT, "unknown option %s", shown);
		if (spec->type != OPTION_FLAG && at[1] != '\0')
			return store(w, spec, shown, at + 1);
		r = store_with_next(w, spec, shown);
		if (r < 0 || spec->type != OPTION_FLAG)
			return r;
	}
	return 0;
}

static int read_environment(struct walk *w)
{
	for (size_t i = 0; i < w->table->count; i++) {
		const struct option_spec *spec = &w->table->specs[i];
		const char *value = spec->environment ? getenv(spec->environment) : NULL;
		int r;

		if (!value || value[0] == '\0' || w->given[i])
			continue;
		r = setters[spec->type]((char *)w->result->values + spec->offset, value, w->err);
		if (r < 0)
			return error_wrap(w->err, "environment variable %s", spec->environment);
	}
	return 0;
}

static int read_words(struct walk *w)
{
	struct option_result *result = w->result;
	int r;

	for (; w->argv[w->at]; w->at++) {
		char *word = w->argv[w->at];

		if (strcmp(word, "--") == 0) {
			w->at++;
			break;
		}
		if (word[0] == '-' && word[1] != '\0') {
			r = word[1] == '-' ? read_long(w, word) : read_short(w, word);
			if (r < 0)
				return r;
			if (result->help)
				return 0;
			continue;
		}
		if (w->table->command_follows)
			break;
		result->argv[result->argc++] = word;
	}
	for (; w->argv[w->at]; w->at++)
		result->argv[result->argc++] = w->argv[w->at];
	return read_environment(w);
}

int option_parse(const struct option_table *table, char **argv, struct option_result *ret_result,
	struct error *err)
{
	struct option_result result = {0};
	struct walk w = {.table = table, .argv = argv, .result = &result, .err = err};
	int words = 0, r;

	if (table->count > array_size(w.given))
		return error_set(err, -E2BIG, ERROR_INTERNAL, "too many options in a table");
	while (argv[words])
		words++;
	result.values = calloc(1, table->size ? table->size : 1);
	result.argv = calloc((size_t)words + 1, sizeof(*result.argv));
	if (!result.values || !result.argv) {
		r = error_errno(err, "options");
	} else {
		if (table->defaults)
			memcpy(result.values, table->defaults, table->size);
		r = read_words(&w);
	}
	if (r < 0) {
		option_finish(table, &result);
		return r;
	}
	*ret_result = result;
	return 0;
}

void option_finish(const struct option_table *table, struct option_result *result)
{
	for (size_t i = 0; result->values && i < table->count; i++) {
		struct word_list *list;

		if (!type_is_list(table->specs[i].type))
			continue;
		list = (struct word_list *)(void *)((char *)result->values +
						    table->specs[i].offset);
		for (size_t n = 0; n < list->count; n++)
			free((void *)(uintptr_t)list->items[n]);
		free(list->items);
	}
	own_free(&result->values);
	own_free(&result->argv);
	*result = (struct option_result){0};
}

static void help_line(const struct option_spec *spec, struct text *out)
{
	size_t start = out->length;

	if (spec->letter)
		text_printf(out, "  -%c, --%s", spec->letter, spec->name);
	else
		text_printf(out, "      --%s", spec->name);
	if (spec->argument)
		text_printf(out, " %s", spec->argument);
	if (out->length - start >= HELP_COLUMN)
		text_printf(out, "\n%*s", HELP_COLUMN, "");
	else
		text_printf(out, "%*s", (int)(HELP_COLUMN - (out->length - start)), "");
	text_puts(out, spec->help);
	if (spec->environment)
		text_printf(out, " [environment: %s]", spec->environment);
	text_puts(out, "\n");
}

void option_help(const struct option_table *table, struct text *out)
{
	for (size_t i = 0; i < table->count; i++)
		help_line(&table->specs[i], out);
	help_line(&help_spec, out);
}
