/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "plan/plan.h"

#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "small-world.h"

/* What decide() says about a profile and what a plan made from it lets through must be one thing. A
 * small host, random profiles over it, and a model of what the kernel makes of a plan: the
 * innermost mount decides, and Landlock has to agree. BERM_TEST_SEED and BERM_TEST_ROUNDS change
 * the run. */

#define ROUNDS_DEFAULT 1500

static Berm__Wire__PathFact *path_fact(const char *path)
{
	Berm__Wire__PathFact *fact = malloc(sizeof(*fact));
	char existing[64];

	assert_non_null(fact);
	berm__wire__path_fact__init(fact);
	fact->path = strdup(path);
	fact->kind = fact->resolved_kind = world_kind(path);
	fact->links = 1;
	if (fact->kind != BERM__WIRE__FILE_KIND__FILE_ABSENT) {
		fact->resolved = strdup(path);
		/* For exec.hash: what is in a file. */
		fact->size_bytes = 1;
		fact->content.data = calloc(1, PLAN_DIGEST_BYTES);
		fact->content.len = PLAN_DIGEST_BYTES;
		assert_non_null(fact->content.data);
		return fact;
	}
	snprintf(existing, sizeof(existing), "%s", path);
	do {
		char *slash = strrchr(existing, '/');

		slash[slash == existing] = '\0';
	} while (existing[1] && world_kind(existing) == BERM__WIRE__FILE_KIND__FILE_ABSENT);
	fact->deepest_existing = strdup(existing);
	fact->missing = strdup(path + strlen(existing) + (existing[1] ? 1 : 0));
	fact->deepest_kind =
		existing[1] ? world_kind(existing) : BERM__WIRE__FILE_KIND__FILE_DIRECTORY;
	return fact;
}

static Berm__Wire__GlobFact *glob_fact(const char *pattern)
{
	Berm__Wire__GlobFact *fact = malloc(sizeof(*fact));

	assert_non_null(fact);
	berm__wire__glob_fact__init(fact);
	fact->pattern = strdup(pattern);
	fact->complete = true;
	fact->matches = calloc(WORLD_EXISTING, sizeof(*fact->matches));
	for (size_t i = 0; i < WORLD_EXISTING; i++)
		if (path_glob_match(pattern, world_paths()[i].path))
			fact->matches[fact->n_matches++] = path_fact(world_paths()[i].path);
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
	facts->paths = calloc(WORLD_PATHS, sizeof(*facts->paths));
	for (size_t i = 0; i < WORLD_PATHS; i++)
		facts->paths[facts->n_paths++] = path_fact(world_paths()[i].path);
	facts->globs = calloc(WORLD_GLOBS, sizeof(*facts->globs));
	for (size_t i = 0; i < WORLD_GLOBS; i++)
		facts->globs[facts->n_globs++] = glob_fact(world_globs()[i]);
	return facts;
}

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
		case BERM__WIRE__MOUNT_KIND__MOUNT_COPY:
			r = (struct reach){true, false, true};
			break;
		case BERM__WIRE__MOUNT_KIND__MOUNT_SEAL:
			r.write = false;
			break;
		case BERM__WIRE__MOUNT_KIND__MOUNT_STAGE:
			r.write = true;
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
	bool directory = world_kind(path) == BERM__WIRE__FILE_KIND__FILE_DIRECTORY;

	r.read = r.read &&
		 access & (directory ? LANDLOCK_ACCESS_FS_READ_DIR : LANDLOCK_ACCESS_FS_READ_FILE);
	r.write = r.write && access & (directory ? LANDLOCK_ACCESS_FS_MAKE_REG
						 : LANDLOCK_ACCESS_FS_WRITE_FILE);
	r.exec = r.exec && access & LANDLOCK_ACCESS_FS_EXECUTE;
	return r;
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

