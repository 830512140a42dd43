/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/agent-writes.h"

#include "base/log.h"
#include "base/path.h"
#include "daemon/session.h"

#include <string.h>

/* What the phase of an agent's group leaves a new run to write. */

/* All that may be written may be read, and nothing is sent. Programs do not run from where a run
 * can write, and must not begin to by that: another run may have left them there. */
int agent_start_read_only(struct agent_run *run, struct profile *p, struct error *err)
{
	size_t reads = p->fs.read.count, writes = p->fs.write.count;
	struct path_rule *items = calloc(reads + writes + 1, sizeof(*items));

	if (!items)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "out of memory");
	if (reads)
		memcpy(items, p->fs.read.items, reads * sizeof(*items));
	if (writes)
		memcpy(items + reads, p->fs.write.items, writes * sizeof(*items));
	for (size_t i = 0; i < writes; i++) {
		struct path_rule *copy = &items[reads + i];

		copy->access = PATH_READ;
		copy->no_exec = true;
		for (size_t k = 0; k < reads; k++)
			items[k].no_exec |= path_is_beneath(items[k].path, copy->path);
	}
	run->kept_read = items;
	p->fs.read.items = items;
	p->fs.read.count = reads + writes;
	p->fs.write.count = 0;
	p->fs.protect.count = 0;
	p->network.mode = NETWORK_MODE_SCOPED;
	p->network.allow.count = p->network.ask.count = p->network.listen.count = 0;
	p->network.unix_sockets.count = 0;
	return 0;
}

bool agent_run_is_staged(const struct session *session)
{
	const struct profile *p = session->profile;

	return p->workspace.mode.set && p->workspace.mode.value == WORKSPACE_STAGED &&
	       p->fs.write.count == 1;
}

/* A run that was held is made once more, and says so once. */
static int start_read_only_instead(
	struct agent_run *run, struct profile *p, const char *why, struct error *err)
{
	if (!run->read_only_instead)
		log_line(
			"run: writes of the group need a person, and %s: it starts read-only", why);
	run->read_only_instead = true;
	run->answer.read_only = true;
	p->workspace.path = NULL;
	p->workspace.mode = (struct limit){0};
	return agent_start_read_only(run, p, err);
}

/* The one tree that the run may write to becomes its workspace. Of several one would be written to
 * directly. */
int agent_start_staged(struct agent_run *run, struct profile *p, struct error *err)
{
	bool staged = p->workspace.mode.set && p->workspace.mode.value == WORKSPACE_STAGED;

	if (!p->fs.write.count || (staged && p->fs.write.count == 1))
		return 0;
	if (p->fs.write.count > 1)
		return start_read_only_instead(run, p, "only one tree can be staged", err);
	run->staged_by_phase = true;
	p->workspace.path = p->fs.write.items[0].path;
	p->workspace.path_at = (struct source){.file = run->label};
	p->workspace.mode =
		(struct limit){.set = true, .value = WORKSPACE_STAGED, .at = {.file = run->label}};
	return 0;
}

bool agent_run_cannot_stage(struct session *session, struct error *err)
{
	struct agent_run *run = session->agent_run;
	char why[ERROR_TEXT_MAX + 32];

	if (!run || !run->staged_by_phase)
		return false;
	run->staged_by_phase = false;
	snprintf(why, sizeof(why), "cannot be staged (%s)", err->text);
	return start_read_only_instead(run, session->profile, why, err) == 0;
}
