/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "plan/plan.h"
#include "policy/decide.h"

#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>

#include "profile-build.h"
#include "random.h"

/* What decide() says about a profile and what a plan made from it lets through must be one thing. A
 * small host, random profiles over it, and a model of what the kernel makes of a plan: the
 * innermost mount decides, and Landlock has to agree. BERM_TEST_SEED and BERM_TEST_ROUNDS change
 * the run. */

#define ROUNDS_DEFAULT 1500

static const struct {
	const char *path;
	Berm__Wire__FileKind kind;
} host[] = {
	{"/a", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/a/b", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/a/b/c", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/a/b/c/f", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/a/b/g", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/a/bc", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/a/bc/f", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/a/f", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/b", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/b/c", BERM__WIRE__FILE_KIND__FILE_DIRECTORY},
	{"/b/c/f", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/b/f", BERM__WIRE__FILE_KIND__FILE_REGULAR},
	{"/c", BERM__WIRE__FILE_KIND__FILE_REGULAR},
};

static const char *const absent[] = {"/a/n", "/a/n/m", "/a/b/n", "/a/b/c/n", "/b/n", "/n"};
static const char *const globs[] = {"/a/*", "/a/**", "/*/c", "/**/f", "/a/b?", "/a/b/*", "/b/c/f*"};

static Berm__Wire__FileKind kind_of(const char *path)
{
	for (size_t i = 0; i < array_size(host); i++)
		if (strcmp(host[i].path, path) == 0)
			return host[i].kind;
	return BERM__WIRE__FILE_KIND__FILE_ABSENT;
}

static Berm__Wire__PathFact *path_fact(const char *path)
{
	Berm__Wire__PathFact *fact = malloc(sizeof(*fact));
	char existing[64];

	assert_non_null(fact);
	berm__wire__path_fact__init(fact);
	fact->path = strdup(path);
	fact->kind = fact->resolved_kind = kind_of(path);
	fact->links = 1;
	if (fact->kind != BERM__WIRE__FILE_KIND__FILE_ABSENT) {
		fact->resolved = strdup(path);
		return fact;
	}
	snprintf(existing, sizeof(existing), "%s", path);
	do {
		char *slash = strrchr(existing, '/');

		slash[slash == existing] = '\0';
	} while (existing[1] && kind_of(existing) == BERM__WIRE__FILE_KIND__FILE_ABSENT);
	fact->deepest_existing = strdup(existing);
	fact->missing = strdup(path + strlen(existing) + (existing[1] ? 1 : 0));
	fact->deepest_kind =
		existing[1] ? kind_of(existing) : BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	return fact;
}

static Berm__Wire__GlobFact *glob_fact(const char *pattern)
{
	Berm__Wire__GlobFact *fact = malloc(sizeof(*fact));

	assert_non_null(fact);
	berm__wire__glob_fact__init(fact);
	fact->pattern = strdup(pattern);
	fact->complete = true;
	fact->matches = calloc(array_size(host), sizeof(*fact->matches));
	for (size_t i = 0; i < array_size(host); i++)
		if (path_glob_match(pattern, host[i].path))
			fact->matches[fact->n_matches++] = path_fact(host[i].path);
	return fact;
}

static Berm__Wire__HostFacts *make_facts(void)
{
	Berm__Wire__HostFacts *facts = malloc(sizeof(*facts));

	assert_non_null(facts);
	berm__wire__host_facts__init(facts);
	facts->audit_arch = 0xc000003e;
	facts->landlock_abi = 7;
	facts->seccomp_filter = facts->seccomp_notify = true;
	facts->user_namespaces = facts->network_namespaces = true;
	facts->caller_uid = facts->caller_gid = 1000;
	facts->paths = calloc(array_size(host) + array_size(absent), sizeof(*facts->paths));
	for (size_t i = 0; i < array_size(host); i++)
		facts->paths[facts->n_paths++] = path_fact(host[i].path);
	for (size_t i = 0; i < array_size(absent); i++)
		facts->paths[facts->n_paths++] = path_fact(absent[i]);
	facts->globs = calloc(array_size(globs), sizeof(*facts->globs));
	for (size_t i = 0; i < array_size(globs); i++)
		facts->globs[facts->n_globs++] = glob_fact(globs[i]);
	return facts;
}

/* What the model of the kernel makes of an object. */
struct reach {
	bool read, write, exec;
};

static uint64_t landlock_access(const Berm__Wire__Plan *plan, const char *path)
{
	uint64_t access = 0;

	for (size_t i = 0; i < plan->landlock->n_paths; i++)
		if (path_is_beneath(path, plan->landlock->paths[i]->path))
			access |= plan->landlock->paths[i]->access;
	return access;
}

/* Mounts are in the order in which they are made: each one lies on those before it. */
static struct reach mount_reach(const Berm__Wire__Plan *plan, const char *path)
{
	struct reach r = {0};

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const Berm__Wire__Mount *m = plan->mounts[i];

		if (!path_is_beneath(path, m->target))
			continue;
		switch (m->kind) {
		case BERM__WIRE__MOUNT_KIND__MOUNT_BIND:
			r = (struct reach){true, !m->read_only, !m->no_exec};
			break;
		case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
			r.write = false;
			break;
		case BERM__WIRE__MOUNT_KIND__MOUNT_PIN:
		case BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY:
			break;
		case BERM__WIRE__MOUNT_KIND__MOUNT_UNSPECIFIED:
		case BERM__WIRE__MOUNT_KIND__MOUNT_TMPFS:
		case BERM__WIRE__MOUNT_KIND__MOUNT_DIR:
		case BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK:
		case BERM__WIRE__MOUNT_KIND__MOUNT_FILE:
		case BERM__WIRE__MOUNT_KIND__MOUNT_PROC:
		case BERM__WIRE__MOUNT_KIND__MOUNT_DEVPTS:
		case BERM__WIRE__MOUNT_KIND__MOUNT_DEVICE:
		case BERM__WIRE__MOUNT_KIND__MOUNT_HIDE:
		case BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE:
		case _BERM__WIRE__MOUNT_KIND_IS_INT_SIZE:
			r = (struct reach){0};
			break;
		}
	}
	return r;
}

static struct reach plan_reach(const Berm__Wire__Plan *plan, const char *path)
{
	uint64_t access = landlock_access(plan, path);
	struct reach r = mount_reach(plan, path);
	bool directory = kind_of(path) == BERM__WIRE__FILE_KIND__FILE_DIRECTORY;

	r.read = r.read &&
		 access & (directory ? LANDLOCK_ACCESS_FS_READ_DIR : LANDLOCK_ACCESS_FS_READ_FILE);
	r.write = r.write && access & (directory ? LANDLOCK_ACCESS_FS_MAKE_REG
						 : LANDLOCK_ACCESS_FS_WRITE_FILE);
	r.exec = r.exec && access & LANDLOCK_ACCESS_FS_EXECUTE;
	return r;
}

static const char *any_path(void)
{
	uint32_t i = random_below(array_size(host) + array_size(absent));

	return i < array_size(host) ? host[i].path : absent[i - array_size(host)];
}

static const char *any_existing(void)
{
	return host[random_below(array_size(host))].path;
}

static const char *path_or_glob(void)
{
	return random_below(3) ? any_path() : globs[random_below(array_size(globs))];
}

enum change {
	CHANGE_READ,
	CHANGE_WRITE,
	CHANGE_EXEC,
	CHANGES_THAT_ALLOW,
	CHANGE_DENY = CHANGES_THAT_ALLOW,
	CHANGE_PROTECT,
	CHANGE_ASK,
	CHANGE_EXEC_DENY,
	CHANGES
};

static void change(struct built *b, enum change what)
{
	struct profile *p = &b->profile;

	switch (what) {
	case CHANGE_READ:
		return built_path(b, &p->fs.read, any_existing(), PATH_READ);
	case CHANGE_WRITE:
		return built_path(b, &p->fs.write, any_existing(), PATH_READ);
	case CHANGE_EXEC:
		return built_exec_path(b, &p->exec.allow, any_existing());
	case CHANGE_DENY:
		return built_path(b, &p->fs.deny, path_or_glob(), PATH_READ);
	case CHANGE_PROTECT:
		return built_path(b, &p->fs.protect, path_or_glob(), PATH_READ);
	case CHANGE_ASK:
		return built_path(
			b, &p->fs.ask, any_path(), random_below(2) ? PATH_READ : PATH_WRITE);
	case CHANGE_EXEC_DENY:
		return built_exec_path(b, &p->exec.deny, any_existing());
	case CHANGES:
		return;
	}
}

static const char *const degraded[] = {"bpf", NULL};
static const char *const command[] = {"true", NULL};
static const struct plan_request request = {
	.argv = command, .home = "/h/u", .allow_degraded = degraded};

static Berm__Wire__Plan *compile(const struct built *b, const Berm__Wire__HostFacts *facts)
{
	Berm__Wire__Plan *plan = NULL;
	struct error err = {0};

	if (plan_compile(&b->profile, facts, &request, &plan, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return plan;
}

static void show(const Berm__Wire__Plan *plan)
{
	autotext struct text t = {0};

	plan_print(plan, &t);
	fputs(text_string(&t), stderr);
}

static bool decides(
	const struct built *b, enum operation operation, const char *path, bool *by_glob)
{
	struct verdict v;

	decide(&b->profile, operation, path, &v);
	*by_glob = v.value && path_has_glob(v.value);
	return v.decision == DECISION_ALLOW;
}

/* exec.deny on a file hides it, which is more than decide() says about reading. */
static bool is_hidden_program(const struct built *b, const char *path)
{
	const struct exec_rules *rules = &b->profile.exec.deny;

	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->items[i].path, path) == 0)
			return kind_of(path) == BERM__WIRE__FILE_KIND__FILE_REGULAR;
	return false;
}

static bool holds_one_of(const struct path_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->count; i++)
		if (path_is_beneath(rules->items[i].path, path))
			return true;
	return false;
}

