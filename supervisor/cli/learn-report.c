/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/learn.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_LINES_MAX 40
#define PATH_COLUMN 44

static void put_look(const struct learn_told *told, size_t i, struct text *out)
{
	const struct learn_observation *seen = &told->learn->items[i];
	struct verdict verdict;

	decide(told->world->walls, seen->operation, seen->object, &verdict);
	text_printf(out, "  %s ", operation_name(seen->operation));
	profile_put(out, seen->object);
	text_printf(out, "  %u/%u runs, %" PRIu64 " time%s: %s", learn_run_count(seen->runs),
		told->learn->runs, seen->count, seen->count == 1 ? "" : "s",
		learn_class_words(told->proposal->classes[i]));
	if (strcmp(verdict.rule, "malformed") != 0)
		text_printf(out, " (%s)", verdict.rule);
	text_puts(out, "  <- look at this\n");
}

static void put_looks(const struct learn_told *told, struct text *out)
{
	const struct learn *learn = told->learn;
	size_t count = 0, shown = 0;

	for (size_t i = 0; i < learn->count; i++)
		count += learn_to_look_at(told->proposal->classes[i]);
	if (count)
		text_puts(out, "not proposed:\n");
	for (size_t i = 0; i < learn->count && shown < LOOK_LINES_MAX; i++) {
		if (!learn_to_look_at(told->proposal->classes[i]))
			continue;
		put_look(told, i, out);
		shown++;
	}
	if (count > shown)
		text_printf(out, "  and %zu more, in %s\n", count - shown, told->observations);
}

static void put_line(const struct learn_told *told, const struct learn_line *line, struct text *out)
{
	size_t start;

	text_printf(out, "  %-10s  ", line->key);
	start = out->length;
	learn_put_path(out, line->path, told->world->workdir);
	text_printf(out, "%*s",
		out->length - start < PATH_COLUMN ? (int)(PATH_COLUMN - (out->length - start)) : 0,
		"");
	if (line->names)
		text_printf(out, "  %u/%u runs  %zu name%s%s", learn_run_count(line->runs),
			told->learn->runs, line->names, line->names == 1 ? "" : "s",
			learn_run_count(line->runs) < told->learn->runs ? "  (low coverage)" : "");
	text_printf(out, "  %s: %s\n", line->rule, line->reason);
}

static void put_lines(const struct learn_told *told, struct text *out)
{
	const struct learn_proposal *proposal = told->proposal;
	size_t doors = 0;

	if (proposal->count)
		text_puts(out, "proposed (nothing is granted until somebody uses it):\n");
	for (size_t i = 0; i < proposal->count; i++) {
		if (strcmp(proposal->lines[i].key, "fs.protect") == 0)
			doors++;
		else
			put_line(told, &proposal->lines[i], out);
	}
	if (doors)
		text_printf(out,
			"  fs.protect  %zu names of the work tree that programs outside the run "
			"execute or obey\n",
			doors);
}

static void put_caps(const struct learn_told *told, struct text *out)
{
	char peak[32], value[32];

	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (!told->proposal->caps[cap].known)
			continue;
		text_printf(out, "  %s %s -> %s\n", learn_cap_name(cap),
			learn_cap_words(cap, told->learn->peaks[cap].value, peak, sizeof(peak)),
			learn_cap_words(
				cap, told->proposal->caps[cap].value, value, sizeof(value)));
	}
}

/* What a reviewer has to agree to; wider lines come first. */
static void put_wider(const struct learn_told *told, struct text *out)
{
	struct diff wider = *told->diff;

	for (wider.count = 0; wider.count < told->diff->count; wider.count++) {
		if (wider.lines[wider.count].direction != DIFF_WIDER)
			break;
	}
	text_printf(out, "against %s:\n", told->options->base);
	profile_diff_print(&wider, out);
}

void learn_report(const struct learn_told *told, struct text *out)
{
	const struct learn *learn = told->learn;

	put_lines(told, out);
	put_looks(told, out);
	text_puts(out, "caps, the most that a run needed -> two and a half times that:\n");
	put_caps(told, out);
	put_wider(told, out);
	if (learn->lost)
		text_printf(out, "%" PRIu64 " observations found no room: something is missing\n",
			learn->lost);
	if (learn->failed)
		text_printf(out, "the command failed in %u of %u runs: something may be missing\n",
			learn_run_count(learn->failed), learn->runs);
	text_printf(out, "checked: the model answers as it should to %zu of %zu observations\n",
		learn->count - told->wrong, learn->count);
	if (told->verified >= 0)
		text_printf(out, "verified: under the proposal the command gave exit %d\n",
			told->verified);
}

/* ---- JSON ---- */

static void put_lines_json(const struct learn_told *told, struct json *j)
{
	json_array_begin(j, "proposed");
	for (size_t i = 0; i < told->proposal->count; i++) {
		const struct learn_line *line = &told->proposal->lines[i];

		json_object_begin(j, NULL);
		json_put_string(j, "key", line->key);
		json_put_string(j, "path", line->path);
		json_put_string(j, "rule", line->rule);
		json_put_string(j, "reason", line->reason);
		json_put_u64(j, "runs", learn_run_count(line->runs));
		json_put_u64(j, "names", line->names);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_looks_json(const struct learn_told *told, struct json *j)
{
	json_array_begin(j, "not_proposed");
	for (size_t i = 0; i < told->learn->count; i++) {
		const struct learn_observation *seen = &told->learn->items[i];
		struct verdict verdict;

		if (!learn_to_look_at(told->proposal->classes[i]))
			continue;
		decide(told->world->walls, seen->operation, seen->object, &verdict);
		json_object_begin(j, NULL);
		json_put_string(j, "operation", operation_name(seen->operation));
		json_put_string(j, "object", seen->object);
		json_put_string(j, "why", learn_class_words(told->proposal->classes[i]));
		json_put_string(j, "rule", verdict.rule);
		json_put_u64(j, "runs", learn_run_count(seen->runs));
		json_put_u64(j, "count", seen->count);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_caps_json(const struct learn_told *told, struct json *j)
{
	json_array_begin(j, "caps");
	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		if (!told->proposal->caps[cap].known)
			continue;
		json_object_begin(j, NULL);
		json_put_string(j, "key", learn_cap_name(cap));
		json_put_u64(j, "peak", told->learn->peaks[cap].value);
		json_put_u64(j, "proposed", told->proposal->caps[cap].value);
		json_object_end(j);
	}
	json_array_end(j);
}

void learn_report_json(const struct learn_told *told, struct text *out)
{
	struct json j = {.out = out};

	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "profile", told->options->out);
	json_put_string(&j, "observations", told->observations);
	json_put_u64(&j, "runs", told->learn->runs);
	json_put_u64(&j, "failed", learn_run_count(told->learn->failed));
	json_put_u64(&j, "lost", told->learn->lost);
	put_lines_json(told, &j);
	put_looks_json(told, &j);
	put_caps_json(told, &j);
	json_object_begin(&j, "diff");
	profile_diff_json(told->diff, &j);
	json_object_end(&j);
	json_put_u64(&j, "checked", told->learn->count);
	json_put_u64(&j, "wrong", told->wrong);
	if (told->verified >= 0)
		json_put_u64(&j, "verified", (uint64_t)told->verified);
	else
		json_put_null(&j, "verified");
	json_object_end(&j);
	text_puts(out, "\n");
}
