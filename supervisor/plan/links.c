/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <string.h>

/* A grant that goes through a symbolic link gives what the link points to. Where the tool, or
 * anybody but root and the caller, can replace the link, an earlier run chooses what the next one
 * is given (CVE-2024-42472, CVE-2025-53109): refused. A link such as /bin -> usr/bin is nobody's to
 * change. */

static const struct grant *write_grant_around(const struct compiler *c, const char *path)
{
	for (size_t i = 0; i < c->grant_count; i++) {
		const struct grant *g = &c->grants[i];

		if (g->section == RULES_FS_WRITE && path_is_beneath(path, g->path) &&
			strcmp(path, g->path))
			return g;
	}
	return NULL;
}

/* What a run that asks for this one may have laid: a link that is not in the system's own places.
 * Its rights were cut out of the words of paths, and not of what they lead to. */
static bool is_of_who_asks(const struct compiler *c, const char *link)
{
	return c->profile->of_run && strchr(link + 1, '/') && !path_is_beneath(link, "/usr") &&
	       !path_is_beneath(link, "/etc");
}

static int check_links(struct compiler *c, const Berm__Wire__PathFact *fact, uint32_t rule)
{
	for (size_t i = 0; i < fact->n_links_passed; i++) {
		const char *link = fact->links_passed[i];
		const struct grant *around = write_grant_around(c, link);

		if (around)
			return error_set(c->err, -ELOOP, ERROR_INPUT,
				"%s goes through %s, a symbolic link in a tree that %s lets the "
				"tool change; write the real "
				"path, %s",
				rule_text(c, rule), link, rule_text(c, around->rule),
				fact->resolved);
		if (is_of_who_asks(c, link))
			return error_set(c->err, -ELOOP, ERROR_INPUT,
				"%s goes through %s, a symbolic link that the run that asks for "
				"this one may have laid; write the real path, %s",
				rule_text(c, rule), link, fact->resolved);
	}
	if (fact->loose_link[0])
		return error_set(c->err, -ELOOP, ERROR_INPUT,
			"%s goes through %s, a symbolic link that other users can replace; write "
			"the real path, %s",
			rule_text(c, rule), fact->loose_link, fact->resolved);
	return 0;
}

int plan_links(struct compiler *c)
{
	const struct exec_rules *exec = &c->profile->exec.allow;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->grant_count; i++)
		r = check_links(c, c->grants[i].fact, c->grants[i].rule);
	for (size_t i = 0; r == 0 && i < exec->count; i++) {
		const Berm__Wire__PathFact *fact =
			exec->items[i].path ? fact_find(c, exec->items[i].path) : NULL;

		if (fact)
			r = check_links(c, fact, rule_index(c, RULES_EXEC_ALLOW, i));
	}
	return r;
}
