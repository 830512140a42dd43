/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

/* The numbers of triggers: whose they are, and whether they must be written. */
static const struct {
	const char *key;
	enum trigger_event event;
	bool required;
	size_t offset; /* in struct trigger */
	const char *example;
} numbers[] = {
	{"count", TRIGGER_DENIAL, true, offsetof(struct trigger, count), "5"},
	{"within", TRIGGER_DENIAL, true, offsetof(struct trigger, within_ms), "10m"},
	{"above", TRIGGER_BLAST_RADIUS, true, offsetof(struct trigger, above_percent), "50%"},
	{"for", TRIGGER_APPROVALS_UNREACHABLE, false, offsetof(struct trigger, for_ms), "5m"},
};

static bool check_numbers(struct reader *r, const struct node *entry, const struct trigger *trigger)
{
	const struct node *event = node_get(entry, "event");
	bool good = true;

	for (size_t i = 0; i < array_size(numbers); i++) {
		const struct limit *number =
			(const void *)((const char *)trigger + numbers[i].offset);
		bool own = numbers[i].event == trigger->event;

		if (own ? number->set || !numbers[i].required : !number->set)
			continue;
		good = false;
		if (own)
			diagnostics_report(r->d, CODE_TRIGGER, event->at,
				"the event %s needs `%s: %s` beside it", event->text,
				numbers[i].key, numbers[i].example);
		else
			diagnostics_report(r->d, CODE_TRIGGER, number->at,
				"`%s` does not belong to the event %s", numbers[i].key,
				event->text);
	}
	return good;
}

void read_trigger(struct reader *r, const struct node *entry, struct triggers *triggers)
{
	struct trigger trigger = {.at = entry->at}, *item;
	unsigned errors = r->d->errors;

	read_section(r, SECTION_TRIGGER, entry, &trigger);
	if (errors != r->d->errors || !check_numbers(r, entry, &trigger))
		return;
	item = reader_next(r, triggers, entry->at);
	if (!item)
		return;
	*item = trigger;
	triggers->count++;
}
