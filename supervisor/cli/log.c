/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-read.h"
#include "cli/log-time.h"
#include "cli/paint.h"
#include "record/line.h"

#include <string.h>

#define VERDICT_COLUMNS 6
#define AREA_COLUMNS 5
#define OPERATION_COLUMNS 10
#define OBJECT_COLUMNS 32
#define PROGRAM_COLUMNS 16

struct log_options {
	struct log_request request;
	struct log_filter filter;
	uint64_t limit;
	bool follow, json, unchecked;
};

static const struct option_spec specs[] = {
	{"follow", 'f', OPTION_FLAG, offsetof(struct log_options, follow), NULL, NULL,
		"go on showing what is recorded, until ended"},
	{"run", 0, OPTION_TEXT, offsetof(struct log_options, filter.run), "RUN", NULL,
		"only this run, by the beginning of its id"},
	{"agent", 0, OPTION_TEXT, offsetof(struct log_options, filter.agent), "NAME", NULL,
		"only this agent's runs"},
	{"denied", 0, OPTION_FLAG, offsetof(struct log_options, filter.denied), NULL, NULL,
		"only what was refused"},
	{"since", 0, OPTION_TEXT, offsetof(struct log_options, filter.since), "TIME", NULL,
		"not before: 10m (ago), 2026-11-23, 2026-11-23T20:14:03Z"},
	{"limit", 'n', OPTION_NUMBER, offsetof(struct log_options, limit), "N", NULL,
		"only the newest N"},
	{"all", 0, OPTION_FLAG, offsetof(struct log_options, filter.all), NULL, NULL,
		"seals and heads of segments as well"},
	{"json", 0, OPTION_FLAG, offsetof(struct log_options, json), NULL, NULL,
		"one JSON object a record"},
	{"unchecked", 0, OPTION_FLAG, offsetof(struct log_options, unchecked), NULL, NULL,
		"show it without checking it first"},
	LOG_REQUEST_ROWS(struct log_options),
};

static const enum paint paints[] = {[LINE_PLAIN] = PAINT_PLAIN,
	[LINE_GOOD] = PAINT_GOOD,
	[LINE_WARN] = PAINT_WARN,
	[LINE_BAD] = PAINT_BAD};

/* A column; what is longer than it moves the ones behind it. Characters are taken to be one column
 * wide. */
static void put_column(struct text *out, const struct text *words, unsigned columns)
{
	unsigned width = 0;

	out->failed |= words->failed;
	text_append(out, text_string(words), words->length);
	for (size_t i = 0; i < words->length; i++)
		width += ((unsigned char)words->data[i] & 0xc0) != 0x80;
	text_printf(out, "%*s ", width < columns ? (int)(columns - width) : 0, "");
}

static void put_more(struct text *out, const struct text *words)
{
	if (!words->length)
		return;
	text_append(out, text_string(words), words->length);
	text_puts(out, "  ");
}

struct show {
	bool json, paint;
};

static void show_line(const struct show *show, const struct log_item *item, struct text *out)
{
	struct line line;

	line_fill(&line, item->record);
	log_time_put(out, item->record->timestamp);
	text_puts(out, item->trust == LOG_UNTRUSTED ? "!" : " ");
	paint_word(out, show->paint, paints[line.tone], line.verdict, VERDICT_COLUMNS - 1);
	text_printf(out, " %-*s", AREA_COLUMNS, line.area);
	put_column(out, &line.operation, OPERATION_COLUMNS - 1);
	put_column(out, &line.object, OBJECT_COLUMNS);
	put_column(out, &line.program, PROGRAM_COLUMNS);
	put_more(out, &line.rule);
	put_more(out, &line.more);
	text_escape(out, line.id, strlen(line.id), LINE_OBJECT_BYTES_MAX);
	while (out->length && out->data[out->length - 1] == ' ')
		out->length--;
	text_puts(out, "\n");
	line_finish(&line);
}

static void show_json(const struct log_item *item, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	line_json(&j, item->record, &item->place);
	if (item->trust == LOG_UNKNOWN)
		json_put_null(&j, "verified");
	else
		json_put_bool(&j, "verified", item->trust == LOG_TRUSTED);
	json_object_end(&j);
	text_puts(out, "\n");
}

static int show(void *data, const struct log_item *item, struct text *out)
{
	const struct show *s = data;

	if (s->json)
		show_json(item, out);
	else
		show_line(s, item, out);
	return 0;
}

static int read_log(
	const struct verb *verb, const struct log_options *options, const struct log_filter *filter)
{
	struct show how = {.json = options->json, .paint = paint_wanted(STDOUT_FILENO)};
	autoplace struct log_place place = {.dir = -1};
	autocheck struct log_check check = {0};
	struct error err = {0};
	struct log_reading reading = {.verb = verb,
		.place = &place,
		.check = &check,
		.filter = filter,
		.limit = options->limit,
		.follow = options->follow,
		.sink = show,
		.data = &how};
	int r = log_place_open(&options->request, &place, &err);

	if (r == 0 && place.dir < 0) {
		log_place_say_empty(verb, &place);
		return CLI_GOOD;
	}
	if (r == 0 && options->unchecked)
		snprintf(check.why_not, sizeof(check.why_not), "--unchecked");
	else if (r == 0)
		r = log_check_key(&options->request, &place, &check, &err);
	if (r == 0)
		r = log_check_run(&place, &check, &err);
	if (r == 0) {
		log_check_warn(verb, &check);
		r = log_read(&reading, &err);
	}
	return r < 0 ? verb_failed(verb, &err) : CLI_GOOD;
}

static int log_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct log_options *options = values;
	struct log_filter filter = options->filter;
	int code;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (options->limit > LOG_LIMIT_MAX)
		return verb_misused(verb, "--limit: at most %d", LOG_LIMIT_MAX);
	code = log_read_prepare(verb, &filter);
	return code == CLI_GOOD ? read_log(verb, options, &filter) : code;
}

static const struct verb *const children[] = {&verb_log_verify, NULL};

const struct verb verb_log = {
	.name = "log",
	.summary = "Show what was recorded, newest last",
	.usage = "[OPTIONS]",
	.details =
		"The log is checked first. One that fails is shown behind a warning, and each line "
		"that no good\n"
		"seal is behind has a \"!\" after its time. Times are local; text of a tool is "
		"escaped "
		"and bounded.",
	.options = {.specs = specs, .count = array_size(specs), .size = sizeof(struct log_options)},
	.function = log_verb,
	.children = children,
};
