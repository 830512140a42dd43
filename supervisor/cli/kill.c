/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/kill.h"

#include "base/log.h"
#include "daemon/hold.h"
#include "daemon/places.h"
#include "wire/held.h"

#include <string.h>
#include <unistd.h>

#define REASON_BYTES_MAX 200
#define BY_BYTES 64

struct kill_options {
	bool all, json;
	const char *reason;
	const char *state_dir;
};

/* clang-format off */
static const struct option_spec specs[] = {
	{"all", 0, OPTION_FLAG, offsetof(struct kill_options, all), NULL, NULL,
		"every run of yours; as root every run on this host"},
	{"reason", 0, OPTION_TEXT, offsetof(struct kill_options, reason), "TEXT", NULL, "why, for the log"},
	{"json", 0, OPTION_FLAG, offsetof(struct kill_options, json), NULL, NULL, "one JSON object instead of lines"},
	{"state-dir", 0, OPTION_TEXT, offsetof(struct kill_options, state_dir), "DIR", "BERM_STATE_DIR",
		"where evidence and log are kept"},
};
/* clang-format on */

static uint64_t after_us(const struct kill_report *report, uint64_t when_ns)
{
	return (when_ns - report->asked_ns) / 1000;
}

void kill_json(const struct kill_report *report, struct json *j)
{
	json_array_begin(j, "killed");
	for (size_t i = 0; i < report->count; i++) {
		const struct killed *run = &report->runs[i];

		json_object_begin(j, NULL);
		json_put_string(j, "run", run->run_id);
		json_put_u64(j, "uid", run->uid);
		json_put_bool(j, "gone", run->gone_ns != 0);
		if (run->frozen_ns)
			json_put_u64(j, "frozen_after_us", after_us(report, run->frozen_ns));
		else
			json_put_null(j, "frozen_after_us");
		if (run->gone_ns)
			json_put_u64(j, "gone_after_us", after_us(report, run->gone_ns));
		else
			json_put_null(j, "gone_after_us");
		json_put_u64(j, "processes", run->evidence.processes);
		json_put_string(j, "evidence", run->evidence.name[0] ? run->evidence.name : NULL);
		json_put_string(j, "error", run->error.code ? run->error.text : NULL);
		json_object_end(j);
	}
	json_array_end(j);
	json_array_begin(j, "withdrawn");
	for (size_t i = 0; i < report->withdrawn.count; i++) {
		const struct withdrawn *held = &report->withdrawn.items[i];

		json_object_begin(j, NULL);
		json_put_string(j, "run", held->on == HELD_COMMIT ? NULL : held->run);
		json_put_string(j, "approval", held->id);
		json_put_string(j, "on", hold_moment(held->on));
		json_object_end(j);
	}
	json_array_end(j);
	json_put_string(
		j, "not_withdrawn", report->not_withdrawn.code ? report->not_withdrawn.text : NULL);
	json_put_u64(j, "asked_boot_ns", report->asked_ns);
	json_put_u64(j, "t_boot_ns", kill_report_t(report));
	json_put_u64(j, "unfound", report->unfound);
	json_put_bool(j, "more", report->more);
	json_put_bool(j, "recorded", report->not_recorded.code == 0);
	json_put_string(
		j, "not_recorded", report->not_recorded.code ? report->not_recorded.text : NULL);
	json_put_u64(j, "took_us", report->took_ns / 1000);
}

void kill_put(const struct kill_report *report, struct text *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct killed *run = &report->runs[i];

		text_puts(out, run->run_id);
		if (run->gone_ns) {
			text_printf(out, "  gone after %.1f ms, %u processes",
				(double)after_us(report, run->gone_ns) / 1000,
				run->evidence.processes);
			if (run->evidence.name[0])
				text_printf(out, ", evidence/%s", run->evidence.name);
		} else {
			text_puts(out, "  NOT gone: ");
			text_puts(out, run->error.text);
		}
		text_puts(out, "\n");
	}
	for (size_t i = 0; i < report->withdrawn.count; i++) {
		const struct withdrawn *held = &report->withdrawn.items[i];

		text_printf(out, "%s  held at %s, approval %s: withdrawn\n",
			held->on == HELD_COMMIT ? "a commit" : held->run, hold_moment(held->on),
			held->id);
	}
}

