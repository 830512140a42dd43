/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include <string.h>

void read_gate(struct reader *r, const struct node *entry, struct judge_rules *gates)
{
	struct judge_rule gate = {.at = entry->at}, *item;
	unsigned errors = r->d->errors;

	read_section(r, SECTION_GATE, entry, &gate);
	if (errors != r->d->errors)
		return;
	if (!gate.on.value) {
		diagnostics_report(r->d, CODE_EMPTY, entry->at,
			"gates: %s is asked before nothing; write `on: [run]`", gate.name);
		return;
	}
	for (size_t i = 0; i < gates->count; i++) {
		if (strcmp(gates->items[i].name, gate.name) != 0)
			continue;
		diagnostics_report(r->d, CODE_DUPLICATE_KEY, entry->at,
			"gates: there are two of the name %s (first at %s:%u)", gate.name,
			gates->items[i].at.file, gates->items[i].at.line);
		return;
	}
	if (gates->count == GATES_MAX) {
		diagnostics_report(r->d, CODE_TOO_BIG, entry->at, "gates: at most %d", GATES_MAX);
		return;
	}
	item = reader_next(r, gates, entry->at);
	if (!item)
		return;
	*item = gate;
	gates->count++;
}
