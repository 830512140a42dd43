/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/paint.h"
#include "cli/profile.h"
#include "policy/diff.h"

#include <string.h>

#define KEY_COLUMN_MAX 28
#define VALUE_COLUMN_MAX 44

struct diff_options {
	struct profile_options common;
	const char *fail_on;
};

static const struct option_spec specs[] = {
	PROFILE_OPTION_ROWS(struct diff_options),
	{"fail-on", 0, OPTION_TEXT, offsetof(struct diff_options, fail_on), "wider|any", NULL,
		"exit 1 where something is wider; or where anything is wider or narrower"},
};

/* What --fail-on makes an answer of "no". */
static const struct {
	const char *word;
	enum diff_direction least;
} failures[] = {{"wider", DIFF_WIDER}, {"any", DIFF_NARROWER}};

static const enum paint paints[DIFF_COUNT] = {
	[DIFF_SAME] = PAINT_PLAIN, [DIFF_NARROWER] = PAINT_GOOD, [DIFF_WIDER] = PAINT_BAD};

static void put_place(struct json *j, const char *key, bool there, const struct source *at)
{
	if (!there || !at->file || !at->line) {
		json_put_null(j, key);
		return;
	}
	json_object_begin(j, key);
	json_put_string(j, "file", at->file);
	json_put_u64(j, "line", at->line);
	json_object_end(j);
}

