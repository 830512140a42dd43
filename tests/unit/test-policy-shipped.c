/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/path.h"
#include "facts-text.h"
#include "plan/plan.h"
#include "policy/decide.h"

/* What the profiles of this source tree do: they load without a word, their own tests hold, and a
 * plan comes out of them on a host without eBPF and without cgroups of version 2. */

#define WORKDIR "/srv/repo"
#define USER_HOME "/srv/user"

struct shipped {
	const char *name;
	bool writes_work, runs_work, reads_work;
};

static const struct shipped shipped[] = {
	{"base-linux", false, false, false},
	{"coding-agent", true, true, true},
	{"coding-agent-metered", true, true, true},
	{"mcp-server", true, false, true},
	{"read-only", false, false, true},
	{"no-network-compute", true, false, true},
	{"ci-build", true, true, true},
};

static struct profile *load(const char *name)
{
	const char *source = getenv("BERM_SOURCE");
	struct profile_request request = {
		.profile = name,
		.variables = {.home = USER_HOME,
			.workdir = WORKDIR,
			.tmpdir = "/tmp",
			.state = "/srv/state",
			.run_id = "r1",
			.uid = "1000"},
	};
	const char *search[] = {NULL, NULL};
	struct profile *profile = NULL;
	autotext struct text said = {0};
	autofree char *dir = NULL;
	struct error err = {0};
	struct stat st;

	assert_non_null(source);
	assert_true(asprintf(&dir, "%s/profiles", source) > 0);
	assert_int_equal(stat(dir, &st), 0);
	search[0] = dir;
	request.search_path = search;
	request.trusted_uid = st.st_uid;
	if (profile_load(&request, &profile, &said, &err) < 0)
		fail_msg("%s: %s\n%s", name, err.text, text_string(&said));
	if (said.length > 0)
		fail_msg("%s does not load without a word:\n%s", name, text_string(&said));
	return profile;
}

static void every_profile_loads_without_a_word_and_keeps_its_own_tests(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(shipped); i++) {
		autoprofile struct profile *p = load(shipped[i].name);

		assert_string_equal(p->name, shipped[i].name);
		assert_non_null(p->description);
		assert_true(p->tests.count >= 5);
		for (size_t k = 0; k < p->tests.count; k++) {
			const struct test_rule *test = &p->tests.items[k];
			enum operation operation = operation_from_name(test->operation);
			struct verdict v;

			assert_true(operation < OPERATION_COUNT);
			assert_non_null(test->name);
			decide(p, operation, test->object, &v);
			if (v.decision != test->expect)
				fail_msg("%s:%u: %s %s: %s by %s", test->at.file, test->at.line,
					test->operation, test->object, decision_name(v.decision),
					v.rule);
		}
	}
}

static void check(const struct shipped *s, const struct profile *p, enum operation operation,
	const char *object, bool allowed)
{
	struct verdict v;

	decide(p, operation, object, &v);
	if (v.decision != (allowed ? DECISION_ALLOW : DECISION_DENY))
		fail_msg("%s: %s %s: %s by %s", s->name, operation_name(operation), object,
			decision_name(v.decision), v.rule);
}

