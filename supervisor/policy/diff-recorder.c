/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include "base/number.h"
#include "policy/keys.h"
#include "policy/recorded.h"

#include <string.h>

/* recorder, by what holds: less recorded, for a shorter time or to fewer places, is wider. */

static enum diff_direction direction(bool wider)
{
	return wider ? DIFF_WIDER : DIFF_NARROWER;
}

static void diff_level(struct differ *d, const struct profile *was, const struct profile *now)
{
	const char *const *words = key_find(SECTION_RECORDER, "level")->words;
	enum record_level from = recorded_level(was), to = recorded_level(now);

	if (from == to)
		return;
	diff_add_line(d, &(struct diff_line){
				 .direction = direction(to < from),
				 .key = "recorder.level",
				 .was = words[from - 1],
				 .now = words[to - 1],
				 .was_at = was->recorder.level.at,
				 .now_at = now->recorder.level.at,
			 });
}

static void diff_keep(struct differ *d, const struct profile *was, const struct profile *now)
{
	uint64_t from = recorded_keep_ms(was), to = recorded_keep_ms(now);
	char from_words[32], to_words[32];

	if (from == to)
		return;
	number_format_duration(from, from_words, sizeof(from_words));
	number_format_duration(to, to_words, sizeof(to_words));
	diff_add_line(d, &(struct diff_line){
				 .direction = direction(to < from),
				 .key = "recorder.keep",
				 .was = diff_words(d, "%s", from_words),
				 .now = diff_words(d, "%s", to_words),
				 .was_at = was->recorder.keep_ms.at,
				 .now_at = now->recorder.keep_ms.at,
			 });
}

static void diff_failure(struct differ *d, const struct profile *was, const struct profile *now)
{
	struct recorded_failure from = recorded_failure(was), to = recorded_failure(now);

	if (from.action == to.action && from.phase == to.phase)
		return;
	diff_add_line(
		d, &(struct diff_line){
			   .direction = direction(recorded_strength(to) < recorded_strength(from)),
			   .key = "recorder.on_failure",
			   .was = recorded_failure_word(from),
			   .now = recorded_failure_word(to),
			   .was_at = was->recorder.on_failure.at,
			   .now_at = now->recorder.on_failure.at,
		   });
}

/* A pattern less, and what it hid is recorded; one more, and evidence is hidden. */
static void diff_redact(
	struct differ *d, const struct profile *has, const struct profile *lacks, bool added)
{
	for (size_t i = 0; i < has->recorder.redact.count; i++) {
		const struct string_rule *rule = &has->recorder.redact.items[i];
		bool there = false;

		for (size_t k = 0; k < lacks->recorder.redact.count; k++)
			there |= strcmp(lacks->recorder.redact.items[k].text, rule->text) == 0;
		if (there)
			continue;
		diff_add_line(d, &(struct diff_line){
					 .direction = DIFF_WIDER,
					 .key = "recorder.redact",
					 .was = added ? NULL : rule->text,
					 .now = added ? rule->text : NULL,
					 .was_at = added ? (struct source){0} : rule->at,
					 .now_at = added ? rule->at : (struct source){0},
					 .example = added ? "what it matches is not in the records"
							  : "what it matched is recorded",
				 });
	}
}

static void diff_sinks(
	struct differ *d, const struct profile *has, const struct profile *lacks, bool added)
{
	for (size_t i = 0; i < has->recorder.sinks.count; i++) {
		const struct sink_rule *sink = &has->recorder.sinks.items[i];
		const char *words;
		bool there = false;

		for (size_t k = 0; k < lacks->recorder.sinks.count; k++)
			there |= lacks->recorder.sinks.items[k].type == sink->type &&
				 lacks->recorder.sinks.items[k].format == sink->format;
		if (there)
			continue;
		words = diff_words(d, "%s (%s)", key_find(SECTION_SINK, "type")->words[sink->type],
			key_find(SECTION_SINK, "format")->words[sink->format]);
		diff_add_line(d, &(struct diff_line){
					 .direction = direction(!added),
					 .key = "recorder.sinks",
					 .was = added ? NULL : words,
					 .now = added ? words : NULL,
					 .was_at = added ? (struct source){0} : sink->at,
					 .now_at = added ? sink->at : (struct source){0},
				 });
	}
}

static void diff_outputs(
	struct differ *d, const struct profile *has, const struct profile *lacks, bool added)
{
	for (size_t i = 0; i < has->recorder.outputs.count; i++) {
		const struct path_rule *rule = &has->recorder.outputs.items[i];
		bool there = false;

		for (size_t k = 0; k < lacks->recorder.outputs.count; k++)
			there |= strcmp(lacks->recorder.outputs.items[k].path, rule->path) == 0;
		if (there)
			continue;
		diff_add_line(d, &(struct diff_line){
					 .direction = direction(!added),
					 .key = "recorder.outputs",
					 .was = added ? NULL : rule->path,
					 .now = added ? rule->path : NULL,
					 .was_at = added ? (struct source){0} : rule->at,
					 .now_at = added ? rule->at : (struct source){0},
				 });
	}
}

void diff_recorder(struct differ *d)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;

	diff_level(d, was, now);
	diff_failure(d, was, now);
	diff_keep(d, was, now);
	diff_redact(d, was, now, false);
	diff_redact(d, now, was, true);
	diff_sinks(d, was, now, false);
	diff_sinks(d, now, was, true);
	diff_outputs(d, was, now, false);
	diff_outputs(d, now, was, true);
}
