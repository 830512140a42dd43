/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/path.h"
#include "facts-text.h"
#include "plan/plan.h"

#include <string.h>

/* A small machine with a merged /usr, and its user. */
static const char host_text[] =
	"audit_arch 0xc000003e\n"
	"landlock_abi 7\n"
	"seccomp_filter 1\n"
	"seccomp_notify 1\n"
	"user_namespaces 1\n"
	"network_namespaces 1\n"
	"caller_uid 1000\n"
	"caller_gid 1000\n"
	"caller_name u\n"
	"caller_home /srv/u\n"
	"path /bin kind=symlink link_target=usr/bin resolved=/usr/bin\n"
	"path /lib64 kind=symlink link_target=usr/lib64 resolved=/usr/lib64\n"
	"path /dev/tty kind=device\n"
	"path /usr\n"
	"path / ino=2\n"
	"path /proc\n"
	"path /proc/sys/kernel\n"
	"path /sys\n"
	"path /sys/fs\n"
	"path /dev\n"
	"path /srv/u\n"
	"path /srv/u/w\n"
	"path /srv/u/w/vendor\n"
	"path /srv/u/w/.git/hooks\n"
	"path /srv/u/w/.envrc kind=absent deepest_existing=/srv/u/w missing=.envrc\n"
	"path /srv/u/w/key kind=regular\n"
	"path /srv/u/.ssh\n";

struct fixture {
	struct profile profile;
	struct path_rule read[4], write[4], deny[4], protect[4];
	Berm__Wire__HostFacts *facts;
	struct plan_request request;
	Berm__Wire__Plan *plan;
	struct text notes;
	struct error err;
};

static void add_rule(struct path_rules *rules, struct path_rule *items, const char *path)
{
	rules->items = items;
	items[rules->count++] = (struct path_rule){
		.path = path, .written = path, .at = {"test.yaml", (uint32_t)rules->count, 5}};
}

static const char *const command[] = {"true", NULL};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->profile.name = "test";
	f->profile.exec.default_decision = DECISION_ALLOW;
	f->profile.fs.tmp.private = f->profile.fs.home.private = true;
	f->facts = facts_from_text(host_text);
	f->request.argv = command;
	f->request.home = "/srv/u";
	f->request.working_directory = "/srv/u/w";
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	plan_destroy(f->plan);
	text_finish(&f->notes);
	berm__wire__host_facts__free_unpacked(f->facts, NULL);
	free(f);
	return 0;
}

static void compile(struct fixture *f)
{
	int r = plan_compile(&f->profile, f->facts, &f->request, &f->plan, &f->notes, &f->err);

	if (r < 0)
		fail_msg("%s", f->err.text);
}

static const Berm__Wire__Mount *find_mount(
	const Berm__Wire__Plan *plan, Berm__Wire__MountKind kind, const char *target)
{
	for (size_t i = 0; i < plan->n_mounts; i++)
		if (plan->mounts[i]->kind == kind && strcmp(plan->mounts[i]->target, target) == 0)
			return plan->mounts[i];
	return NULL;
}

static void every_parent_comes_before_its_children(void **state)
{
	struct fixture *f = *state;

	add_rule(&f->profile.fs.read, f->read, "/usr");
	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.git/hooks");
	compile(f);
	for (size_t i = 1; i < f->plan->n_mounts; i++) {
		const char *target = f->plan->mounts[i]->target;
		autofree char *parent = strcmp(target, "/") ? path_parent(target) : NULL;
		bool there = !parent || strncmp(target, "/srv/u/w/", 9) == 0;

		for (size_t k = 0; k < i && !there; k++)
			there = strcmp(f->plan->mounts[k]->target, parent) == 0;
		if (!there)
			fail_msg("%s comes before its parent", target);
	}
	assert_string_equal(f->plan->mounts[f->plan->n_mounts - 1]->target, "/");
	assert_int_equal(f->plan->mounts[f->plan->n_mounts - 1]->kind,
		BERM__WIRE__MOUNT_KIND__MOUNT_READ_ONLY);
}

static void links_of_a_merged_usr_follow_its_grant(void **state)
{
	struct fixture *f = *state;
	const Berm__Wire__Mount *link;

	compile(f);
	assert_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK, "/bin"));
	plan_destroy(f->plan);
	f->plan = NULL;
	add_rule(&f->profile.fs.read, f->read, "/usr");
	compile(f);
	link = find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_SYMLINK, "/bin");
	assert_non_null(link);
	assert_int_equal(link->content.len, strlen("usr/bin"));
	assert_memory_equal(link->content.data, "usr/bin", link->content.len);
}

