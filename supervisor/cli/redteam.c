/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/redteam.h"

#include "base/log.h"
#include "cli/verb.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define US_OF_MS 1000

struct redteam_options {
	bool json, list;
	struct word_list only;
	const char *directory, *berm;
};

static const struct redteam_options defaults = {.directory = "/var/tmp"};

/* clang-format off */
static const struct option_spec specs[] = {
	{"only", 0, OPTION_COMMA_WORDS, offsetof(struct redteam_options, only), "RT-NN,…", NULL,
		"only these scenarios"},
	{"list", 0, OPTION_FLAG, offsetof(struct redteam_options, list), NULL, NULL, "say what each does, and do nothing"},
	{"json", 0, OPTION_FLAG, offsetof(struct redteam_options, json), NULL, NULL, "one JSON object instead of lines"},
	{"directory", 0, OPTION_TEXT, offsetof(struct redteam_options, directory), "DIR", NULL,
		"where the suite makes a directory of its own [/var/tmp]"},
	{"berm", 0, OPTION_TEXT, offsetof(struct redteam_options, berm), "PROGRAM", NULL,
		"the berm that is attacked [this one]"},

};
/* clang-format on */

/* What came of all of them. */
struct tally {
	unsigned counts[REDTEAM_VERDICTS];
	unsigned transitions, in_time;
};