static void put_profile(struct json *j, const char *key, const struct profile *profile)
{
	char hex[2 * sizeof(profile->digest) + 1];

	for (size_t i = 0; i < sizeof(profile->digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", profile->digest[i]);
	json_object_begin(j, key);
	json_put_string(j, "name", profile->name);
	json_put_string(j, "file", profile->file);
	json_put_string(j, "digest", hex);
	json_object_end(j);
}

void profile_diff_json(const struct diff *diff, struct json *j)
{
	json_put_string(j, "direction", diff_direction_name(diff->direction));
	json_array_begin(j, "lines");
	for (size_t i = 0; i < diff->count; i++) {
		const struct diff_line *line = &diff->lines[i];

		json_object_begin(j, NULL);
		json_put_string(j, "direction", diff_direction_name(line->direction));
		json_put_string(j, "key", line->key);
		json_put_string(j, "was", line->was);
		json_put_string(j, "now", line->now);
		put_place(j, "was_at", line->was, &line->was_at);
		put_place(j, "now_at", line->now, &line->now_at);
		json_put_string(j, "example", line->example);
		json_object_end(j);
	}
	json_array_end(j);
	json_array_begin(j, "same");
	for (size_t i = 0; i < diff->same_count; i++)
		json_put_string(j, NULL, diff->same[i]);
	json_array_end(j);
}

static void print_json(const struct session *was, const struct session *now,
	const struct diff *diff, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	put_profile(&j, "was", was->profile);
	put_profile(&j, "now", now->profile);
	profile_diff_json(diff, &j);
	json_object_end(&j);
	text_puts(out, "\n");
}

/* "+ new", "- old" or "old -> new". */
static void put_values(const struct diff_line *line, struct text *out)
{
	if (!line->was && !line->now)
		return;
	if (!line->was || !line->now)
		text_puts(out, line->now ? "+ " : "- ");
	if (line->was)
		profile_put(out, line->was);
	if (line->was && line->now)
		text_puts(out, " -> ");
	if (line->now)
		profile_put(out, line->now);
}

static void put_places(const struct diff_line *line, struct text *out)
{
	if (line->was)
		profile_put_place(out, line->was_at.file, line->was_at.line);
	if (line->was && line->now)
		text_puts(out, " -> ");
	if (line->now)
		profile_put_place(out, line->now_at.file, line->now_at.line);
}

/* Put values at length `to` from a start, blanks between. */
static void pad(struct text *out, size_t start, unsigned width)
{
	size_t used = out->length - start;

	text_printf(out, "%*s", used < width ? (int)(width - used) + 2 : 2, "");
}

static unsigned widest(const struct diff *diff, bool values, unsigned most)
{
	size_t width = 0;

	for (size_t i = 0; i < diff->count; i++) {
		autotext struct text cell = {0};

		if (values)
			put_values(&diff->lines[i], &cell);
		else
			text_puts(&cell, diff->lines[i].key);
		if (cell.length > width)
			width = cell.length;
	}
	return width < most ? (unsigned)width : most;
}

void profile_diff_print(const struct diff *diff, struct text *out)
{
	unsigned key = widest(diff, false, KEY_COLUMN_MAX);
	unsigned value = widest(diff, true, VALUE_COLUMN_MAX);
	bool colour = paint_wanted(STDOUT_FILENO);

	for (size_t i = 0; i < diff->count; i++) {
		const struct diff_line *line = &diff->lines[i];
		size_t start;

		paint_word(out, colour, paints[line->direction],
			diff_direction_name(line->direction), 9);
		start = out->length;
		text_puts(out, line->key);
		pad(out, start, key);
		start = out->length;
		put_values(line, out);
		pad(out, start, value);
		put_places(line, out);
		if (line->example) {
			text_puts(out, line->was || line->now ? "  (" : "(");
			profile_put(out, line->example);
			text_puts(out, ")");
		}
		text_puts(out, "\n");
	}
	paint_word(out, colour, PAINT_PLAIN, diff_direction_name(DIFF_SAME), 9);
	text_printf(out, "%zu section%s\n", diff->same_count, diff->same_count == 1 ? "" : "s");
}

/* The exit code, or -1 for a word that --fail-on does not know. */
static int code_of(const char *fail_on, enum diff_direction direction)
{
	for (size_t i = 0; fail_on && i < array_size(failures); i++) {
		if (strcmp(fail_on, failures[i].word) == 0)
			return direction >= failures[i].least ? CLI_NO : CLI_GOOD;
	}
	return fail_on ? -1 : CLI_GOOD;
}

static int compare(const struct verb *verb, const struct diff_options *options,
	const struct session *was, const struct session *now)
{
	autodiff struct diff *diff = NULL;
	autotext struct text out = {0};
	struct error err = {0};

	if (profile_diff(was->profile, now->profile, &diff, &err) < 0)
		return verb_failed(verb, &err);
	if (options->common.json)
		print_json(was, now, diff, &out);
	else
		profile_diff_print(diff, &out);
	return verb_print(&out, code_of(options->fail_on, diff->direction));
}

static int diff(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct diff_options *options = values;
	struct session_request requests[2];
	autosession struct session was = {0}, now = {0};
	struct session *sessions[] = {&was, &now};
	struct error err = {0};

	if (argc != 2)
		return verb_misused(verb, "wants two profiles, the old one first");
	if (code_of(options->fail_on, DIFF_SAME) < 0)
		return verb_misused(
			verb, "--fail-on is wider or any, not \"%s\"", options->fail_on);
	for (size_t i = 0; i < array_size(sessions); i++) {
		requests[i] = profile_request_of(&options->common, argv[i]);
		requests[i].for_comparing = true;
		if (session_load(&requests[i], sessions[i], &err) < 0)
			return profile_report_failure(verb, sessions[i], &err);
	}
	return compare(verb, options, &was, &now);
}

const struct verb verb_profile_diff = {
	.name = "profile diff",
	.summary = "Tell what a profile allows more or less than another one",
	.usage = "[OPTIONS] OLD NEW",
	.details =
		"One line a change: WIDER allows more, NARROWER allows less, SAME is written "
		"differently and means\n"
		"the same. Compared is what is in force after extends, remove and variables, and "
		"not the text; the\n"
		"site's ceiling is left out, --ceiling counts. What cannot be compared is WIDER. "
		"Exit: 0, or 1 as\n"
		"--fail-on says; 2 wrong words or profile.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct diff_options)},
	.function = diff,
};
