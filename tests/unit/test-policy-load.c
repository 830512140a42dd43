/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"

#define HEAD "version: 1\nname: p\n"

static void check_empty(const struct profile *p)
{
	assert_int_equal(p->fs.read.count + p->fs.write.count + p->fs.ask.count, 0);
	assert_int_equal(
		p->network.allow.count + p->network.ask.count + p->network.listen.count, 0);
	assert_int_equal(p->network.unix_sockets.count, 0);
	assert_int_equal(p->network.mode, NETWORK_MODE_SCOPED);
	assert_int_equal(p->syscalls.allow.count, 0);
	assert_int_equal(p->env.pass.count + p->env.set_count, 0);
	assert_int_equal(p->pending.count, 0);
	assert_false(p->degrade);
}

/* Attack M01: an empty grant must never read as "no restriction". */
static void nothing_written_means_nothing_allowed(void **state)
{
	static const char *const rows[] = {
		HEAD,
		HEAD "fs:\nnetwork:\nsyscalls:\nenv:\n",
		HEAD "fs: null\nnetwork: ~\nenv: {}\n",
		HEAD "fs: {read: [], write: null, ask: }\n",
		HEAD "network: {allow: [], ask: null, listen: [], unix: }\n",
		HEAD "env: {pass: [], set: {}, hide: null}\nsyscalls: {allow: []}\n",
		HEAD "blast_radius:\npace: {}\ntools: null\ngates: []\n",
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading l;

		loading_init(&l);
		loading_good(&l, rows[i]);
		check_empty(l.profile);
	}
}

static void an_empty_list_of_families_allows_no_socket(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_good(&l, HEAD);
	assert_int_equal(l.profile->syscalls.families.count, 2);
	assert_int_equal(l.profile->syscalls.families.items[0].at.line, 0);
	loading_good(&l, HEAD "syscalls: {families: []}\n");
	assert_int_equal(l.profile->syscalls.families.count, 0);
	loading_good(&l, HEAD "syscalls: {families: }\n");
	assert_int_equal(l.profile->syscalls.families.count, 0);
	loading_good(&l, HEAD "syscalls: {families: [unix]}\n");
	assert_int_equal(l.profile->syscalls.families.count, 1);
}

static void values_arrive_in_their_fields_with_their_places(void **state)
{
	autoloading struct loading l;
	const struct profile *p;

	(void)state;
	loading_init(&l);
	loading_good(&l,
		HEAD "on_unsupported: degrade\n"
		     "requires: {landlock: 4, notify: true, cgroup: v2, bpf: false}\n"
		     "limits: {cpu: 0.5, memory: 2GiB, pids: 256, open_files: 1024,\n"
		     "  file_size: 512MiB, wall_time: 30m, io_weight: 50}\n"
		     "exec: {default: deny, allow: [/usr/bin, {path: /opt/x, reason: ours}]}\n"
		     "syscalls: {base: strict, on_deny: kill, deny: [bpf]}\n"
		     "env: {pass: [LANG, \"LC_*\"], set: {WHERE: \"${WORKDIR}/x\"}}\n"
		     "fs: {tmp: {private: false, size: 1MiB}}\n");
	p = l.profile;
	assert_string_equal(p->name, "p");
	assert_true(p->degrade);
	assert_int_equal(p->degrade_at.line, 3);
	assert_int_equal(p->requires.landlock.value, 4);
	assert_int_equal(p->requires.notify.value, 1);
	assert_int_equal(p->requires.cgroup.value, 1);
	assert_int_equal(p->requires.bpf.value, 0);
	assert_int_equal(p->limits.cpu_percent.value, 50);
	assert_int_equal(p->limits.memory_bytes.value, 2ULL << 30);
	assert_int_equal(p->limits.pids.value, 256);
	assert_int_equal(p->limits.pids.at.line, 5);
	assert_int_equal(p->limits.pids.at.column, 34);
	assert_int_equal(p->limits.wall_time_ms.value, 1800000);
	assert_int_equal(p->limits.io_weight.value, 50);
	assert_int_equal(p->exec.default_decision, DECISION_DENY);
	assert_string_equal(p->exec.allow.items[0].path, "/usr/bin");
	assert_string_equal(p->exec.allow.items[1].reason, "ours");
	assert_int_equal(p->syscalls.base, SYSCALL_BASE_STRICT);
	assert_int_equal(p->syscalls.on_deny, DENY_KILL);
	assert_string_equal(p->env.pass.items[1].text, "LC_*");
	assert_string_equal(p->env.set[0].value, "/srv/repo/x");
	assert_false(p->fs.tmp.private);
	assert_true(p->fs.home.private);
	assert_int_equal(p->fs.tmp.size_bytes.value, 1 << 20);
	assert_int_equal(p->fs.home.size_bytes.value, 256 << 20);
	assert_false(p->fs.home.size_bytes.set);
}

