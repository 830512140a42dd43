/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "counted-malloc.h"
#include "facts-text.h"
#include "plan/plan.h"
#include "profile-build.h"

/* Every allocation of plan_compile() fails in its turn: the answer is -ENOMEM, and nothing is lost.
 * Not built with the sanitizers, which have an allocator of their own. */

static const char host_text[] =
	"audit_arch 0xc000003e\n"
	"landlock_abi 7\n"
	"seccomp_filter 1\n"
	"seccomp_notify 1\n"
	"user_namespaces 1\n"
	"network_namespaces 1\n"
	"cgroup_v2 1\n"
	"cgroup_parent /sys/fs/cgroup/x\n"
	"cgroup_controllers memory\n"
	"caller_uid 1000\n"
	"caller_gid 1000\n"
	"path /bin kind=symlink link_target=usr/bin resolved=/usr/bin\n"
	"path /opt/link resolved=/opt/real\n"
	"path /usr\n"
	"path /srv/w\n"
	"path /srv/w/.git/hooks\n"
	"path /srv/w/.envrc kind=absent deepest_existing=/srv/w missing=.envrc\n"
	"path /srv/w/a/b kind=absent deepest_existing=/srv/w missing=a/b\n"
	"glob /srv/w/*.pem complete=1\n"
	"match /srv/w/k.pem kind=regular\n";

static const char *const command[] = {"true", "x", NULL};
static const char *const environ_words[] = {"LANG=C", "HOME=/x", NULL};
static const char *const extra[] = {"A=b", NULL};
static const char *const degraded[] = {"bpf", NULL};

static void fill(struct built *b)
{
	struct profile *p = &b->profile;

	built_init(b);
	built_path(b, &p->fs.read, "/usr", PATH_READ);
	built_path(b, &p->fs.read, "/bin", PATH_READ);
	built_path(b, &p->fs.read, "/opt/link", PATH_READ);
	built_path(b, &p->fs.write, "/srv/w", PATH_READ);
	built_path(b, &p->fs.protect, "/srv/w/.git/hooks", PATH_READ);
	built_path(b, &p->fs.protect, "/srv/w/.envrc", PATH_READ);
	built_path(b, &p->fs.ask, "/srv/w/a/b", PATH_READ);
	built_path(b, &p->fs.deny, "/srv/w/*.pem", PATH_READ);
	built_string(b, &p->env.pass, "LANG");
	built_set(b, "CI", "true");
	p->limits.memory_bytes.set = true;
	p->limits.memory_bytes.value = 1 << 30;
}

/* A host whose kernel counts, and a profile that wants all of it. */
static const char meter_text[] = "privileged 1\n"
				 "id_mapped_mounts 1\n"
				 "meter_programs 2\n"
				 "meter_make lsm\n"
				 "network_pool 10.143.0.0/16\n"
				 "path /srv/w/decoy kind=regular\n"
				 "glob /srv/w/**/.env* complete=1\n";

static void fill_meter(struct built *b)
{
	static struct trigger triggers[] = {
		{.event = TRIGGER_BLAST_RADIUS, .above_percent = {.set = true, .value = 50}},
		{.event = TRIGGER_CANARY_TOUCHED},
		{.event = TRIGGER_DENIAL,
			.count = {.set = true, .value = 3},
			.within_ms = {.set = true, .value = 60000}}};
	struct profile *p = &b->profile;

	fill(b);
	built_path(b, &p->fs.deny, "/srv/w/**/.env*", PATH_READ);
	built_path(b, &p->fs.canaries, "/srv/w/decoy", PATH_READ);
	p->network.allow.items[p->network.allow.count++] =
		(struct network_rule){.cidr = "0.0.0.0/0"};
	p->network.deny.items[p->network.deny.count++] =
		(struct network_rule){.cidr = "10.0.0.0/8"};
	p->blast_radius.files_deleted = (struct limit){.set = true, .value = 25};
	p->blast_radius.warn_at = (struct limit){.set = true, .value = 10};
	p->pace.alternate.when = (struct triggers){triggers, array_size(triggers)};
	p->pace.alternate.then.network = (struct limit){.set = true, .value = RESPONSE_ASK};
}

static void fail_each(void (*prepare)(struct built *b), const char *host, long least)
{
	static struct built b;
	Berm__Wire__HostFacts *facts = facts_from_text(host);
	const struct plan_request request = {.argv = command,
		.home = "/srv/home",
		.working_directory = "/srv/w",
		.environment = environ_words,
		.env_extra = extra,
		.allow_degraded = degraded,
		.run_id = "run"};
	int r = -ENOMEM;
	long n;

	prepare(&b);
	for (n = 0; r == -ENOMEM; n++) {
		Berm__Wire__Plan *plan = NULL;
		struct text notes = {0};
		struct error err = {0};
		long before = live;

		allocations_left = n;
		r = plan_compile(&b.profile, facts, &request, &plan, &notes, &err);
		allocations_left = -1;
		if (r == -ENOMEM)
			assert_null(plan);
		plan_destroy(plan);
		text_finish(&notes);
		if (live != before)
			fail_msg("allocation %ld: %ld lost", n, live - before);
	}
	assert_int_equal(r, 0);
	/* Fewer would mean that the failures did not reach the compiler. */
	assert_in_range(n, least, 100000);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void every_allocation_may_fail(void **state)
{
	(void)state;
	fail_each(fill, host_text, 200);
}

static void every_allocation_of_a_metered_plan_may_fail(void **state)
{
	autotext struct text host = {0};

	(void)state;
	text_printf(&host, "%s%s", host_text, meter_text);
	fail_each(fill_meter, text_string(&host), 400);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(every_allocation_of_a_metered_plan_may_fail),
	};

	return cmocka_run_group_tests_name("plan-memory", list, NULL, NULL);
}