static void put_when(struct json *j, char date[32])
{
	time_t now = time(NULL);
	struct utsname host = {0};
	struct tm tm;

	strcpy(date, "?");
	if (gmtime_r(&now, &tm))
		strftime(date, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	uname(&host);
	json_put_string(j, "date", date);
	json_put_string(j, "host", host.nodename);
	json_put_string(j, "kernel", host.release);
	json_put_u64(j, "tester_uid", getuid());
	json_put_string(j, "version", BERM_VERSION);
}

static void put_us(struct json *j, const char *key, uint64_t us)
{
	if (us == REDTEAM_NEVER)
		json_put_null(j, key);
	else
		json_put_u64(j, key, us);
}

static void put_percent(struct json *j, unsigned transitions, unsigned in_time)
{
	if (transitions)
		json_put_u64(j, "pace_readiness_percent", 100ULL * in_time / transitions);
	else
		json_put_null(j, "pace_readiness_percent");
}

static void json_result(
	struct json *j, const struct scenario *scenario, const struct redteam_result *result)
{
	json_object_begin(j, NULL);
	json_put_string(j, "scenario", scenario->id);
	json_put_string(j, "title", scenario->title);
	json_put_string(j, "expected", scenario->expected);
	json_put_string(j, "result", redteam_verdict_name(result->verdict));
	json_put_string(j, "happened", text_string(&result->happened));
	put_us(j, "time_to_detect_us", result->detect_us);
	put_us(j, "time_to_contain_us", result->contain_us);
	json_put_u64(j, "attempts", result->attempts);
	json_put_u64(j, "effects", result->effects);
	json_put_u64(j, "control_effects", result->controls);
	json_put_u64(j, "transitions", result->transitions);
	put_percent(j, result->transitions, result->in_time);
	json_put_string(j,
		result->verdict == REDTEAM_PASSED ? "controls_verified" : "controls_aimed_at",
		scenario->verified);
	json_put_u64(j, "took_us", result->took_us);
	json_object_end(j);
}

static void put_time(struct text *out, const char *words, uint64_t us)
{
	if (us == REDTEAM_NEVER)
		return;
	text_printf(out, "  %s %.1f ms", words, (double)us / US_OF_MS);
}

/* The same as the JSON has, for people. */
static void put_result(
	struct text *out, const struct scenario *scenario, const struct redteam_result *result)
{
	const char *line = text_string(&result->happened);

	text_printf(out, "%s  %-10s  %s\n", scenario->id, redteam_verdict_name(result->verdict),
		scenario->title);
	text_printf(out, "       expected    %s\n", scenario->expected);
	for (bool first = true; *line; first = false) {
		size_t length = strcspn(line, "\n");

		text_printf(
			out, "       %-10s  %.*s\n", first ? "happened" : "", (int)length, line);
		line += length + (line[length] == '\n');
	}
	text_puts(out, "       measured  ");
	put_time(out, "detected after", result->detect_us);
	if (result->contain_us == 0)
		text_puts(out, "  nothing to contain");
	else
		put_time(out, "contained after", result->contain_us);

	if (result->transitions)
		text_printf(out, "  PACE readiness %u of %u transitions", result->in_time,
			result->transitions);
	text_printf(out, "  took %.1f s\n", (double)result->took_us / 1e6);
	text_printf(out, "       %-10s  %s\n\n",
		result->verdict == REDTEAM_PASSED ? "controls" : "aimed at", scenario->verified);
}

static bool is_wanted(const struct redteam_options *options, const struct scenario *scenario)
{
	bool wanted = options->only.count == 0;

	for (size_t i = 0; i < options->only.count; i++)
		wanted |= scenario_find(options->only.items[i]) == scenario;
	return wanted;
}

static int misused(
	const struct verb *verb, const struct redteam_options *options, int argc, char **argv)
{
	if (argc > 0)
		return verb_misused(verb, "takes no words: %s", argv[0]);
	for (size_t i = 0; i < options->only.count; i++)
		if (!scenario_find(options->only.items[i]))
			return verb_misused(verb,
				"there is no scenario %s; \"berm redteam --list\"",
				options->only.items[i]);
	return CLI_GOOD;
}

static int list(const struct redteam_options *options)
{
	autotext struct text out = {0};
	struct json j = {.out = &out};

	if (options->json)
		json_array_begin(&j, NULL);
	for (size_t i = 0; i < scenario_count; i++) {
		const struct scenario *s = scenarios[i];

		if (!is_wanted(options, s))
			continue;
		if (!options->json) {
			text_printf(&out, "%s  %s\n       does      %s\n       expected  %s\n",
				s->id, s->title, s->does, s->expected);
			continue;
		}
		json_object_begin(&j, NULL);
		json_put_string(&j, "scenario", s->id);
		json_put_string(&j, "title", s->title);
		json_put_string(&j, "does", s->does);
		json_put_string(&j, "expected", s->expected);
		json_put_string(&j, "controls_aimed_at", s->verified);
		json_object_end(&j);
	}
	if (options->json) {
		json_array_end(&j);
		text_puts(&out, "\n");
	}
	return verb_print(&out, CLI_GOOD);
}

static int finish(const struct redteam_options *options, struct json *j, const struct tally *tally)
{
	struct text *out = j->out;
	int code = tally->counts[REDTEAM_FAILED] ? CLI_NO : CLI_GOOD;

	/* Nothing was shown where nothing could be tried. */
	if (code == CLI_GOOD && !tally->counts[REDTEAM_PASSED])
		code = CLI_HOST_CANNOT;
	if (options->json) {
		json_array_end(j);
		json_put_u64(j, "passed", tally->counts[REDTEAM_PASSED]);
		json_put_u64(j, "failed", tally->counts[REDTEAM_FAILED]);
		json_put_u64(j, "not_tested", tally->counts[REDTEAM_UNTESTED]);
		put_percent(j, tally->transitions, tally->in_time);
		json_object_end(j);
		text_puts(out, "\n");
	} else {
		text_printf(out, "%u passed, %u failed, %u not tested\n",
			tally->counts[REDTEAM_PASSED], tally->counts[REDTEAM_FAILED],
			tally->counts[REDTEAM_UNTESTED]);
	}
	return verb_print(out, code);
}

/* One after the other; people see each as soon as it is known. */
static int play(const struct verb *verb, const struct redteam_options *options)
{
	const struct redteam_request request = {
		.directory = options->directory, .berm = options->berm};
	autotext struct text out = {0};
	struct json j = {.out = &out};
	struct tally tally = {0};
	char date[32];

	if (options->json) {
		json_object_begin(&j, NULL);
		put_when(&j, date);
		json_array_begin(&j, "results");
	}
	for (size_t i = 0; i < scenario_count && !redteam_is_interrupted(); i++) {
		struct redteam_result result = {0};
		struct error err = {0};
		int r;

		if (!is_wanted(options, scenarios[i]))
			continue;
		r = redteam_play(scenarios[i], &request, &result, &err);
		if (r < 0) {
			redteam_finish(&result);
			return verb_failed(verb, &err);
		}
		tally.counts[result.verdict]++;
		tally.transitions += result.transitions;
		tally.in_time += result.in_time;
		if (options->json)
			json_result(&j, scenarios[i], &result);
		else
			put_result(&out, scenarios[i], &result);
		redteam_finish(&result);
		if (!options->json && verb_print(&out, CLI_GOOD) == CLI_GOOD)
			out.length = 0;
	}
	return finish(options, &j, &tally);
}

static int redteam(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct redteam_options *options = values;
	int code = misused(verb, options, argc, argv);

	if (code != CLI_GOOD)
		return code;
	if (options->list)
		return list(options);
	redteam_watch_signals();
	return play(verb, options);
}

static int redteam_act(const struct verb *verb, const void *values, int argc, char **argv)
{
	int code = act_main(argc, argv);

	(void)values;
	return code == CLI_BAD_INPUT
		       ? verb_misused(verb, "no such act, or other words than it takes")
		       : code;
}

static const struct verb verb_redteam_act = {
	.name = "redteam act",
	.summary = "Be the compromised tool of a scenario",
	.usage = "ACT WORDS...",
	.details =
		"What the suite runs behind berm's walls, and without them as a control. It harms "
		"what its words\nname and nothing else; nobody needs it by hand.",
	.options = {.command_follows = true},
	.function = redteam_act,
};

static const struct verb *const children[] = {&verb_redteam_act, NULL};

const struct verb verb_redteam = {
	.name = "redteam",
	.summary = "Attack this host's berm as MASO's red team does",
	.usage = "[--only RT-NN,...] [--list] [--json] [--directory DIR] [--berm PROGRAM]",
	.details =
		"Plays scenarios of MASO's red team with real runs of berm, in a state directory "
		"with agents and\ngroups of its own, which are removed afterwards; yours are not "
		"touched. Each has a control: the same\nattack without berm must have its effect, "
		"else the scenario is \"not tested\", and why. docs/redteam.md\ntells what each "
		"shows and what it does not.\n"
		"Exit: 0 none failed, 1 one failed, 2 wrong words, 3 this host cannot.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct redteam_options),
		.defaults = &defaults},
	.function = redteam,
	.children = children,
};
