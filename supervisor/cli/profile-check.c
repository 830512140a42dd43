/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "cli/profile.h"
#include "daemon/status.h"
#include "policy/run-tests.h"

#include <string.h>

struct check_options {
	struct profile_options common;
	struct word_list allow_degraded;
};

static const struct option_spec specs[] = {
	PROFILE_OPTION_ROWS(struct check_options),
	{"allow-degraded", 0, OPTION_COMMA_WORDS, offsetof(struct check_options, allow_degraded),
		"FEATURE,...", "BERM_ALLOW_DEGRADED",
		"as for run: features that this host may lack"},
};

/* Append each line of a text as one string of the JSON array that is open. */
static void put_lines(struct json *j, const char *lines)
{
	while (*lines) {
		size_t length = strcspn(lines, "\n");

		if (length)
			json_put_string_n(j, NULL, lines, length);
		lines += length + (lines[length] == '\n');
	}
}

/* Append the notes, each marked as one behind its place ("file:line:column: "); returns how many
 * there are. */
static unsigned put_notes(const char *lines, struct text *out)
{
	unsigned count = 0;

	while (*lines) {
		size_t length = strcspn(lines, "\n");
		const char *text = memmem(lines, length, ": ", 2);
		bool placed = text && text > lines && text[-1] >= '0' && text[-1] <= '9';

		text = placed ? text + 2 : lines;
		text_append(out, lines, (size_t)(text - lines));
		text_puts(out, "note: ");
		text_append(out, text, length - (size_t)(text - lines));
		text_puts(out, "\n");
		lines += length + (lines[length] == '\n');
		count++;
	}
	return count;
}

/* What the profile's own tests gave; ran is false where the profile could not be read. */
struct tests_result {
	bool ran;
	struct tests_summary summary;
	struct text failures;
};

static void put_tests(const struct tests_result *tests, struct json *j)
{
	if (!tests->ran) {
		json_put_null(j, "tests");
		return;
	}
	json_object_begin(j, "tests");
	json_put_u64(j, "passed", tests->summary.passed);
	json_put_u64(j, "failed", tests->summary.failed);
	json_put_u64(j, "skipped", tests->summary.skipped);
	json_array_begin(j, "failures");
	put_lines(j, text_string(&tests->failures));
	json_array_end(j);
	json_object_end(j);
}

static void print_json(const struct session *session, const struct tests_result *tests,
	const struct error *err, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "profile", session->profile ? session->profile->name : NULL);
	json_put_bool(&j, "ok", err->code == 0 && tests->summary.failed == 0);
	json_put_string(&j, "error", err->code ? err->text : NULL);
	json_array_begin(&j, "diagnostics");
	put_lines(&j, text_string(&session->diagnostics));
	json_array_end(&j);
	json_array_begin(&j, "notes");
	put_lines(&j, text_string(&session->notes));
	json_array_end(&j);
	put_tests(tests, &j);
	status_enforcement(session->plan, &j);
	json_object_end(&j);
	text_puts(out, "\n");
}

/* Rules that hold less here than their words say, for which the plan has no note of its own. */
static void note_weaker(const struct session *session, struct text *notes)
{
	const Berm__Wire__Plan *plan = session->plan;

	for (size_t i = 0; i < plan->n_rules; i++) {
		const Berm__Wire__Rule *rule = plan->rules[i];
		autotext struct text place = {0};

		if (!strstr(rule->enforced_by, "weaker") || !rule->file[0])
			continue;
		profile_put_place(&place, rule->file, rule->line);
		text_puts(&place, ":");
		if (strstr(text_string(notes), text_string(&place)))
			continue;
		text_printf(notes, "%s%u: %s ", text_string(&place), rule->column, rule->key);
		profile_put(notes, rule->value);
		text_printf(notes, ": here by %s\n", rule->enforced_by);
	}
}

static void print_tests(const struct tests_result *tests, struct text *out)
{
	const struct tests_summary *sum = &tests->summary;

	text_puts(out, text_string(&tests->failures));
	if (sum->passed + sum->failed + sum->skipped == 0)
		return;
	text_printf(out, "%u tests, %u passed, %u failed", sum->passed + sum->failed + sum->skipped,
		sum->passed, sum->failed);
	if (sum->skipped)
		text_printf(out, ", %u skipped", sum->skipped);
	text_puts(out, "\n");
}

/* What ends a run: its caps and what moves it into another state, and by what that holds here. */
static void put_ends(const Berm__Wire__Plan *plan, struct text *out)
{
	for (size_t i = 0; i < plan->n_rules; i++) {
		const Berm__Wire__Rule *rule = plan->rules[i];

		if (strncmp(rule->key, "blast_radius.", 13) != 0 &&
			strncmp(rule->key, "pace.", 5) != 0)
			continue;
		text_printf(out, "%s ", rule->key);
		profile_put(out, rule->value);
		text_puts(out, ": by ");
		profile_put(out, rule->enforced_by);
		text_puts(out, "\n");
	}
}

static void print_good(
	const struct session *session, const struct tests_result *tests, struct text *out)
{
	const struct profile *profile = session->profile;
	unsigned notes;

	text_append(out, text_string(&session->diagnostics), session->diagnostics.length);
	notes = put_notes(text_string(&session->notes), out);
	put_ends(session->plan, out);
	print_tests(tests, out);
	text_printf(out, "%s: %s (%zu rules, %u note%s)\n", tests->summary.failed ? "bad" : "ok",
		profile->name, session->plan->n_rules, notes, notes == 1 ? "" : "s");
}

static int check(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct check_options *options = values;
	struct session_request request;
	autosession struct session session = {0};
	struct tests_result tests = {0};
	autotext struct text out = {0};
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, argc ? "one profile at a time" : "which profile?");
	request = profile_request_of(&options->common, argv[0]);
	request.allow_degraded = options->allow_degraded.items;
	r = session_load(&request, &session, &err);
	if (r == 0) {
		tests.ran = true;
		profile_run_tests(session.profile, &tests.summary, &tests.failures);
		r = session_check(&session, &err);
	}
	if (r == 0)
		r = session_compile(&session, &err);
	if (r == 0)
		note_weaker(&session, &session.notes);
	if (options->common.json)
		print_json(&session, &tests, &err, &out);
	else if (r == 0)
		print_good(&session, &tests, &out);
	out.failed |= tests.failures.failed;
	text_finish(&tests.failures);
	if (r < 0 && !options->common.json)
		return profile_report_failure(verb, &session, &err);
	if (r < 0)
		return verb_print(&out, verb_failed(verb, &err));
	return verb_print(&out, tests.summary.failed ? CLI_NO : CLI_GOOD);
}

const struct verb verb_profile_check = {
	.name = "profile check",
	.summary = "Check a profile against the language and this host",
	.usage = "[OPTIONS] PROFILE",
	.details =
		"Says what is wrong with file, line and column, what is weaker on this host "
		"than its words, whether its\n"
		"own tests hold, and whether a run could start. Exit: 0 it could, 1 a test fails, "
		"2 the profile is\n"
		"wrong, 3 this host or this build cannot.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct check_options)},
	.function = check,
};