static void paths_are_expanded_and_normal(void **state)
{
	static const struct {
		const char *written, *path;
	} rows[] = {{"${WORKDIR}", "/srv/repo"}, {"/usr//lib/./x/", "/usr/lib/x"},
		{"${HOME}/.cache", "/home/user/.cache"}, {"/run/user/${UID}/x", "/run/user/1000/x"},
		{"/x${TMPDIR}/${RUN_ID}", "/x/tmp/r1"}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading l;
		char text[256];

		loading_init(&l);
		snprintf(text, sizeof(text), HEAD "fs: {read: [\"%s\"]}\n", rows[i].written);
		loading_good(&l, text);
		assert_string_equal(l.profile->fs.read.items[0].path, rows[i].path);
		assert_string_equal(l.profile->fs.read.items[0].written, rows[i].written);
		assert_int_equal(l.profile->fs.read.items[0].at.line, 3);
	}
}

/* A directory may have any name; only what the author wrote makes a pattern. */
static void a_glob_character_in_a_variable_is_no_glob(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	l.request.variables.workdir = "/srv/a[1]";
	loading_good(&l, HEAD "fs: {write: [\"${WORKDIR}\"], deny: [\"${WORKDIR}/x\", /y/*]}\n");
	assert_false(l.profile->fs.write.items[0].is_glob);
	assert_false(l.profile->fs.deny.items[0].is_glob);
	assert_true(l.profile->fs.deny.items[1].is_glob);
}

static void what_cannot_be_enforced_yet_is_remembered_by_key_and_line(void **state)
{
	autoloading struct loading l;
	static const struct {
		const char *key;
		unsigned line;
	} rows[] = {{"mode", 3}, {"limits.output", 4}, {"blast_radius.tool_calls", 6},
		{"orphan", 7}, {"network.allow", 8}, {"exec.deny[].command", 9}};

	(void)state;
	loading_init(&l);
	loading_good(&l,
		HEAD "mode: audit\nlimits: {output: 1MiB}\nblast_radius:\n  tool_calls: 5\n"
		     "orphan: kill\nnetwork: {allow: [{host: example.com}]}\n"
		     "exec: {deny: [{command: [git, push]}]}\n"
		     "tests: [{do: read /etc/shadow, expect: deny}]\n");
	assert_int_equal(l.profile->pending.count, array_size(rows));
	for (size_t i = 0; i < array_size(rows); i++) {
		assert_string_equal(l.profile->pending.items[i].key, rows[i].key);
		assert_int_equal(l.profile->pending.items[i].at.line, rows[i].line);
		assert_non_null(l.profile->pending.items[i].needs);
	}
	assert_int_equal(l.profile->tests.count, 1);
	assert_string_equal(l.profile->tests.items[0].operation, "read");
	assert_string_equal(l.profile->tests.items[0].object, "/etc/shadow");
}

static void a_later_file_takes_a_pending_word_back(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", "version: 1\nname: base\nmode: audit\n");
	loading_good(&l, HEAD "extends: [base]\nmode: enforce\n");
	assert_int_equal(l.profile->pending.count, 0);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(nothing_written_means_nothing_allowed),
		cmocka_unit_test(an_empty_list_of_families_allows_no_socket),
		cmocka_unit_test(values_arrive_in_their_fields_with_their_places),
		cmocka_unit_test(paths_are_expanded_and_normal),
		cmocka_unit_test(a_glob_character_in_a_variable_is_no_glob),
		cmocka_unit_test(what_cannot_be_enforced_yet_is_remembered_by_key_and_line),
		cmocka_unit_test(a_later_file_takes_a_pending_word_back),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
