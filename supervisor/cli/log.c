/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-show.h"
#include "cli/paint.h"
#include "record/line.h"

struct log_options {
	struct log_request request;
	struct log_filter filter;
	uint64_t limit;
	bool follow, json, unchecked;
};

static const struct option_spec specs[] = {
	{"follow", 'f', OPTION_FLAG, offsetof(struct log_options, follow), NULL, NULL,
		"go on showing what is recorded, until ended"},
	LOG_FILTER_ROWS(struct log_options),
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

struct show {
	bool json, paint;
};

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
		log_show_line(item, s->paint, out);
	return 0;
}

static int log_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct log_options *options = values;
	struct log_filter filter = options->filter;
	struct show how = {.json = options->json, .paint = paint_wanted(STDOUT_FILENO)};
	autologsession struct log_session session = {0};
	struct log_reading reading = {.verb = verb,
		.filter = &filter,
		.limit = options->limit,
		.follow = options->follow,
		.sink = show,
		.data = &how};
	int code;

	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	if (options->limit > LOG_LIMIT_MAX)
		return verb_misused(verb, "--limit: at most %d", LOG_LIMIT_MAX);
	code = log_read_prepare(verb, &filter);
	if (code != CLI_GOOD ||
		!log_session_open(verb, &options->request, options->unchecked, &session, &code))
		return code;
	return log_session_read(&session, &reading);
}

static const struct verb *const children[] = {
	&verb_log_verify, &verb_log_trace, &verb_log_export, NULL};

const struct verb verb_log = {
	.name = "log",
	.summary = "Show what was recorded, newest last",
	.usage = "[OPTIONS]",
	.details =
		"The log is checked first. One that fails is shown behind a warning, and each line "
		"that no good\n"
		"seal is behind has a \"!\" after its time. Times are local; text of a tool is "
		"escaped "
		"and bounded.\n"
		"Exit: 0 shown, 1 the log fails the check, 2 wrong words, 3 it cannot be read.",
	.options = {.specs = specs, .count = array_size(specs), .size = sizeof(struct log_options)},
	.function = log_verb,
	.children = children,
};