/* A name that leads to an absent denied one is held with it: a placeholder stands there. */
static bool is_reserved_too(const struct built *b, const char *path)
{
	const struct profile *p = &b->profile;

	return kind_of(path) == BERM__WIRE__FILE_KIND__FILE_ABSENT &&
	       (holds_one_of(&p->fs.deny, path) || holds_one_of(&p->fs.protect, path) ||
		       holds_one_of(&p->fs.ask, path));
}

static void agree(
	const struct built *b, const Berm__Wire__Plan *plan, const char *path, uint64_t seed)
{
	bool there = kind_of(path) != BERM__WIRE__FILE_KIND__FILE_ABSENT;
	bool file = kind_of(path) == BERM__WIRE__FILE_KIND__FILE_REGULAR, by_glob;
	struct reach r = plan_reach(plan, path);
	bool read = decides(b, OPERATION_READ, path, &by_glob);
	bool write, exec;

	if (is_hidden_program(b, path)) {
		assert_false(r.read || r.write || r.exec);
		return;
	}
	/* Names that only a pattern describes are the known gap; their plan says so. */
	if (there && r.read != read) {
		show(plan);
		fail_msg("seed %llu: read %s: plan %d, decide %d", (unsigned long long)seed, path,
			r.read, read);
	}
	write = decides(b, OPERATION_WRITE, path, &by_glob);
	if ((there || !by_glob) && r.write != write && !(is_reserved_too(b, path) && !r.write)) {
		show(plan);
		fail_msg("seed %llu: write %s: plan %d, decide %d", (unsigned long long)seed, path,
			r.write, write);
	}
	exec = decides(b, OPERATION_EXEC, path, &by_glob);
	if (file && r.exec != exec) {
		show(plan);
		fail_msg("seed %llu: exec %s: plan %d, decide %d", (unsigned long long)seed, path,
			r.exec, exec);
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void random_profile(struct built *b)
{
	unsigned rules = 1 + random_below(7);

	built_init(b);
	b->profile.exec.default_decision = random_below(4) ? DECISION_ALLOW : DECISION_DENY;
	for (unsigned i = 0; i < rules; i++)
		change(b, random_below(2) ? random_below(2) : random_below(CHANGES));
	/* As a ceiling leaves some behind. */
	for (size_t i = 0; i < b->profile.fs.read.count; i++)
		b->profile.fs.read.items[i].no_exec = random_below(4) == 0;
}

static void a_plan_lets_through_what_decide_allows(void **state)
{
	const Berm__Wire__HostFacts *facts = *state;
	uint64_t seed = setting("BERM_TEST_SEED", 1),
		 rounds = setting("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	static struct built b;

	for (uint64_t i = 0; i < rounds; i++, seed++) {
		Berm__Wire__Plan *plan;

		random_seed(seed * 0x9e3779b97f4a7c15ULL);
		random_profile(&b);
		plan = compile(&b, facts);
		for (size_t k = 0; k < array_size(host); k++)
			agree(&b, plan, host[k].path, seed);
		for (size_t k = 0; k < array_size(absent); k++)
			agree(&b, plan, absent[k], seed);
		plan_destroy(plan);
	}
}

static bool within(struct reach less, struct reach more)
{
	return less.read <= more.read && less.write <= more.write;
}

static void a_line_that_allows_never_shrinks_and_one_that_denies_never_enlarges(void **state)
{
	const Berm__Wire__HostFacts *facts = *state;
	uint64_t seed = setting("BERM_TEST_SEED", 1),
		 rounds = setting("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	static struct built b;

	for (uint64_t i = 0; i < rounds; i++, seed++) {
		Berm__Wire__Plan *before, *after;
		enum change what;

		random_seed(seed * 0xd1342543de82ef95ULL);
		random_profile(&b);
		before = compile(&b, facts);
		what = random_below(CHANGES);
		change(&b, what);
		after = compile(&b, facts);
		for (size_t k = 0; k < array_size(host); k++) {
			struct reach old = plan_reach(before, host[k].path);
			struct reach new = plan_reach(after, host[k].path);
			bool good = what < CHANGES_THAT_ALLOW ? within(old, new) : within(new, old);

			if (!good) {
				show(before);
				show(after);
				fail_msg("seed %llu: change %d at %s", (unsigned long long)seed,
					what, host[k].path);
			}
		}
		plan_destroy(before);
		plan_destroy(after);
	}
}

static int set_up(void **state)
{
	*state = make_facts();
	return 0;
}

static int tear_down(void **state)
{
	berm__wire__host_facts__free_unpacked(*state, NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_plan_lets_through_what_decide_allows),
		cmocka_unit_test(
			a_line_that_allows_never_shrinks_and_one_that_denies_never_enlarges),
	};

	return cmocka_run_group_tests_name("plan-property", list, set_up, tear_down);
}