static void an_absent_protected_name_is_reserved_and_its_parents_are_pinned(void **state)
{
	struct fixture *f = *state;
	const Berm__Wire__Mount *m;

	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.envrc");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.git/hooks");
	add_rule(&f->profile.fs.deny, f->deny, "/srv/u/w/key");
	add_rule(&f->profile.fs.deny, f->deny, "/srv/u/.ssh");
	compile(f);
	m = find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE, "/srv/u/w/.envrc");
	assert_non_null(m);
	assert_string_equal(m->source, "/srv/u/w/.envrc");
	assert_non_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_PIN, "/srv/u/w/.git"));
	assert_non_null(
		find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_SEAL, "/srv/u/w/.git/hooks"));
	assert_non_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_HIDE, "/srv/u/w/key"));
	/* Not in the new root at all: nothing to hide. */
	assert_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_HIDE, "/srv/u/.ssh"));
}

static void no_name_is_taken_for_what_is_optional_and_absent(void **state)
{
	struct fixture *f = *state;

	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.envrc");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.git/hooks");
	add_rule(&f->profile.fs.deny, f->deny, "/srv/u/w/key");
	f->protect[0].optional = f->protect[1].optional = f->deny[0].optional = true;
	compile(f);
	assert_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE, "/srv/u/w/.envrc"));
	/* What is there is held all the same. */
	assert_non_null(
		find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_SEAL, "/srv/u/w/.git/hooks"));
	assert_non_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_HIDE, "/srv/u/w/key"));
}

static void reading_inside_writing_takes_nothing_away(void **state)
{
	struct fixture *f = *state;

	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	add_rule(&f->profile.fs.read, f->read, "/srv/u/w/vendor");
	compile(f);
	assert_non_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, "/srv/u/w"));
	assert_null(find_mount(f->plan, BERM__WIRE__MOUNT_KIND__MOUNT_BIND, "/srv/u/w/vendor"));
}

static void the_same_input_gives_the_same_digest(void **state)
{
	struct fixture *f = *state;
	uint8_t one[PLAN_DIGEST_BYTES], two[PLAN_DIGEST_BYTES];

	add_rule(&f->profile.fs.read, f->read, "/usr");
	compile(f);
	assert_int_equal(plan_digest(f->plan, one), 0);
	plan_destroy(f->plan);
	f->plan = NULL;
	compile(f);
	assert_int_equal(plan_digest(f->plan, two), 0);
	assert_memory_equal(one, two, sizeof(one));
	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	plan_destroy(f->plan);
	f->plan = NULL;
	compile(f);
	assert_int_equal(plan_digest(f->plan, two), 0);
	assert_memory_not_equal(one, two, sizeof(one));
}

static void digest_of_run(struct fixture *f, const char *run, uint8_t ret_digest[PLAN_DIGEST_BYTES])
{
	plan_destroy(f->plan);
	f->plan = NULL;
	f->request.run_id = run;
	compile(f);
	assert_int_equal(plan_digest(f->plan, ret_digest), 0);
}

/* As root each run has a name and a uid of its own; what it may do is the same. */
static void two_runs_of_a_plan_have_one_digest(void **state)
{
	struct fixture *f = *state;
	uint8_t one[PLAN_DIGEST_BYTES], two[PLAN_DIGEST_BYTES];
	uint32_t uid;

	add_rule(&f->profile.fs.read, f->read, "/usr");
	f->facts->privileged = true;
	f->facts->caller_uid = f->facts->caller_gid = 0;
	digest_of_run(f, "01M82QMDHEJ9RG488NEWFXJ20T", one);
	uid = f->plan->identity->outside_uid;
	digest_of_run(f, "01M82QMDJBPM3T8Q39SXXJCNR6", two);
	assert_int_not_equal(uid, f->plan->identity->outside_uid);
	assert_memory_equal(one, two, sizeof(one));
	/* A caller's own uid is a part of the plan. */
	f->facts->caller_uid = 1001;
	digest_of_run(f, "01M82QMDJBPM3T8Q39SXXJCNR6", two);
	assert_memory_not_equal(one, two, sizeof(one));
}

static void refused(struct fixture *f, enum error_kind kind, const char *words)
{
	int r = plan_compile(&f->profile, f->facts, &f->request, &f->plan, &f->notes, &f->err);

	if (r == 0)
		fail_msg("it is compiled, and should be refused: %s", words);
	assert_null(f->plan);
	assert_int_equal(r, f->err.code);
	assert_int_equal(f->err.kind, kind);
	if (!strstr(f->err.text, words))
		fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
}

/* The loader refuses these lines too; the compiler does not rely on it. */
static void places_that_nobody_may_write_are_refused(void **state)
{
	static const char *const places[] = {
		"/", "/proc", "/proc/sys/kernel", "/sys", "/sys/fs", "/dev"};
	struct fixture *f = *state;

	for (size_t i = 0; i < array_size(places); i++) {
		f->profile.fs.write.count = 0;
		add_rule(&f->profile.fs.write, f->write, places[i]);
		refused(f, ERROR_INPUT, "cannot be granted");
		assert_non_null(strstr(f->err.text, "test.yaml:1:5"));
	}
}

