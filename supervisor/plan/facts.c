/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/compile.h"

#include <errno.h>

/* What is missing beneath an ancestor: "a/b", or nothing. */
static bool is_normal_beneath(const char *missing)
{
	while (*missing) {
		size_t n = strcspn(missing, "/");

		if (n == 0 || (n == 1 && missing[0] == '.') ||
			(n == 2 && missing[0] == '.' && missing[1] == '.'))
			return false;
		missing += n;
		if (*missing && !*++missing)
			return false;
	}
	return true;
}

static bool is_normal_or_empty(const char *path)
{
	return !*path || path_is_normal(path);
}

static int check_fact(struct compiler *c, const Berm__Wire__PathFact *fact)
{
	if (is_normal_or_empty(fact->resolved) && is_normal_or_empty(fact->deepest_existing) &&
		is_normal_beneath(fact->missing))
		return 0;
	return error_set(c->err, -EINVAL, ERROR_INTERNAL,
		"the facts about %s name a place that is no plain path", fact->path);
}

static int check_glob(struct compiler *c, const Berm__Wire__GlobFact *glob)
{
	for (size_t i = 0; i < glob->n_matches; i++) {
		const Berm__Wire__PathFact *match = glob->matches[i];
		int r = check_fact(c, match);

		if (r < 0)
			return r;
		if (!path_is_normal(match->path))
			return error_set(c->err, -EINVAL, ERROR_INTERNAL,
				"a match of %s is no plain path: %s", glob->pattern, match->path);
	}
	return 0;
}

int plan_facts(struct compiler *c)
{
	const Berm__Wire__HostFacts *facts = c->facts;
	int r = 0;

	if (!is_normal_or_empty(facts->cgroup_parent))
		return error_set(c->err, -EINVAL, ERROR_INTERNAL,
			"the facts name a cgroup that is no plain path: %s", facts->cgroup_parent);
	for (size_t i = 0; r == 0 && i < facts->n_paths; i++) {
		/* A home or working directory may be written in any way; no rule can be. */
		if (path_is_normal(facts->paths[i]->path))
			r = check_fact(c, facts->paths[i]);
	}
	for (size_t i = 0; r == 0 && i < facts->n_globs; i++)
		r = check_glob(c, facts->globs[i]);
	return r;
}