static void agree(const struct built *b, const Berm__Wire__Plan *plan,
	const struct world_path *path, uint64_t seed)
{
	char why[256];

	if (world_agrees(b, path, plan_reach(plan, path->path), why))
		return;
	show(plan);
	fail_msg("seed %llu: %s", (unsigned long long)seed, why);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
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
		world_profile(&b);
		plan = compile(&b, facts);
		for (size_t k = 0; k < WORLD_PATHS; k++)
			agree(&b, plan, &world_paths()[k], seed);
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
		world_profile(&b);
		before = compile(&b, facts);
		what = random_below(CHANGES);
		world_change(&b, what);
		after = compile(&b, facts);
		for (size_t k = 0; k < WORLD_EXISTING; k++) {
			struct reach old = plan_reach(before, world_paths()[k].path);
			struct reach new = plan_reach(after, world_paths()[k].path);
			bool good = what < CHANGES_THAT_ALLOW ? within(old, new) : within(new, old);

			if (!good) {
				show(before);
				show(after);
				fail_msg("seed %llu: change %d at %s", (unsigned long long)seed,
					what, world_paths()[k].path);
			}
		}
		plan_destroy(before);
		plan_destroy(after);
	}
}

static const Berm__Wire__Mount *last_mount(const Berm__Wire__Plan *plan, const char *path)
{
	const Berm__Wire__Mount *last = NULL;

	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind != BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY &&
			path_is_beneath(path, plan->mounts[i]->target))
			last = plan->mounts[i];
	return last;
}

static bool names_a_directory(const struct exec_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (world_kind(rules->items[i].path) == BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
			return true;
	return false;
}

static void drop_directories(struct exec_rules *rules)
{
	size_t kept = 0;

	for (size_t i = 0; i < rules->count; i++)
		if (world_kind(rules->items[i].path) != BERM__WIRE__FILE_KIND__FILE_DIRECTORY)
			rules->items[kept++] = rules->items[i];
	rules->count = kept;
}

/* The model's own words, not those of the compiler: under exec.hash a profile is refused, or what
 * can be executed is a copy at that very path, and the rules of a plan give the right to no tree.
 */
static void nothing_but_copies_can_be_executed_where_programs_are_pinned(void **state)
{
	const Berm__Wire__HostFacts *facts = *state;
	/* To be shown, not run: a run without a program is refused. */
	const struct plan_request shown = {.home = "/h/u", .allow_degraded = degraded};
	uint64_t seed = setting("BERM_TEST_SEED", 1),
		 rounds = setting("BERM_TEST_ROUNDS", ROUNDS_DEFAULT);
	unsigned refused = 0, held = 0, run = 0;
	static struct built b;

	for (uint64_t i = 0; i < rounds; i++, seed++) {
		Berm__Wire__Plan *plan = NULL;
		struct error err = {0};
		bool bad;

		random_seed(seed * 0xbf58476d1ce4e5b9ULL);
		world_profile(&b);
		b.profile.exec.hash = EXEC_HASH_PIN;
		for (unsigned k = random_below(4); k > 0; k--)
			world_change(&b, CHANGE_EXEC);
		/* Mostly what can be pinned. */
		if (random_below(4)) {
			b.profile.exec.default_decision = DECISION_DENY;
			drop_directories(&b.profile.exec.allow);
		}
		bad = b.profile.exec.default_decision == DECISION_ALLOW ||
		      names_a_directory(&b.profile.exec.allow);
		if ((plan_compile(&b.profile, facts, &shown, &plan, NULL, &err) < 0) != bad)
			fail_msg("seed %llu: %s", (unsigned long long)seed, err.text);
		refused += bad;
		for (size_t k = 0; !bad && k < plan->landlock->n_paths; k++) {
			const Berm__Wire__LandlockPath *p = plan->landlock->paths[k];

			if (p->access & LANDLOCK_ACCESS_FS_EXECUTE)
				assert_int_equal(last_mount(plan, p->path)->kind,
					BERM__WIRE__MOUNT_KIND__MOUNT_COPY);
		}
		for (size_t k = 0; !bad && k < WORLD_PATHS; k++) {
			const char *path = world_paths()[k].path;

			if (!plan_reach(plan, path).exec)
				continue;
			run++;
			assert_string_equal(last_mount(plan, path)->target, path);
			assert_int_equal(
				last_mount(plan, path)->kind, BERM__WIRE__MOUNT_KIND__MOUNT_COPY);
		}
		held += !bad;
		plan_destroy(plan);
	}
	assert_true(refused > 0 && held > 0 && run > 0);
	print_message("# %u refused, %u held, %u programs\n", refused, held, run);
}

static int set_up(void **state)
{
	world_init("");
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
		cmocka_unit_test(nothing_but_copies_can_be_executed_where_programs_are_pinned),
	};

	return cmocka_run_group_tests_name("plan-property", list, set_up, tear_down);
}
