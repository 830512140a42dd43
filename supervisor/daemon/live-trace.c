/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-trace.h"

#include "base/path.h"
#include "policy/decide.h"

#include <string.h>

/* What is written to a private, empty tmpfs of the run (its home) is refused by nobody: it is gone
 * when the run ends. */
static bool is_own_tmpfs(const Berm__Wire__Plan *plan, const char *path)
{
	const Berm__Wire__Mount *around = NULL;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (path_is_beneath(path, m->target) &&
			(!around || strlen(m->target) >= strlen(around->target)))
			around = m;
	}
	return around && around->kind == BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS && around->target[1];
}

bool live_trace_denied(const struct session *session, const struct trace_event *event,
	const char **ret_operation, struct denial_rule *ret_rule)
{
	static const struct {
		const char *word;
		enum operation operation;
	} rows[] = {{"read", OPERATION_READ}, {"write", OPERATION_WRITE}, {"exec", OPERATION_EXEC},
		{"connect", OPERATION_CONNECT}};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct verdict verdict;

		if (strcmp(rows[i].word, event->operation) != 0)
			continue;
		decide(session->profile, rows[i].operation, event->path, &verdict);
		if (verdict.decision == DECISION_ALLOW ||
			(rows[i].operation == OPERATION_WRITE &&
				is_own_tmpfs(session->plan, event->path)))
			return false;
		*ret_operation = rows[i].word;
		*ret_rule = (struct denial_rule){verdict.rule, verdict.value,
			verdict.at.file ? verdict.at.file : "", verdict.at.line, verdict.reason};
		return true;
	}
	return false;
}
