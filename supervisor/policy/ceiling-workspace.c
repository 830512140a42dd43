/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/narrow.h"

#include <string.h>

static bool is_staged(const struct profile *p)
{
	return p->workspace.mode.set && p->workspace.mode.value == WORKSPACE_STAGED;
}

/* To wait for a commit is less than to write. A run has one staged workspace: two that differ
 * cannot both hold, and neither may be dropped. */
void narrow_workspace(struct narrowing *n)
{
	const struct profile *c = n->ceiling;
	struct profile *now = n->now;

	if (!is_staged(c))
		return;
	if (is_staged(now) && strcmp(now->workspace.path, c->workspace.path) != 0) {
		const struct pending both = {.key = "workspace.path",
			.needs = "the same staged workspace in the profile and in its ceiling",
			.at = now->workspace.path_at};

		narrow_add(n, &now->pending, both);
		return;
	}
	if (now->workspace.path && !is_staged(now))
		narrow_note(n, "workspace.mode:", "direct",
			now->workspace.mode.set ? now->workspace.mode.at : now->workspace.path_at,
			"staged", &c->workspace.mode.at);
	now->workspace = c->workspace;
}
