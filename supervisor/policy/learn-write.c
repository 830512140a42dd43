/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/learn-internal.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_LINES_MAX 100
#define TEST_LINES_MAX 24
#define OBJECT_SHOWN_MAX 256
#define TEST_PATH_MAX 256

struct writer {
	const struct learn *learn;
	const struct learn_world *world;
	const struct learn_proposal *proposal;
	struct text *out;
};

/* The sections of a proposal and the keys of their lists, in the order they are written. */
static const struct {
	const char *section;
	const char *keys[4];
} sections_written[] = {
	{"fs", {"fs.read", "fs.write", "fs.protect", "fs.deny"}},
	{"exec", {"exec.allow", "exec.deny"}},
};

static void put_coverage(const struct writer *w, uint64_t runs)
{
	text_printf(w->out, "%u of %u run%s", learn_run_count(runs), w->learn->runs,
		w->learn->runs == 1 ? "" : "s");
	if (learn_run_count(runs) < w->learn->runs)
		text_puts(w->out, " (low coverage)");
}

static void put_line(const struct writer *w, const struct learn_line *line)
{
	struct text *out = w->out;
	bool grants = line->names > 0;

	if (grants) {
		text_puts(out, "    # ");
		put_coverage(w, line->runs);
		text_printf(out, ", %zu name%s; %s: %s\n", line->names, line->names == 1 ? "" : "s",
			line->rule, line->reason);
	}
	text_puts(out, "    - ");
	if (grants && !line->optional) {
		learn_put_path(out, line->path, w->world->workdir);
	} else {
		text_puts(out, "{path: ");
		learn_put_path(out, line->path, w->world->workdir);
		if (line->optional)
			text_puts(out, ", optional: true");
		if (!grants)
			text_printf(out, ", reason: %s", line->reason);
		text_puts(out, "}");
	}
	text_puts(out, "\n");
}

static void put_lists(const struct writer *w)
{
	const struct learn_proposal *p = w->proposal;

	for (size_t s = 0; s < array_size(sections_written); s++) {
		bool opened = false;

		for (size_t k = 0; k < array_size(sections_written[s].keys); k++) {
			const char *key = sections_written[s].keys[k];
			bool listed = false;

			for (size_t i = 0; key && i < p->count; i++) {
				if (strcmp(p->lines[i].key, key) != 0)
					continue;
				if (!opened)
					text_printf(w->out, "\n%s:\n", sections_written[s].section);
				if (!listed)
					text_printf(w->out, "  %s:\n", strchr(key, '.') + 1);
				opened = listed = true;
				put_line(w, &p->lines[i]);
			}
		}
	}
}

static void put_caps(const struct writer *w, const char *section)
{
	size_t n = strlen(section);
	bool opened = false;
	char peak[32], value[32];

	for (enum learn_cap cap = 0; cap < LEARN_CAP_COUNT; cap++) {
		const char *name = learn_cap_name(cap);

		if (!w->proposal->caps[cap].known || strncmp(name, section, n) != 0)
			continue;
		if (!opened)
			text_printf(w->out, "\n%s:\n", section);
		opened = true;
		text_printf(w->out, "  %s: %s  # the most that a run needed: %s\n", name + n + 1,
			learn_cap_words(cap, w->proposal->caps[cap].value, value, sizeof(value)),
			learn_cap_words(cap, w->learn->peaks[cap].value, peak, sizeof(peak)));
	}
}

/* What was refused stays refused: whoever widens the profile by accident hears of it. */
static void put_tests(const struct writer *w)
{
	size_t count = 0;

	for (size_t i = 0; i < w->learn->count && count < TEST_LINES_MAX; i++) {
		const struct learn_observation *seen = &w->learn->items[i];
		enum learn_class class = w->proposal->classes[i];
		autotext struct text path = {0};

		if ((class != LEARN_SECRET && class != LEARN_OUTSIDE) ||
			!learn_can_write(seen->object) || strlen(seen->object) > TEST_PATH_MAX)
			continue;
		if (count++ == 0)
			text_puts(w->out, "\ntests:\n");
		learn_put_path(&path, seen->object, w->world->workdir);
		/* The opening quote stands before the word of the operation. */
		text_printf(w->out, "  - {do: \"%s %s, expect: deny}\n",
			operation_name(seen->operation), text_string(&path) + 1);
		w->out->failed |= path.failed;
	}
}

static void put_hint(const struct writer *w, const struct learn_observation *seen)
{
	struct verdict verdict;

	decide(w->world->walls, seen->operation, seen->object, &verdict);
	if (verdict.rule && strcmp(verdict.rule, "malformed") != 0)
		text_printf(w->out, " (%s)", verdict.rule);
	if (verdict.hint[0] && !verdict.keep_denied) {
		text_puts(w->out, "\n#       ");
		text_escape(w->out, verdict.hint, strlen(verdict.hint), OBJECT_SHOWN_MAX);
	}
}

static void put_looks(const struct writer *w)
{
	size_t count = 0, shown = 0;

	for (size_t i = 0; i < w->learn->count; i++)
		count += learn_to_look_at(w->proposal->classes[i]);
	if (count == 0)
		return;
	text_puts(w->out,
		"\n# Not proposed. Look at each of these before you write a line for it.\n");
	for (size_t i = 0; i < w->learn->count && shown < LOOK_LINES_MAX; i++) {
		const struct learn_observation *seen = &w->learn->items[i];
		enum learn_class class = w->proposal->classes[i];

		if (!learn_to_look_at(class))
			continue;
		shown++;
		text_printf(w->out, "#   %s ", operation_name(seen->operation));
		text_escape(w->out, seen->object, strlen(seen->object), OBJECT_SHOWN_MAX);
		text_puts(w->out, ": ");
		put_coverage(w, seen->runs);
		text_printf(w->out, ", %" PRIu64 " time%s; %s", seen->count,
			seen->count == 1 ? "" : "s", learn_class_words(class));
		put_hint(w, seen);
		text_puts(w->out, "\n");
	}
	if (count > shown)
		text_printf(w->out, "#   and %zu more\n", count - shown);
}

void learn_write(const struct learn *learn, const struct learn_world *world,
	const struct learn_proposal *proposal, const char *name, const char *base, struct text *out)
{
	const struct writer w = {learn, world, proposal, out};

	text_printf(out,
		"# Proposed by `berm learn` from %u confined run%s. It grants nothing until "
		"somebody "
		"has read it and uses it.\n",
		learn->runs, learn->runs == 1 ? "" : "s");
	if (learn->failed)
		text_printf(out, "# The command failed in %u of them: something may be missing.\n",
			learn_run_count(learn->failed));
	if (learn->lost)
		text_printf(out,
			"# %" PRIu64 " observations found no room and are in no line: something is "
			"missing.\n",
			learn->lost);
	text_printf(out, "\nversion: 1\nname: %s\nextends: [", name);
	learn_put_path(out, base, NULL);
	text_puts(out, "]\n");
	put_lists(&w);
	put_caps(&w, "limits");
	put_caps(&w, "blast_radius");
	put_tests(&w);
	put_looks(&w);
}
