/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include "base/path.h"
#include "policy/recorded.h"

#define KEEP_LEAST_MS (90ULL * 24 * 3600 * 1000)

static void check_triggers(
	const struct profile *p, const struct triggers *when, struct diagnostics *d)
{
	struct recorded_failure failure = recorded_failure(p);

	for (size_t i = 0; i < when->count; i++) {
		if (when->items[i].event == TRIGGER_RECORDER_FAILED &&
			failure.trigger != &when->items[i])
			diagnostics_report(d, CODE_WARNING_NEVER, when->items[i].at,
				"the event recorder_failed: %s is stronger and decides",
				p->recorder.on_failure.set && !failure.trigger
					? "recorder.on_failure"
					: "another state that has it");
	}
}

static bool is_written(const struct profile *p, const char *path)
{
	for (size_t i = 0; i < p->fs.write.count; i++)
		if (path_is_beneath(path, p->fs.write.items[i].path))
			return true;
	return false;
}

/* What the run cannot write is as it was before, and in a private directory it is gone. */
static void check_outputs(const struct profile *p, struct diagnostics *d)
{
	for (size_t i = 0; i < p->recorder.outputs.count; i++) {
		const struct path_rule *rule = &p->recorder.outputs.items[i];

		if (i == RECORD_OUTPUTS_MAX) {
			diagnostics_report(d, CODE_TOO_BIG, rule->at,
				"more than %d recorder.outputs", RECORD_OUTPUTS_MAX);
			return;
		}
		if (!is_written(p, rule->path))
			diagnostics_report(d, CODE_WARNING_NEVER, rule->at,
				"recorder.outputs %s lies in no fs.write: the run does not make it",
				rule->written);
	}
}

void lint_recorder(const struct profile *p, struct diagnostics *d)
{
	check_outputs(p, d);
	if (p->recorder.keep_ms.set && p->recorder.keep_ms.value < KEEP_LEAST_MS)
		diagnostics_report(d, CODE_WARNING_KEEP, p->recorder.keep_ms.at,
			"recorder.keep: the records may go after less than 90 days");
	check_triggers(p, &p->pace.alternate.when, d);
	check_triggers(p, &p->pace.contingency.when, d);
	check_triggers(p, &p->pace.emergency.when, d);
}
