/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

void read_sink(struct reader *r, const struct node *entry, struct sink_rules *sinks)
{
	struct sink_rule sink = {.format = SINK_OCSF, .at = entry->at}, *item;
	unsigned errors = r->d->errors;

	read_section(r, SECTION_SINK, entry, &sink);
	if (errors != r->d->errors)
		return;
	/* A profile may be somebody else's file that a person chose to run under. */
	if (sink.type == SINK_FILE || sink.type == SINK_EXEC) {
		diagnostics_report(r->d, CODE_OPERATOR, node_get(entry, "type")->at,
			"a sink of type %s is not for a profile: it acts outside of the walls with "
			"the recorder's rights; name it in recorder.yaml of the state directory",
			node_get(entry, "type")->text);
		return;
	}
	for (size_t i = 0; i < sinks->count; i++) {
		/* What two profiles both say, or a profile and its ceiling, is sent once. */
		if (sinks->items[i].type == sink.type && sinks->items[i].format == sink.format)
			return;
	}
	item = reader_next(r, sinks, entry->at);
	if (!item)
		return;
	*item = sink;
	sinks->count++;
}