static void what_the_loader_forgot_to_call_pending_is_refused(void **state)
{
	struct network_rule rule = {.host = "example.org", .at = {"test.yaml", 7, 3}};
	struct fixture *f = *state;

	f->profile.network.allow = (struct network_rules){&rule, 1};
	refused(f, ERROR_UNSUPPORTED, "test.yaml:7:3: network.allow");
	f->profile.network.allow.count = 0;
	f->profile.network.deny = (struct network_rules){&rule, 1};
	f->profile.network.mode = NETWORK_MODE_HOST;
	refused(f, ERROR_UNSUPPORTED, "test.yaml:7:3: network.deny");
	/* Without a network every denial holds. */
	f->profile.network.mode = NETWORK_MODE_SCOPED;
	compile(f);
}

static void a_path_without_a_fact_is_a_bug_and_no_grant(void **state)
{
	struct fixture *f = *state;

	add_rule(&f->profile.fs.read, f->read, "/nobody/asked");
	refused(f, ERROR_INTERNAL, "/nobody/asked");
	f->profile.fs.read.count = 0;
	add_rule(&f->profile.fs.deny, f->deny, "/nobody/asked");
	refused(f, ERROR_INTERNAL, "/nobody/asked");
	f->profile.fs.deny.items[0].is_glob = true;
	refused(f, ERROR_INTERNAL, "/nobody/asked");
}

static void a_variable_that_is_too_large_is_refused(void **state)
{
	static char word[32 * 4096 + 8] = "BIG=";
	const char *extra[] = {word, NULL};
	struct fixture *f = *state;

	memset(word + 4, 'x', 32 * 4096 - 1 - 4);
	f->request.env_extra = extra;
	compile(f);
	plan_destroy(f->plan);
	f->plan = NULL;
	memset(word + 4, 'x', 32 * 4096 - 4);
	refused(f, ERROR_INPUT, "BIG is too large");
}

static void an_environment_that_is_too_large_is_refused(void **state)
{
	static char words[10][120 * 1024];
	const char *extra[11] = {0};
	struct fixture *f = *state;

	for (size_t i = 0; i < array_size(words); i++) {
		memset(words[i], 'x', sizeof(words[i]) - 1);
		memcpy(words[i], (const char[]){'A', (char)('A' + i), '='}, 3);
		extra[i] = words[i];
	}
	f->request.env_extra = extra;
	refused(f, ERROR_INPUT, "is too large");
	extra[7] = NULL;
	compile(f);
}

static void a_feature_that_is_there_may_be_named_as_degraded(void **state)
{
	static const char *const names[] = {"landlock", "netns", "bpf", "cgroup", "idmap", NULL};
	struct fixture *f = *state;

	f->request.allow_degraded = names;
	add_rule(&f->profile.fs.read, f->read, "/usr");
	compile(f);
	assert_int_equal(f->plan->n_degraded, 0);
	plan_destroy(f->plan);
	f->plan = NULL;
	f->facts->landlock_abi = 0;
	compile(f);
	assert_int_equal(f->plan->n_degraded, 1);
	assert_string_equal(f->plan->degraded[0], "landlock");
}

static void every_rule_says_by_what_it_is_enforced(void **state)
{
	struct fixture *f = *state;

	add_rule(&f->profile.fs.read, f->read, "/usr");
	add_rule(&f->profile.fs.write, f->write, "/srv/u/w");
	add_rule(&f->profile.fs.protect, f->protect, "/srv/u/w/.envrc");
	add_rule(&f->profile.fs.deny, f->deny, "/srv/u/.ssh");
	compile(f);
	for (size_t i = 0; i < f->plan->n_rules; i++)
		if (!*f->plan->rules[i]->enforced_by)
			fail_msg("%s is enforced by nothing", f->plan->rules[i]->key);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup_teardown(
			every_parent_comes_before_its_children, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			links_of_a_merged_usr_follow_its_grant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_absent_protected_name_is_reserved_and_its_parents_are_pinned, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			no_name_is_taken_for_what_is_optional_and_absent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			reading_inside_writing_takes_nothing_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_same_input_gives_the_same_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			two_runs_of_a_plan_have_one_digest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			places_that_nobody_may_write_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_the_loader_forgot_to_call_pending_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_path_without_a_fact_is_a_bug_and_no_grant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_variable_that_is_too_large_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_environment_that_is_too_large_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_feature_that_is_there_may_be_named_as_degraded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			every_rule_says_by_what_it_is_enforced, set_up, tear_down),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
