/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "cli/profile.h"

#include <string.h>

#define KEY_COLUMN_MAX 32
#define VALUE_COLUMN_MAX 48
#define PLACE_COLUMN_MAX 48
#define GAP 2 /* spaces between columns, at least */

struct show_options {
	struct profile_options common;
	bool effective;
	bool origin;
	bool plan;
};

static const struct option_spec specs[] = {
	PROFILE_OPTION_ROWS(struct show_options),
	{"effective", 0, OPTION_FLAG, offsetof(struct show_options, effective), NULL, NULL,
		"what is in force after extends, remove, variables and ceilings (the default)"},
	{"origin", 0, OPTION_FLAG, offsetof(struct show_options, origin), NULL, NULL,
		"file and line of each rule, and by what this host enforces it"},
	{"plan", 0, OPTION_FLAG, offsetof(struct show_options, plan), NULL, NULL,
		"the compiled plan step by step, and its digest"},
};

/* One line of the listing, as text. Owned. */
struct row {
	struct text key, value, place, by, reason;
};

struct listing {
	struct row *rows;
	size_t count;
};

static void finish_listing(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++) {
		text_finish(&listing->rows[i].key);
		text_finish(&listing->rows[i].value);
		text_finish(&listing->rows[i].place);
		text_finish(&listing->rows[i].by);
		text_finish(&listing->rows[i].reason);
	}
	own_free(&listing->rows);
}

static int fill_listing(const struct session *session, struct listing *listing, struct error *err)
{
	const Berm__Wire__Plan *plan = session->plan;
	const struct profile *profile = session->profile;
	struct row *row;

	listing->rows = calloc(plan->n_rules + profile->pending.count + 1, sizeof(*listing->rows));
	if (!listing->rows)
		return error_errno(err, "show");
	row = listing->rows;
	/* Rule 0 is berm's own default and says nothing about the profile. */
	for (size_t i = 1; i < plan->n_rules; i++, row++) {
		profile_put(&row->key, plan->rules[i]->key);
		profile_put(&row->value, plan->rules[i]->value);
		profile_put_place(&row->place, plan->rules[i]->file, plan->rules[i]->line);
		profile_put(&row->by, plan->rules[i]->enforced_by);
		profile_put(&row->reason, plan->rules[i]->reason);
	}
	for (size_t i = 0; i < profile->pending.count; i++, row++) {
		profile_put(&row->key, profile->pending.items[i].key);
		profile_put_place(&row->place, profile->pending.items[i].at.file,
			profile->pending.items[i].at.line);
		text_printf(
			&row->by, "not by this build: needs %s", profile->pending.items[i].needs);
	}
	listing->count = (size_t)(row - listing->rows);
	return 0;
}

