/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include "policy/pace.h"

#include <string.h>

/* A cap that is only checked is a cap all the same: the run is refused for its own reason. */
static bool has_cap(const struct profile *p)
{
	static const char section[] = "blast_radius.";

	for (size_t i = 0; i < p->pending.count; i++) {
		if (strncmp(p->pending.items[i].key, section, sizeof(section) - 1) == 0)
			return true;
	}
	return blast_radius_is_capped(p);
}

static void check_trigger(const struct profile *p, const struct trigger *trigger, const char *key,
	struct diagnostics *d)
{
	if (trigger->event == TRIGGER_BLAST_RADIUS && !has_cap(p))
		diagnostics_report(d, CODE_TRIGGER, trigger->above_percent.at,
			"%s speaks of a share of blast_radius, and blast_radius has no cap", key);
	if (trigger->event == TRIGGER_CANARY_TOUCHED && p->fs.canaries.count == 0)
		diagnostics_report(d, CODE_WARNING_NEVER, trigger->at,
			"%s waits for the touch of a canary, and fs.canaries lists none", key);
}

void lint_pace(const struct profile *p, struct diagnostics *d)
{
	for (enum phase phase = PHASE_ALTERNATE; phase < PHASE_COUNT; phase++) {
		const struct triggers *when = &pace_rules(p, phase)->when;

		for (size_t i = 0; i < when->count; i++)
			check_trigger(p, &when->items[i], pace_key(phase), d);
	}
	if (has_cap(p))
		return;
	if (p->blast_radius.warn_at.set)
		diagnostics_report(d, CODE_WARNING_NEVER, p->blast_radius.warn_at.at,
			"blast_radius.warn_at: blast_radius has no cap");
	if (p->blast_radius.on_exceed_at.line)
		diagnostics_report(d, CODE_WARNING_NEVER, p->blast_radius.on_exceed_at,
			"blast_radius.on_exceed: blast_radius has no cap");
}
