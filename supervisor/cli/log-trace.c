/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log-trace.h"

#include "base/log.h"
#include "cli/paint.h"
#include "daemon/run-id.h"
#include "record/line.h"

#include <string.h>

struct trace_options {
	struct log_request request;
	bool json, all;
};

static const struct option_spec specs[] = {
	{"json", 0, OPTION_FLAG, offsetof(struct trace_options, json), NULL, NULL,
		"one JSON object, by the names of MASO's decision trace"},
	{"all", 0, OPTION_FLAG, offsetof(struct trace_options, all), NULL, NULL,
		"every program, file and connection as well, not only their numbers"},
	LOG_REQUEST_ROWS(struct trace_options),
};

/* ---- which run is meant ---- */

struct choice {
	char run[64], other[64];
};

static int choose(void *data, const struct log_item *item, struct text *out)
{
	struct choice *c = data;
	const char *run = item->record->run;

	(void)out;
	if (!run || strcmp(run, c->run) == 0)
		return 0;
	if (c->run[0] == '\0') {
		snprintf(c->run, sizeof(c->run), "%s", run);
		return 0;
	}
	snprintf(c->other, sizeof(c->other), "%s", run);
	return -E2BIG;
}

/* The one run that begins so. CLI_GOOD, or says what is wrong. */
static int find_run(
	const struct verb *verb, struct log_session *session, const char *words, char ret_run[64])
{
	struct log_filter filter = {.run = words, .since_ns = INT64_MIN};
	struct choice choice = {.run = ""};
	struct log_reading reading = {.verb = verb,
		.place = &session->place,
		.check = &session->check,
		.filter = &filter,
		.sink = choose,
		.data = &choice,
		.quiet = true};
	struct error err = {0};
	int r = log_read(&reading, &err);

	if (choice.other[0]) {
		log_line("%s: more than one run begins with %s: %s, %s", verb->name, words,
			choice.run, choice.other);
		return CLI_BAD_INPUT;
	}
	if (r < 0)
		return verb_failed(verb, &err);
	if (choice.run[0] == '\0') {
		log_line("%s: no run that was recorded begins with %s", verb->name, words);
		return CLI_BAD_INPUT;
	}
	memcpy(ret_run, choice.run, sizeof(choice.run));
	return CLI_GOOD;
}

/* ---- its records ---- */

static int keep(Berm__Wire__Record **place, const struct log_item *item)
{
	berm__wire__record__free_unpacked(*place, NULL);
	*place = berm__wire__record__unpack(
		NULL, item->raw->frame.record_length, item->raw->frame.record);
	return *place ? 0 : -ENOMEM;
}

static int gather(struct trace *t, const struct log_item *item)
{
	switch ((int)item->record->body_case) {
	case BERM__WIRE__RECORD__BODY_RUN_START:
		return keep(&t->start, item);
	case BERM__WIRE__RECORD__BODY_RUN_END:
		return keep(&t->end, item);
	case BERM__WIRE__RECORD__BODY_APPROVAL:
		return keep(&t->approval, item);
	case BERM__WIRE__RECORD__BODY_LOSS:
		t->lost += item->record->loss->count;
		break;
	case BERM__WIRE__RECORD__BODY_EXEC:
		t->execs++;
		break;
	case BERM__WIRE__RECORD__BODY_FILE:
		t->files++;
		break;
	case BERM__WIRE__RECORD__BODY_NETWORK:
		t->networks++;
		break;
	default:
		break;
	}
	return 0;
}

static bool is_activity(const Berm__Wire__Record *record)
{
	return record->body_case == BERM__WIRE__RECORD__BODY_EXEC ||
	       record->body_case == BERM__WIRE__RECORD__BODY_FILE ||
	       record->body_case == BERM__WIRE__RECORD__BODY_NETWORK;
}

static int take(void *data, const struct log_item *item, struct text *out)
{
	struct trace *t = data;
	int r = gather(t, item);

	if (r < 0)
		return r;
	if (!t->begun && t->json)
		trace_json_begin(t, item, out);
	else if (!t->begun)
		trace_words_begin(t, item, out);
	t->begun = true;
	if (is_activity(item->record) && !t->all)
		return 0;
	t->decisions++;
	if (t->json)
		trace_json_item(t, item, out);
	else
		log_show_line(item, t->paint, out);
	return 0;
}

void trace_finish(struct trace *t)
{
	berm__wire__record__free_unpacked(t->start, NULL);
	berm__wire__record__free_unpacked(t->end, NULL);
	berm__wire__record__free_unpacked(t->approval, NULL);
}

static int show_run(const struct verb *verb, const struct trace_options *options,
	struct log_session *session, const char *words)
{
	autotrace struct trace t = {.check = &session->check,
		.json = options->json,
		.all = options->all,
		.paint = paint_wanted(STDOUT_FILENO)};
	struct log_filter filter = {.run = t.run, .since_ns = INT64_MIN};
	struct log_reading reading = {.verb = verb, .filter = &filter, .sink = take, .data = &t};
	autotext struct text out = {0};
	int code = find_run(verb, session, words, t.run);

	if (code != CLI_GOOD)
		return code;
	code = log_session_read(session, &reading);
	if (code > CLI_NO)
		return code;
	if (t.json)
		trace_json_end(&t, &out);
	else
		trace_words_end(&t, &out);
	return verb_print(&out, code);
}

static int log_trace(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct trace_options *options = values;
	autologsession struct log_session session = {0};
	int code;

	if (argc != 1 || argv[0][0] == '\0' || strlen(argv[0]) > RUN_ID_LENGTH)
		return verb_misused(verb, "one run, by the beginning of its id");
	if (!log_session_open(verb, &options->request, false, &session, &code))
		return code == CLI_GOOD ? CLI_BAD_INPUT : code;
	return show_run(verb, options, &session, argv[0]);
}

const struct verb verb_log_trace = {
	.name = "log trace",
	.summary = "Tell one run from its start to its end, as a decision trace",
	.usage = "[OPTIONS] RUN",
	.details =
		"RUN is the beginning of an id. Who asked, profile and plan, what was decided, "
		"what it used, why it\n"
		"ended. Exit: 0 told, 1 the log fails the check, 2 wrong words or no such run, 3 "
		"it cannot be read.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct trace_options)},
	.function = log_trace,
};
