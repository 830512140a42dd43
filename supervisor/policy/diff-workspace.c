/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff-internal.h"

#include <string.h>

static const char *staged_path(const struct profile *p)
{
	return p->workspace.mode.set && p->workspace.mode.value == WORKSPACE_STAGED
		       ? p->workspace.path
		       : NULL;
}

/* A workspace that is no longer staged is written to directly; another one than before is both. */
void diff_workspace(struct differ *d)
{
	const struct profile *was = d->was.profile, *now = d->now.profile;
	const char *from = staged_path(was), *to = staged_path(now);

	if ((!from && !to) || (from && to && strcmp(from, to) == 0))
		return;
	diff_add_line(d, &(struct diff_line){
				 .direction = from ? DIFF_WIDER : DIFF_NARROWER,
				 .key = "workspace.mode",
				 .was = from ? diff_words(d, "staged %s", from) : "direct",
				 .now = to ? diff_words(d, "staged %s", to) : "direct",
				 .was_at = was->workspace.mode.at,
				 .now_at = now->workspace.mode.at,
			 });
}
