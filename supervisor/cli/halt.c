/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cli/kill.h"
#include "cli/paint.h"
#include "daemon/halt-drain.h"
#include "daemon/halts.h"
#include "daemon/places.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define BY_BYTES 64
#define DRAIN_MS 60000

struct halt_options {
	bool all, lift, json;
	uint64_t drain_ms;
	const char *reason;
	const char *state_dir;
};

static const struct halt_options defaults = {.drain_ms = DRAIN_MS};

/* clang-format off */
static const struct option_spec specs[] = {
	{"all", 0, OPTION_FLAG, offsetof(struct halt_options, all), NULL, NULL,
		"everything of this state directory"},
	{"drain", 0, OPTION_DURATION, offsetof(struct halt_options, drain_ms), "DURATION", NULL,
		"how long runs may take to end by themselves [60s]"},
	{"lift", 0, OPTION_FLAG, offsetof(struct halt_options, lift), NULL, NULL, "let it start again"},
	{"reason", 0, OPTION_TEXT, offsetof(struct halt_options, reason), "TEXT", NULL, "why, for the log"},
	{"json", 0, OPTION_FLAG, offsetof(struct halt_options, json), NULL, NULL, "one JSON object instead of lines"},
	{"state-dir", 0, OPTION_TEXT, offsetof(struct halt_options, state_dir), "DIR", "BERM_STATE_DIR",
		"where halts, evidence and log are kept"},
};
/* clang-format on */

/* One use of the verb. */
struct halting {
	const struct verb *verb;
	const struct halt_options *options;
	const char *state;
	struct halts_by by;
	struct runs_named named;
	size_t told; /* runs left, as last shown */
};

/* ---- what is halted ---- */

static void put_halt(const Berm__Wire__Halt *halt, struct text *out)
{
	time_t seconds = (time_t)(halt->wall_ms / 1000);
	char when[32] = "?";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%SZ", &tm);
	text_printf(out, "%s  since %s by %s%suid %u", halt->words, when, halt->by,
		halt->by[0] ? ", " : "", halt->by_uid);
	if (halt->reason.len) {
		text_puts(out, ": ");
		text_escape(out, (const char *)halt->reason.data, halt->reason.len,
			HALT_REASON_BYTES_MAX);
	}
	text_puts(out, "\n");
}

static void json_halt(const Berm__Wire__Halt *halt, struct json *j)
{
	json_object_begin(j, NULL);
	json_put_string(j, "of", halt->words);
	json_put_u64(j, "since_ms", halt->wall_ms);
	json_put_u64(j, "uid", halt->by_uid);
	json_put_string(j, "by", halt->by[0] ? halt->by : NULL);
	if (halt->reason.len)
		json_put_string_n(j, "reason", (const char *)halt->reason.data, halt->reason.len);
	else
		json_put_null(j, "reason");
	json_object_end(j);
}

static int list(const struct halting *h)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	Berm__Wire__Halt **halts = NULL;
	struct error err = {0};
	size_t count = 0;

	if (halts_list(h->state, &halts, &count, &err) < 0)
		return verb_failed(h->verb, &err);
	if (h->options->json) {
		json_object_begin(&j, NULL);
		json_array_begin(&j, "halted");
		for (size_t i = 0; i < count; i++)
			json_halt(halts[i], &j);
		json_array_end(&j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		for (size_t i = 0; i < count; i++)
			put_halt(halts[i], &out);
		if (count == 0)
			text_puts(&out, "nothing is halted\n");
	}
	halts_free(halts, count);
	return verb_print(&out, CLI_GOOD);
}

/* ---- to halt ---- */

static int lift(struct halting *h)
{
	struct error err = {0};

	/* What loosens is in the log before it is so. */
	if (halts_find(h->state, &h->named, &err) < 0 ||
		halts_record(h->state, "lift", &h->named, &h->by, &err) < 0 ||
		halts_lift(h->state, &h->named, &err) < 0)
		return verb_failed(h->verb, &err);
	return CLI_GOOD;
}

static void show_left(void *context, size_t left)
{
	struct halting *h = context;

	if (left == h->told)
		return;
	h->told = left;
	if (left)
		log_line("halt: %zu %s", left, left == 1 ? "run lasts" : "runs last");
}

static int tell(struct halting *h, bool was_there, const struct kill_report *report)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};
	int code = kill_code(h->verb, &h->named, report);

	if (h->options->json) {
		json_object_begin(&j, NULL);
		json_put_string(&j, "halted", h->named.words);
		json_put_bool(&j, "was_halted", was_there);
		kill_json(report, &j);
		json_object_end(&j);
		text_puts(&out, "\n");
	} else {
		kill_put(report, &out);
	}
	return verb_print(&out, code);
}

static int end_the_rest(struct halting *h, bool was_there)
{
	char by[BY_BYTES];
	const struct kill_request request = {.named = &h->named,
		.all_users = h->named.scope == NAMED_RUN,
		.held = true,
		.begin_ms = h->named.scope == NAMED_RUN ? KILL_BEGIN_MS : HALT_BEGIN_MS,
		.reason = h->by.reason ? h->by.reason : "halted",
		.by = by,
		.state = h->state};
	struct kill_report report = {0};
	struct error err = {0};
	int code;

	snprintf(by, sizeof(by), "uid %u, pid %d", (unsigned)getuid(), (int)getpid());
	/* One that has ended in the meantime is what was wanted. */
	if (kill_runs(&request, &report, &err) < 0 && err.code != -ENOENT)
		code = verb_failed(h->verb, &err);
	else
		code = tell(h, was_there, &report);
	kill_finish(&report);
	return code;
}

