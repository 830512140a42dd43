/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include "base/number.h"
#include "policy/recorded.h"

#include <string.h>

/* The triggers of both are in the result already. Going on unrecorded is a permission: a ceiling
 * that does not give it takes it away, as with everything else. */
static void narrow_failure(struct narrowing *n)
{
	struct recorded_failure was = recorded_failure(n->was);
	struct recorded_failure most = recorded_failure(n->ceiling);
	struct limit *now = &n->now->recorder.on_failure;

	if (recorded_strength(most) > recorded_strength(was)) {
		struct source at = n->was->recorder.on_failure.set ? n->was->recorder.on_failure.at
								   : (struct source){0};

		if (!at.line && was.trigger)
			at = was.trigger->at;
		narrow_note(n, "recorder.on_failure:", recorded_failure_word(was), at,
			recorded_failure_word(most), &n->ceiling->recorder.on_failure.at);
		was = most;
	}
	/* Phases before the emergency come from triggers alone, and so are there. */
	if (recorded_strength(recorded_failure(n->now)) >= recorded_strength(was))
		return;
	*now = (struct limit){.set = true,
		.value = was.action == RECORDED_STOP ? RECORD_FAILURE_STOP
						     : RECORD_FAILURE_EMERGENCY,
		.at = n->ceiling->recorder.on_failure.set ? n->ceiling->recorder.on_failure.at
							  : now->at};
}

/* Those of both, each once. */
static void narrow_outputs(struct narrowing *n)
{
	const struct path_rules *more = &n->ceiling->recorder.outputs;
	struct path_rules *now = &n->now->recorder.outputs;

	for (size_t i = 0; i < more->count; i++) {
		bool there = false;

		for (size_t k = 0; k < now->count; k++)
			there |= strcmp(now->items[k].path, more->items[i].path) == 0;
		if (!there)
			narrow_add(n, now, more->items[i]);
	}
}

void narrow_recorder(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;
	char were[32], are[32];

	narrow_failure(n);
	if (recorded_level(c) > recorded_level(now))
		now->recorder.level = c->recorder.level;
	if (c->recorder.keep_ms.set && c->recorder.keep_ms.value > recorded_keep_ms(now)) {
		if (now->recorder.keep_ms.set)
			narrow_note(n, "recorder.keep:",
				number_format_duration(
					now->recorder.keep_ms.value, were, sizeof(were)),
				now->recorder.keep_ms.at,
				number_format_duration(c->recorder.keep_ms.value, are, sizeof(are)),
				&c->recorder.keep_ms.at);
		now->recorder.keep_ms = c->recorder.keep_ms;
	}
	narrow_add_all(n, &now->recorder.redact, &c->recorder.redact);
	narrow_outputs(n);
	for (size_t i = 0; i < c->recorder.sinks.count; i++) {
		const struct sink_rule *sink = &c->recorder.sinks.items[i];
		bool there = false;

		for (size_t k = 0; k < now->recorder.sinks.count; k++)
			there |= now->recorder.sinks.items[k].type == sink->type &&
				 now->recorder.sinks.items[k].format == sink->format;
		if (!there)
			narrow_add(n, &now->recorder.sinks, *sink);
	}
}
