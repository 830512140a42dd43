/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lint.h"

#include "base/path.h"
#include "policy/approvals.h"
#include "wire/held.h"

/* Whoever can change the program that judges the next run is not judged. */
static void check_program(const struct profile *p, const struct command_words *program,
	const char *whose, struct diagnostics *d)
{
	const char *path = program->items[0];

	if (path[0] != '/' || !path_is_normal(path)) {
		diagnostics_report(d, CODE_PATH, program->at,
			"%s: the program is named by an absolute path: %s", whose, path);
		return;
	}
	for (size_t i = 0; i < p->fs.write.count; i++) {
		if (path_is_beneath(path, p->fs.write.items[i].path))
			diagnostics_report(d, CODE_PROTECTED_ROOT, program->at,
				"%s: the run itself could change %s (fs.write %s)", whose, path,
				p->fs.write.items[i].written);
	}
}

void lint_approvals(const struct profile *p, struct diagnostics *d)
{
	bool asked = p->approvals.on.set && p->approvals.on.value;
	unsigned channels = approvals_channels(p);

	if (p->approvals.exec.count)
		check_program(p, &p->approvals.exec, "approvals.exec", d);
	for (size_t i = 0; i < p->gates.count; i++)
		check_program(p, &p->gates.items[i].exec, "gates[].exec", d);
	if (p->approvals.channels.set && channels & APPROVAL_EXEC && !p->approvals.exec.count)
		diagnostics_report(d, CODE_MISSING_KEY, p->approvals.channels.at,
			"approvals.channels has exec, and approvals.exec names no program");
	if (p->approvals.on.set && p->approvals.on.value & HELD_COMMIT &&
		p->workspace.mode.value != WORKSPACE_STAGED)
		diagnostics_report(d, CODE_WARNING_NEVER, p->approvals.on.at,
			"approvals.on: commit: nothing is staged (workspace.mode), so that there "
			"is no commit to hold");
	/* The tool lasts, and can write over a question at its own terminal. */
	if (p->approvals.on.set && p->approvals.on.value & HELD_WRITE &&
		!(channels & (APPROVAL_SOCKET | APPROVAL_EXEC)))
		diagnostics_report(d, CODE_EMPTY, p->approvals.channels.at,
			"approvals.channels: nobody is asked before a write at a terminal that the "
			"tool shares: add socket or exec");
	if (asked && !channels)
		diagnostics_report(d, CODE_EMPTY, p->approvals.channels.at,
			"approvals.channels: nobody can be asked, so that nothing could ever "
			"start");
}
