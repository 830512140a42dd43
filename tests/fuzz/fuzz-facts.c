/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"
#include "fuzz.h"
#include "plan/plan.h"
#include "policy/load.h"
#include "profile-build.h"

/* A fixed profile that uses every section, and facts about a host that nobody has: the compiler
 * refuses, or makes a plan that keeps the promises of plan.proto. Input: packed HostFacts; what the
 * profile needs and the input says nothing about is an ordinary directory, so that most inputs get
 * past the first question. */

#define SOCKET "/run/socket"

static const struct profile *make_profile(void)
{
	static struct built b;
	struct profile *p = &b.profile;

	if (p->name)
		return p;
	built_init(&b);
	built_path(&b, &p->fs.read, "/usr", PATH_READ);
	built_path(&b, &p->fs.read, "/bin", PATH_READ);
	built_path(&b, &p->fs.write, "/srv/u/w", PATH_READ);
	built_path(&b, &p->fs.write, "/srv/u/w/deep/er", PATH_READ);
	built_path(&b, &p->fs.deny, "/srv/u/w/secret", PATH_READ);
	built_path(&b, &p->fs.deny, "/srv/u/w/**/.env*", PATH_READ);
	built_path(&b, &p->fs.protect, "/srv/u/w/.git/hooks", PATH_READ);
	built_path(&b, &p->fs.ask, "/srv/u/w/ask", PATH_WRITE);
	built_path(&b, &p->fs.canaries, "/srv/u/w/canary", PATH_READ);
	built_path(&b, &p->network.unix_sockets, SOCKET, PATH_READ);
	for (size_t i = 0; i < p->fs.write.count; i++)
		p->fs.write.items[i].optional = true;
	p->fs.read.items[1].optional = true;
	p->network.unix_sockets.items[0].optional = true;
	built_exec_path(&b, &p->exec.allow, "/srv/u/w/bin");
	p->exec.allow.items[0].optional = true;
	built_exec_path(&b, &p->exec.deny, "/usr/bin/sudo");
	p->exec.deny.items[0].optional = true;
	built_string(&b, &p->env.pass, "PATH");
	built_set(&b, "A", "b");
	p->limits.memory_bytes = (struct limit){.set = true, .value = 1 << 28};
	p->limits.pids = (struct limit){.set = true, .value = 100};
	return p;
}

static void *need(void *allocated)
{
	assert(allocated);
	return allocated;
}

static void complete_path(Berm__Wire__HostFacts *facts, const char *path)
{
	Berm__Wire__PathFact *fact;

	for (size_t i = 0; i < facts->n_paths; i++)
		if (strcmp(facts->paths[i]->path, path) == 0)
			return;
	fact = need(malloc(sizeof(*fact)));
	berm__wire__path_fact__init(fact);
	fact->path = need(strdup(path));
	fact->resolved = need(strdup(path));
	fact->kind = fact->resolved_kind = strcmp(path, SOCKET) == 0
						   ? BERM__WIRE__FILE_KIND__FILE_SOCKET
						   : BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	fact->dev = 8;
	fact->ino = 1000 + facts->n_paths;
	fact->mode = 0755;
	fact->owner_uid = fact->owner_gid = 1000;
	facts->paths = need(realloc(facts->paths, (facts->n_paths + 1) * sizeof(*facts->paths)));
	facts->paths[facts->n_paths++] = fact;
}

static void complete_glob(Berm__Wire__HostFacts *facts, const char *pattern)
{
	Berm__Wire__GlobFact *fact;

	for (size_t i = 0; i < facts->n_globs; i++)
		if (strcmp(facts->globs[i]->pattern, pattern) == 0)
			return;
	fact = need(malloc(sizeof(*fact)));
	berm__wire__glob_fact__init(fact);
	fact->pattern = need(strdup(pattern));
	fact->complete = true;
	facts->globs = need(realloc(facts->globs, (facts->n_globs + 1) * sizeof(*facts->globs)));
	facts->globs[facts->n_globs++] = fact;
}

static void complete(Berm__Wire__HostFacts *facts)
{
	autofree const char **paths = NULL, **globs = NULL;

	assert(profile_paths(make_profile(), &paths, &globs) == 0);
	for (size_t i = 0; paths[i]; i++)
		complete_path(facts, paths[i]);
	for (size_t i = 0; globs[i]; i++)
		complete_glob(facts, globs[i]);
}

static void check_plan(const Berm__Wire__Plan *plan)
{
	uint8_t digest[PLAN_DIGEST_BYTES];
	autotext struct text out = {0};

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *mount = plan->mounts[i];

		assert(path_is_normal(mount->target));
		assert(!*mount->source || path_is_normal(mount->source));
		assert(mount->rule < plan->n_rules);
	}
	for (size_t i = 0; plan->landlock && i < plan->landlock->n_paths; i++) {
		assert(path_is_normal(plan->landlock->paths[i]->path));
		assert(plan->landlock->paths[i]->rule < plan->n_rules);
	}
	for (size_t i = 0; i < plan->n_canaries; i++)
		assert(plan->canaries[i]->rule < plan->n_rules);
	for (size_t i = 0; plan->seccomp && i < plan->seccomp->n_syscalls; i++)
		assert(plan->seccomp->syscalls[i]->rule < plan->n_rules);
	assert(path_is_normal(plan->working_directory));
	assert(plan->identity && plan->identity->inside_uid != 0);
	assert(plan_digest(plan, digest) == 0);
	plan_print(plan, &out);
	assert(!out.failed && is_safe_to_show(out.data, out.length));
}

static void compile(const Berm__Wire__HostFacts *facts, bool degrade)
{
	static const char *const words[] = {"true", NULL};
	static const char *const every[] = {"landlock", "netns", "idmap", "cgroup", "bpf", NULL};
	const struct plan_request request = {.argv = words,
		.home = "/srv/u",
		.working_directory = "/srv/u/w",
		.environment = words + 1,
		.allow_degraded = degrade ? every : NULL,
		.run_id = "r1"};
	autotext struct text notes = {0};
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	if (plan_compile(make_profile(), facts, &request, &plan, &notes, &err) == 0)
		check_plan(plan);
	else
		assert(!plan && err.code < 0 && *err.text);
	plan_destroy(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Berm__Wire__HostFacts *facts = berm__wire__host_facts__unpack(NULL, size, data);

	if (!facts)
		return 0;
	complete(facts);
	compile(facts, false);
	compile(facts, true);
	berm__wire__host_facts__free_unpacked(facts, NULL);
	return 0;
}