int kill_code(
	const struct verb *verb, const struct runs_named *named, const struct kill_report *report)
{
	int code = report->more ? CLI_NO : CLI_GOOD;

	for (size_t i = 0; i < report->count; i++)
		if (report->runs[i].gone_ns == 0)
			code = CLI_NO;
	if (named->unsure.code) {
		log_line("%s: there may be more runs of %s: %s", verb->name, named->words,
			named->unsure.text);
		code = CLI_NO;
	}
	if (report->unfound) {
		log_line("%s: %u %s or cannot be found", verb->name, report->unfound,
			report->unfound == 1 ? "run begins" : "runs begin");
		code = CLI_NO;
	}
	if (report->more)
		log_line("%s: there are more runs than are looked at at once (%d, %d of another "
			 "user): once more, please",
			verb->name, KILL_RUNS_MAX, RUNS_FOREIGN_MAX);
	if (report->not_withdrawn.code) {
		log_line("%s: something may be held still, and a yes would let it start (\"berm "
			 "approvals\"): %s",
			verb->name, report->not_withdrawn.text);
		code = CLI_NO;
	}
	if (report->not_recorded.code) {
		log_line("%s: done, but not in the log: %s", verb->name, report->not_recorded.text);
		code = code == CLI_GOOD ? CLI_HOST_CANNOT : code;
	}
	return code;
}

static int tell(const struct verb *verb, const struct kill_options *options,
	const struct runs_named *named, const struct kill_report *report)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	int code = kill_code(verb, named, report);

	if (options->json) {
		json_object_begin(&j, NULL);
		kill_json(report, &j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		kill_put(report, &out);
		if (report->count == 0 && report->unfound == 0 && report->withdrawn.count == 0)
			text_puts(&out, "no run lasts here\n");
	}
	return verb_print(&out, code);
}

static int misused(
	const struct verb *verb, const struct kill_options *options, int argc, char **argv)
{
	if (argc != (options->all ? 0 : 1) || (argc == 1 && !argv[0][0]))
		return verb_misused(verb,
			"one run, by the beginning of its id, one agent or group, "
			"or --all");
	if (options->reason && strlen(options->reason) > REASON_BYTES_MAX)
		return verb_misused(verb, "--reason: at most %d bytes", REASON_BYTES_MAX);
	return CLI_GOOD;
}

static int kill_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct kill_options *options = values;
	const struct places_request wanted = {.state_dir = options->state_dir};
	autonamed struct runs_named named = {.scope = NAMED_EVERYTHING};
	char by[BY_BYTES];
	struct kill_request request = {.named = &named,
		.all_users = true,
		.held = true,
		.begin_ms = KILL_BEGIN_MS,
		.reason = options->reason,
		.by = by};
	struct kill_report report = {0};
	struct error err = {0}, no_state = {0};
	struct places places = {0};
	struct caller caller;
	int code = misused(verb, options, argc, argv), r, usual;

	if (code)
		return code;
	usual = kill_go_first();
	caller_identify(&caller);
	snprintf(by, sizeof(by), "uid %u, pid %d", (unsigned)getuid(), (int)getpid());
	/* Where nothing can be kept the runs are killed all the same. */
	if (places_find(&caller, &wanted, &places, &no_state) == 0)
		request.state = places.state;
	r = argc ? runs_named_find(request.state, argv[0], &named, &err) : 0;
	request.keep_later = true;
	if (r == 0)
		r = kill_runs(&request, &report, &err);
	kill_go_as_before(usual);
	if (request.state && report.count)
		kill_keep(&request, &report);
	if (r == 0 && !request.state && report.count)
		error_set(&report.not_recorded, -ENOENT, ERROR_INTERNAL, "%s",
			no_state.code ? no_state.text
				      : "no state directory: name it with --state-dir");
	code = r < 0 ? verb_failed(verb, &err) : tell(verb, options, &named, &report);
	kill_finish(&report);
	places_finish(&places);
	return code;
}

const struct verb verb_kill = {
	.name = "kill",
	.summary = "Stop, look at and end runs, at once",
	.usage = "[--reason TEXT] [--json] RUN|AGENT|GROUP|--all",
	.details =
		"Asks nobody: it works while the run's own berm is stopped, hangs or is flooded. "
		"Every process of the\n"
		"run is stopped, what they were and had open is kept in evidence/ of the state "
		"directory, and they are\n"
		"killed; the log has who, why and when the last one was gone. RUN is the beginning "
		"of an id of yours;\n"
		"root kills anybody's. AGENT and GROUP stand for their runs; where one name is of "
		"both, write\n"
		"agent:NAME or group:NAME. What of them is held for an approval is withdrawn: a "
		"yes after that starts\n"
		"nothing. New ones may start: \"berm halt\" keeps them from it.\n"
		"Exit: 0 all are gone, 1 some are not or cannot be found, 2 wrong words or no such "
		"run, 3 all are\n"
		"gone, and it could not be recorded.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct kill_options)},
	.function = kill_verb,
};
