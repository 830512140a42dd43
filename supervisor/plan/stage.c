/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include "base/path.h"

#include <errno.h>

/* The staged workspace: one write grant whose bind is covered by an overlay. It is never written to
 * directly: a host without overlays refuses the run, and so does a second write grant within it,
 * which would be a bind of the real tree on top of the overlay. */

static int refuse(struct compiler *c, int code, enum error_kind kind, const char *why)
{
	return error_set(c->err, code, kind, "%s: %s: %s",
		rule_text(c, rule_index(c, RULES_WORKSPACE_MODE, 0)), c->profile->workspace.path,
		why);
}

static struct area *find_area(struct compiler *c, const char *path)
{
	for (size_t i = 0; i < c->area_count; i++) {
		struct area *a = &c->areas[i];

		if (a->kind == AREA_GRANT && a->write &&
			(strcmp(a->path, path) == 0 || strcmp(a->grant->written, path) == 0))
			return a;
	}
	return NULL;
}

/* What is staged is not on the host before somebody commits it. */
static int check_outputs(struct compiler *c, const char *staged)
{
	const struct path_rules *outputs = &c->profile->recorder.outputs;

	for (size_t i = 0; i < outputs->count; i++)
		if (path_is_beneath(outputs->items[i].path, staged))
			return error_set(c->err, -EINVAL, ERROR_INPUT,
				"%s: %s lies in the staged workspace: its hash would be that of "
				"the "
				"file before the run; \"berm changes show\" lists what was staged",
				rule_text(c, rule_index(c, RULES_RECORDER_OUTPUTS, i)),
				outputs->items[i].path);
	return 0;
}

int plan_stage(struct compiler *c)
{
	const struct profile *p = c->profile;
	struct area *staged;

	if (!p->workspace.mode.set || p->workspace.mode.value != WORKSPACE_STAGED)
		return 0;
	if (!p->workspace.path)
		return error_set(c->err, -EINVAL, ERROR_INTERNAL, "workspace without a path");
	staged = find_area(c, p->workspace.path);
	if (!staged || staged->grant->fact->resolved_kind != BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
		return refuse(c, -EINVAL, ERROR_INPUT,
			"only a directory that is itself an entry of fs.write can be staged, and "
			"none that lies in another entry");
	if (!staged->path[1])
		return refuse(c, -EINVAL, ERROR_INPUT, "the root cannot be staged");
	for (size_t i = 0; i < c->area_count; i++) {
		const struct area *a = &c->areas[i];

		if (a != staged && a->kind == AREA_GRANT && a->write &&
			path_is_beneath(a->path, staged->path))
			return error_set(c->err, -EINVAL, ERROR_INPUT,
				"%s: %s lies in the staged workspace and has other rights: it "
				"would "
				"be written to directly",
				rule_text(c, a->rule), a->path);
	}
	if (check_outputs(c, staged->path) < 0)
		return c->err->code;
	if (!c->facts->overlay)
		return refuse(c, -EOPNOTSUPP, ERROR_UNSUPPORTED,
			"feature overlay is missing: this host lets berm mount no overlay in a "
			"user "
			"namespace (kernel 5.11, CONFIG_OVERLAY_FS), and writes are never made "
			"directly instead");
	staged->staged = true;
	rule_enforced(c, rule_index(c, RULES_WORKSPACE_MODE, 0), "mount (overlay)");
	return 0;
}