static void no_profile_gives_keys_the_network_or_the_system_away(void **state)
{
	static const struct {
		enum operation operation;
		const char *object;
	} never[] = {
		{OPERATION_READ, "/etc/shadow"},
		{OPERATION_READ, "/etc/gshadow"},
		{OPERATION_READ, "/etc/sudoers"},
		{OPERATION_READ, "/etc/ssh/ssh_host_ed25519_key"},
		{OPERATION_READ, "/etc/ssl/private/server.key"},
		{OPERATION_READ, "/etc/pki/tls/private/server.key"},
		{OPERATION_READ, USER_HOME "/.ssh/id_ed25519"},
		{OPERATION_READ, USER_HOME "/.aws/credentials"},
		{OPERATION_READ, USER_HOME "/.bash_history"},
		{OPERATION_READ, USER_HOME "/notes.txt"},
		{OPERATION_READ, "/var/lib/dpkg/status"},
		{OPERATION_READ, "/run/docker.sock"},
		{OPERATION_READ, "/dev/sda"},
		{OPERATION_READ, "/sys/kernel/notes"},
		{OPERATION_READ, WORKDIR "/.env"},
		{OPERATION_READ, WORKDIR "/.env.local"},
		{OPERATION_READ, WORKDIR "/.env.production"},
		{OPERATION_READ, WORKDIR "2/neighbour"},
		{OPERATION_WRITE, "/usr/bin/env"},
		{OPERATION_WRITE, "/etc/ld.so.cache"},
		{OPERATION_WRITE, "/etc/cron.d/x"},
		{OPERATION_WRITE, USER_HOME "/.bashrc"},
		{OPERATION_WRITE, WORKDIR "/.git/hooks/pre-commit"},
		{OPERATION_WRITE, WORKDIR "/.git/config"},
		{OPERATION_WRITE, WORKDIR "/.git/commondir"},
		{OPERATION_WRITE, WORKDIR "/.git/index"},
		{OPERATION_WRITE, WORKDIR "/.git"},
		{OPERATION_EXEC, "/dev/shm/x"},
		{OPERATION_CONNECT, "example.org:443"},
		{OPERATION_CONNECT, "192.0.2.1:53/udp"},
		{OPERATION_CONNECT, "169.254.169.254:80"},
		{OPERATION_CONNECT, "unix:/run/docker.sock"},
		{OPERATION_CONNECT, "unix:" WORKDIR "/server.sock"},
		{OPERATION_SYSCALL, "bpf"},
		{OPERATION_SYSCALL, "mount"},
		{OPERATION_SYSCALL, "unshare"},
		{OPERATION_SYSCALL, "ptrace"},
		{OPERATION_SYSCALL, "io_uring_setup"},
		{OPERATION_SYSCALL, "keyctl"},
		{OPERATION_ENV, "AWS_SECRET_ACCESS_KEY"},
		{OPERATION_ENV, "GITHUB_TOKEN"},
		{OPERATION_ENV, "SSH_AUTH_SOCK"},
		{OPERATION_ENV, "LD_PRELOAD"},
		{OPERATION_ENV, "LC_TOKEN\x01"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(shipped); i++) {
		autoprofile struct profile *p = load(shipped[i].name);

		for (size_t k = 0; k < array_size(never); k++)
			check(&shipped[i], p, never[k].operation, never[k].object, false);
	}
}

static void every_profile_gives_what_it_is_for(void **state)
{
	static const char *const system_reads[] = {"/usr/lib/x.so", "/bin/sh", "/lib64/ld.so",
		"/etc/ld.so.cache", "/etc/ssl/certs/ca.crt", "/etc/localtime",
		"/etc/alternatives/cc", "/etc/nsswitch.conf", "/etc/mime.types", "/dev/null",
		"/proc/self/maps", "/etc/passwd"};

	(void)state;
	for (size_t i = 0; i < array_size(shipped); i++) {
		const struct shipped *s = &shipped[i];
		autoprofile struct profile *p = load(s->name);

		for (size_t k = 0; k < array_size(system_reads); k++)
			check(s, p, OPERATION_READ, system_reads[k], true);
		check(s, p, OPERATION_EXEC, "/usr/bin/python3", true);
		check(s, p, OPERATION_EXEC, "/usr/local/bin/node", true);
		check(s, p, OPERATION_WRITE, "/tmp/x", true);
		check(s, p, OPERATION_WRITE, "/dev/null", true);
		check(s, p, OPERATION_ENV, "LANG", true);
		check(s, p, OPERATION_READ, WORKDIR "/src/a.c", s->reads_work);
		check(s, p, OPERATION_READ, WORKDIR "/.git/config", s->reads_work);
		check(s, p, OPERATION_WRITE, WORKDIR "/src/a.c", s->writes_work);
		check(s, p, OPERATION_EXEC, WORKDIR "/build/a.out", s->runs_work);
		check(s, p, OPERATION_EXEC, "/tmp/a.out", s->runs_work);
	}
}

/* A host where every path of the profile's /usr and /etc lines is there and, of the workspace, what
 * a fresh repository has (or nothing at all). */
static Berm__Wire__HostFacts *make_facts(const struct profile *p, bool privileged, bool repository)
{
	const char *const *lists[2] = {NULL, plan_fact_paths()};
	autofree const char **paths = NULL, **globs = NULL;
	autotext struct text text = {0};

	assert_int_equal(profile_paths(p, &paths, &globs), 0);
	assert_null(globs[0]);
	lists[0] = paths;
	text_printf(&text,
		"audit_arch 0xc000003e\nlandlock_abi 3\nseccomp_filter 1\nseccomp_notify 1\n"
		"user_namespaces 1\nnetwork_namespaces 1\nprivileged %d\nid_mapped_mounts %d\n"
		"caller_uid 1000\ncaller_gid 1000\ncaller_name user\ncaller_home %s\n"
		"cgroup_layout v1\npath %s\npath %s\n",
		privileged, privileged, USER_HOME, USER_HOME, WORKDIR);
	for (size_t l = 0; l < array_size(lists); l++)
		for (size_t i = 0; lists[l][i]; i++) {
			const char *path = lists[l][i];
			bool work = path_is_beneath(path, WORKDIR);
			bool home = path_is_beneath(path, USER_HOME);

			if (strcmp(path, WORKDIR) == 0 || strcmp(path, USER_HOME) == 0)
				continue;
			if (home)
				text_printf(&text,
					"path %s kind=absent deepest_existing=%s missing=%s\n",
					path, USER_HOME, path + strlen(USER_HOME) + 1);
			else if (work && !(repository && strcmp(path, WORKDIR "/.git") == 0))
				text_printf(&text,
					"path %s kind=absent deepest_existing=%s missing=%s\n",
					path, WORKDIR, path + strlen(WORKDIR) + 1);
			else
				text_printf(&text, "path %s\n", path);
		}
	assert_false(text.failed);
	return facts_from_text(text_string(&text));
}

static void compile(const struct shipped *s, bool privileged, bool repository)
{
	static const char *const argv[] = {"true", NULL};
	static const char *const environment[] = {"LANG=C", NULL};
	autoprofile struct profile *p = load(s->name);
	Berm__Wire__HostFacts *facts = make_facts(p, privileged, repository);
	struct plan_request request = {.argv = argv,
		.environment = environment,
		.home = USER_HOME,
		.working_directory = WORKDIR,
		.run_id = "r1"};
	Berm__Wire__Plan *plan = NULL;
	autotext struct text notes = {0};
	struct error err = {0};
	unsigned reserved = 0;

	assert_int_equal(p->pending.count, 0);
	assert_false(p->degrade);
	assert_false(p->limits.cpu_percent.set);
	if (plan_compile(p, facts, &request, &plan, &notes, &err) < 0)
		fail_msg("%s (%s, %s): %s", s->name, privileged ? "root" : "user",
			repository ? "repository" : "empty", err.text);
	assert_int_equal(plan->n_degraded, 0);
	assert_int_equal(plan->network->mode, BERM__WIRE__NETWORK_MODE__NETWORK_NONE);
	for (size_t i = 0; i < plan->n_mounts; i++)
		reserved += plan->mounts[i]->kind == BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE;
	/* Every reserved name is an empty directory on the host for as long as the run lasts. */
	assert_in_range(reserved, 0, 8);
	plan_destroy(plan);
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void every_profile_becomes_a_plan_without_ebpf_as_root_and_as_a_user(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(shipped); i++)
		for (unsigned privileged = 0; privileged < 2; privileged++)
			for (unsigned repository = 0; repository < 2; repository++)
				compile(&shipped[i], privileged, repository);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(every_profile_loads_without_a_word_and_keeps_its_own_tests),
		cmocka_unit_test(no_profile_gives_keys_the_network_or_the_system_away),
		cmocka_unit_test(every_profile_gives_what_it_is_for),
		cmocka_unit_test(every_profile_becomes_a_plan_without_ebpf_as_root_and_as_a_user),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