static void print_json(
	const struct session *session, const struct listing *listing, struct text *out)
{
	struct json j = {.out = out};
	char hex[2 * PLAN_DIGEST_BYTES + 1];

	for (size_t i = 0; i < PLAN_DIGEST_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", session->plan_digest[i]);
	json_object_begin(&j, NULL);
	json_put_u64(&j, "version", 1);
	json_put_string(&j, "profile", session->profile->name);
	json_put_string(&j, "description", session->profile->description);
	json_put_string(&j, "plan_digest", hex);
	json_array_begin(&j, "rules");
	for (size_t i = 0; i < listing->count; i++) {
		const struct row *row = &listing->rows[i];

		json_object_begin(&j, NULL);
		json_put_string(&j, "key", text_string(&row->key));
		json_put_string(&j, "value", text_string(&row->value));
		json_put_string(&j, "place", text_string(&row->place));
		json_put_string(&j, "by", text_string(&row->by));
		json_put_string(
			&j, "reason", row->reason.length ? text_string(&row->reason) : NULL);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	text_puts(out, "\n");
}

static unsigned column(const struct listing *listing, size_t offset, unsigned most)
{
	unsigned width = 0;

	for (size_t i = 0; i < listing->count; i++) {
		const struct text *cell =
			(const struct text *)(const void *)((const char *)&listing->rows[i] +
							    offset);

		if (cell->length > width)
			width = (unsigned)cell->length;
	}
	return (width < most ? width : most) + GAP;
}

/* A cell that is wider than its column still has a gap behind it. */
static void put_cell(struct text *out, const struct text *cell, unsigned width)
{
	int gap = cell->length + GAP < width ? (int)(width - cell->length) : GAP;

	text_append(out, text_string(cell), cell->length);
	text_printf(out, "%*s", gap, "");
}

static void print_rows(const struct listing *listing, bool origin, struct text *out)
{
	unsigned key = column(listing, offsetof(struct row, key), KEY_COLUMN_MAX);
	unsigned value = column(listing, offsetof(struct row, value), VALUE_COLUMN_MAX);
	unsigned place = column(listing, offsetof(struct row, place), PLACE_COLUMN_MAX);

	for (size_t i = 0; i < listing->count; i++) {
		const struct row *row = &listing->rows[i];

		put_cell(out, &row->key, key);
		if (origin) {
			put_cell(out, &row->value, value);
			put_cell(out, &row->place, place);
			text_puts(out, text_string(&row->by));
		} else {
			text_puts(out, text_string(&row->value));
		}
		if (row->reason.length)
			text_printf(out, "  (%s)", text_string(&row->reason));
		text_puts(out, "\n");
	}
}

static void print_head(const struct session *session, struct text *out)
{
	text_puts(out, session->profile->name);
	if (session->profile->description) {
		text_puts(out, ": ");
		profile_put(out, session->profile->description);
	}
	text_puts(out, "\n\n");
}

static void print_plan(const struct session *session, struct text *out)
{
	plan_print(session->plan, out);
	text_puts(out, "digest ");
	for (size_t i = 0; i < PLAN_DIGEST_BYTES; i++)
		text_printf(out, "%02x", session->plan_digest[i]);
	text_puts(out, "\n");
}

static int print_all(
	const struct verb *verb, const struct show_options *options, const struct session *session)
{
	autotext struct text out = {0};
	struct listing listing = {0};
	struct error err = {0};
	int code;

	if (fill_listing(session, &listing, &err) < 0)
		return verb_failed(verb, &err);
	if (options->common.json) {
		print_json(session, &listing, &out);
	} else if (options->plan) {
		print_plan(session, &out);
	} else {
		print_head(session, &out);
		print_rows(&listing, options->origin, &out);
	}
	finish_listing(&listing);
	code = verb_print(&out, CLI_GOOD);
	return code;
}

/* What this build or host cannot enforce is shown all the same, so both reasons to refuse are set
 * aside. */
static int compile_for_showing(struct session *session, struct error *err)
{
	size_t pending = session->profile->pending.count;
	int r;

	session->profile->pending.count = 0;
	r = session_compile(session, err);
	session->profile->pending.count = pending;
	return r;
}

static int show(const struct verb *verb, const void *values, int argc, char **argv)
{
	const struct show_options *options = values;
	struct session_request request;
	autosession struct session session = {0};
	struct error err = {0};
	int r;

	if (argc != 1)
		return verb_misused(verb, argc ? "one profile at a time" : "which profile?");
	request = profile_request_of(&options->common, argv[0]);
	request.allow_degraded = session_features;
	r = session_load(&request, &session, &err);
	if (r == 0)
		r = session_check(&session, &err);
	if (r == 0)
		r = compile_for_showing(&session, &err);
	if (r < 0)
		return profile_report_failure(verb, &session, &err);
	return print_all(verb, options, &session);
}

const struct verb verb_profile_show = {
	.name = "profile show",
	.summary = "Show what a profile allows here, rule by rule",
	.usage = "[OPTIONS] PROFILE",
	.details = "Every rule that is in force, with its value after variables. With --origin "
		   "also the line that said it\n"
		   "and by what this host enforces it; with --plan the compiled plan.",
	.options = {.specs = specs,
		.count = array_size(specs),
		.size = sizeof(struct show_options)},
	.function = show,
};