static int mark(struct halting *h, bool *ret_was_there)
{
	struct error err = {0};
	int r = halts_set(h->state, &h->named, &h->by, ret_was_there, &err);

	if (r < 0) {
		log_line("halt: %s is NOT halted, and new runs may start: %s", h->named.words,
			err.text);
		return r;
	}
	r = *ret_was_there ? 0 : halts_record(h->state, "halt", &h->named, &h->by, &err);
	if (r < 0)
		log_line("halt: done, but not in the log: %s", err.text);
	return r;
}

static int halt(struct halting *h)
{
	const struct drain drain = {.state = h->state,
		.named = &h->named,
		.until_ms = drain_now_ms() + h->options->drain_ms,
		.each = isatty(STDERR_FILENO) ? show_left : NULL,
		.context = h};
	bool was_there = false, failed = false;
	struct error err = {0};
	size_t left = 0;
	int code;

	/* Whatever of it fails (the disk is full): what runs is ended all the same. */
	if (h->named.scope != NAMED_RUN)
		failed = mark(h, &was_there) < 0;
	/* The directory is there by now; without one nobody knows what belongs to it. */
	if (h->named.scope == NAMED_EVERYTHING)
		h->named.state = run_state_of(h->state);
	if (h->named.scope == NAMED_EVERYTHING && h->named.state.inode == 0) {
		log_line("halt: %s is no state directory that is there, so that nothing can be "
			 "said to belong to it; nothing was ended",
			h->state);
		return CLI_HOST_CANNOT;
	}
	if (drain_wait(&drain, &left, &err) < 0) {
		log_line("halt: who still runs cannot be told, so nobody is waited for: %s",
			err.text);
		failed = true;
	}
	code = end_the_rest(h, was_there);
	return code == CLI_GOOD && failed ? CLI_HOST_CANNOT : code;
}

/* ---- the words ---- */

static int misused(
	const struct verb *verb, const struct halt_options *options, int argc, char **argv)
{
	if (argc + options->all > 1 || (argc == 1 && !argv[0][0]))
		return verb_misused(verb, "one run, agent or group, or --all");
	if (argc + options->all == 0 && (options->lift || options->reason))
		return verb_misused(verb, "one agent or group, or --all");
	if (options->reason && strlen(options->reason) > HALT_REASON_BYTES_MAX)
		return verb_misused(verb, "--reason: at most %d bytes", HALT_REASON_BYTES_MAX);
	return CLI_GOOD;
}

static int act(struct halting *h, int argc, char **argv)
{
	struct error err = {0};

	if (argc == 0 && !h->options->all)
		return list(h);
	if (h->options->all)
		snprintf(h->named.words, sizeof(h->named.words), "everything");
	else if (runs_named_find(h->state, argv[0], &h->named, &err) < 0)
		return verb_failed(h->verb, &err);
	if (h->options->lift && h->named.scope == NAMED_RUN)
		return verb_misused(h->verb, "a run does not start twice: one agent or group, or "
					     "--all");
	return h->options->lift ? lift(h) : halt(h);
}

static int halt_verb(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct halt_options *options = values;
	const struct places_request wanted = {.state_dir = options->state_dir};
	struct halting h = {.verb = verb, .options = options};
	struct places places = {0};
	struct error err = {0};
	struct caller caller;
	int code = misused(verb, options, argc, argv);

	if (code)
		return code;
	caller_identify(&caller);
	h.by = (struct halts_by){caller.uid, caller.name, options->reason};
	if (places_find(&caller, &wanted, &places, &err) < 0) {
		code = verb_failed(verb, &err);
	} else if (!places.state) {
		error_set(&err, -ENOENT, ERROR_INTERNAL,
			"no state directory is known: name it with --state-dir");
		code = verb_failed(verb, &err);
	} else {
		h.state = places.state;
		code = act(&h, argc, argv);
	}
	runs_named_finish(&h.named);
	places_finish(&places);
	return code;
}

const struct verb verb_halt = {
	.name = "halt",
	.summary = "Let nothing new start, let runs end, and kill what is left",
	.usage = "[--drain DURATION] [--reason TEXT] [--json] [--lift] [RUN|AGENT|GROUP|--all]",
	.details =
		"From the first moment on no run of the agent, of the group or, with --all, of "
		"this state directory\n"
		"starts. What runs may end by itself within --drain; then it is killed, as \"berm "
		"kill\" does it. The\n"
		"halt stays, over restarts too, until --lift. Without words: what is halted. A "
		"RUN is waited for\n"
		"and killed. Where an agent and a group have one name, write agent:NAME or "
		"group:NAME.\n"
		"Exit: 0 nothing of it runs, 1 something still does or it was refused, 2 wrong "
		"words, 3 nothing of it\n"
		"runs, and it could not be marked as halted or recorded.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct halt_options),
		.defaults = &defaults},
	.function = halt_verb,
};
