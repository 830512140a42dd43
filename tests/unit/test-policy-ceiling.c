/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "policy/decide.h"

#define HEAD "version: 1\nname: p\n"

static const char *decided(const struct profile *p, const char *operation, const char *object)
{
	struct verdict v;

	decide(p, operation_from_name(operation), object, &v);
	return decision_name(v.decision);
}

/* One line of the profile, one of the ceiling, and what must come out. */
static const struct row {
	const char *profile, *ceiling, *operation, *object, *decision;
} rows[] = {
	{"fs: {write: [/srv]}", "fs: {write: [/srv]}", "write", "/srv/x", "allow"},
	{"fs: {write: [/srv]}", "fs: {write: [/]}", "write", "/srv/x", "allow"},
	{"fs: {write: [/srv]}", "fs: {write: [/srv/a]}", "write", "/srv/a/x", "allow"},
	{"fs: {write: [/srv]}", "fs: {write: [/srv/a]}", "write", "/srv/b", "deny"},
	{"fs: {write: [/srv]}", "fs: {read: [/]}", "write", "/srv/b", "deny"},
	{"fs: {write: [/srv]}", "fs: {read: [/]}", "read", "/srv/b", "allow"},
	{"fs: {write: [/srv]}", "fs: {read: [/]}", "exec", "/srv/b", "deny"},
	{"fs: {write: [/srv]}", "", "read", "/srv/b", "deny"},
	{"fs: {read: [/]}", "fs: {read: [/usr], write: [/srv]}", "read", "/srv/b", "allow"},
	{"fs: {read: [/]}", "fs: {read: [/usr], write: [/srv]}", "write", "/srv/b", "deny"},
	{"fs: {read: [/]}", "fs: {read: [/usr], write: [/srv]}", "read", "/opt", "deny"},
	{"fs: {read: [/srv]}", "fs: {read: [/srv], deny: [\"/srv/**/.env\"]}", "read",
		"/srv/a/.env", "deny"},
	{"fs: {write: [/srv]}", "fs: {write: [/srv], protect: [/srv/a]}", "write", "/srv/a/x",
		"deny"},
	{"fs: {read: [/srv]}", "fs: {read: [/], ask: [/srv/a]}", "read", "/srv/a/x", "ask"},
	{"fs: {read: [/srv/b]}", "fs: {read: [/], ask: [/srv/a]}", "read", "/srv/a/x", "deny"},
	{"fs: {ask: [/srv]}", "fs: {read: [/srv/a]}", "read", "/srv/a/x", "ask"},
	{"fs: {ask: [/srv]}", "fs: {read: [/srv/a]}", "read", "/srv/b", "deny"},
	{"fs: {read: [/usr]}", "exec: {default: deny, allow: [/usr/bin]}\nfs: {read: [/]}", "exec",
		"/usr/bin/x", "allow"},
	{"fs: {read: [/usr]}", "exec: {default: deny, allow: [/usr/bin]}\nfs: {read: [/]}", "exec",
		"/usr/lib/x", "deny"},
	{"fs: {read: [/usr]}\nexec: {default: deny, allow: [/usr]}",
		"exec: {default: deny, allow: [/usr/bin]}\nfs: {read: [/]}", "exec", "/usr/bin/x",
		"allow"},
	{"fs: {read: [/usr]}\nexec: {default: deny, allow: [/usr]}",
		"exec: {default: deny, allow: [/usr/bin]}\nfs: {read: [/]}", "exec", "/usr/lib/x",
		"deny"},
	{"network: {allow: [{host: a.example.com}]}",
		"network: {allow: [{host: \"*.example.com\"}]}", "connect", "a.example.com:443",
		"allow"},
	{"network: {allow: [{host: a.example.com}]}",
		"network: {allow: [{host: \"*.example.com\", ports: [80]}]}", "connect",
		"a.example.com:443", "deny"},
	{"network: {allow: [{host: \"**.example.com\"}]}",
		"network: {allow: [{host: \"*.example.com\"}]}", "connect", "a.b.example.com:443",
		"deny"},
	{"network: {allow: [{cidr: 10.0.0.0/8}]}",
		"network: {allow: [{cidr: 10.1.0.0/16, ports: [\"1-1023\"]}]}", "connect",
		"10.1.2.3:80", "allow"},
	{"network: {allow: [{cidr: 10.0.0.0/8}]}",
		"network: {allow: [{cidr: 10.1.0.0/16, ports: [\"1-1023\"]}]}", "connect",
		"10.2.2.3:80", "deny"},
	{"network: {allow: [{cidr: 0.0.0.0/0, allow_all: true}]}",
		"network: {allow: [{cidr: 169.254.169.254/32}]}", "connect", "169.254.169.254:80",
		"deny"},
	{"network: {mode: host}", "network: {allow: [{cidr: 10.0.0.0/8}]}", "connect",
		"10.1.2.3:80", "allow"},
	{"network: {mode: host}", "network: {allow: [{cidr: 10.0.0.0/8}]}", "connect",
		"11.1.2.3:80", "deny"},
	{"network: {allow: [{cidr: 10.0.0.0/8}]}", "network: {mode: host}", "connect",
		"11.1.2.3:80", "deny"},
	{"network: {allow: [{cidr: 10.0.0.0/8}]}",
		"network: {allow: [{cidr: 10.0.0.0/8}], ask: [{cidr: 10.1.0.0/16}]}", "connect",
		"10.1.2.3:80", "ask"},
	{"env: {pass: [\"LD_*\"]}", "env: {pass: [LD_PRELOAD]}", "env", "LD_PRELOAD", "deny"},
	{"env: {pass: [LD_PRELOAD]}", "env: {pass: [\"LD_*\"]}", "env", "LD_PRELOAD", "deny"},
	{"env: {pass: [LD_PRELOAD]}", "env: {pass: [LD_PRELOAD]}", "env", "LD_PRELOAD", "allow"},
	{"env: {pass: [\"*\"]}", "env: {pass: [\"LC_*\"]}", "env", "LC_ALL", "allow"},
	{"env: {pass: [\"A*\"]}", "env: {pass: [\"A?\"]}", "env", "ABC", "deny"},
	{"env: {pass: [AB]}", "env: {pass: [AB], hide: [\"A*\"]}", "env", "AB", "deny"},
	{"env: {set: {A: x}}", "env: {set: {A: x}}", "env", "A", "allow"},
	{"env: {set: {A: x}}", "env: {set: {A: y}}", "env", "A", "deny"},
	{"env: {set: {A: x}}", "", "env", "A", "deny"},
	{"syscalls: {allow: [ptrace]}", "", "syscall", "ptrace", "deny"},
	{"syscalls: {allow: [ptrace]}", "syscalls: {allow: [ptrace]}", "syscall", "ptrace",
		"allow"},
	{"", "syscalls: {deny_groups: [ipc]}", "syscall", "shmget", "deny"},
};

static void the_result_is_the_stricter_of_the_two(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading l;
		char profile[512], ceiling[512];
		const char *got;

		loading_init(&l);
		snprintf(profile, sizeof(profile), HEAD "%s\n", rows[i].profile);
		snprintf(ceiling, sizeof(ceiling), HEAD "%s\n", rows[i].ceiling);
		loading_under(&l, profile, ceiling);
		got = decided(l.profile, rows[i].operation, rows[i].object);
		if (strcmp(got, rows[i].decision) != 0)
			fail_msg("%s under %s: %s %s is %s, not %s", rows[i].profile,
				rows[i].ceiling, rows[i].operation, rows[i].object, got,
				rows[i].decision);
	}
}

static void numbers_take_the_lower_one(void **state)
{
	autoloading struct loading l;
	const struct profile *p;

	(void)state;
	loading_init(&l);
	loading_under(&l,
		HEAD "limits: {pids: 100, memory: 2GiB}\nfs: {tmp: {size: 1GiB}}\n"
		     "requires: {landlock: 3}\non_unsupported: degrade\n",
		HEAD "limits: {pids: 200, memory: 1GiB, wall_time: 5m, io_weight: 500}\n"
		     "fs: {tmp: {size: 64MiB}, home: {size: 1GiB}}\nrequires: {landlock: 4}\n");
	p = l.profile;
	assert_int_equal(p->limits.pids.value, 100);
	assert_int_equal(p->limits.memory_bytes.value, 1 << 30);
	assert_int_equal(p->limits.wall_time_ms.value, 300000);
	assert_false(p->limits.cpu_percent.set);
	/* A share of 500 would be more than the 100 that holds where nothing is written. */
	assert_false(p->limits.io_weight.set);
	assert_int_equal(p->fs.tmp.size_bytes.value, 64 << 20);
	assert_int_equal(p->fs.home.size_bytes.value, 256 << 20);
	assert_int_equal(p->requires.landlock.value, 4);
	assert_false(p->degrade);
}

static void what_is_taken_away_is_noted_with_both_places(void **state)
{
	autoloading struct loading l;
	char wanted[256];

	(void)state;
	loading_init(&l);
	loading_under(&l, HEAD "fs:\n  write: [/srv]\n  read: [/opt]\nlimits: {pids: 9}\n",
		HEAD "fs:\n  write:\n    - /srv/a\n    - /srv/b\nlimits: {pids: 5}\n");
	snprintf(wanted, sizeof(wanted),
		"p.yaml:4:11: note[N001]: fs.write /srv is narrowed to /srv/a, /srv/b by "
		"%s/ceiling.yaml:6",
		l.dir);
	assert_non_null(strstr(text_string(&l.out), wanted));
	snprintf(wanted, sizeof(wanted),
		"p.yaml:5:10: note[N002]: fs.read /opt is not in force: %s/ceiling.yaml does not "
		"allow",
		l.dir);
	assert_non_null(strstr(text_string(&l.out), wanted));
	snprintf(wanted, sizeof(wanted),
		"p.yaml:6:10: note[N001]: limits.pids: 9 is narrowed to 5 by %s/ceiling.yaml:7",
		l.dir);
	assert_non_null(strstr(text_string(&l.out), wanted));
}

static void what_a_ceiling_demands_and_nobody_can_enforce_yet_is_pending(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_under(&l, HEAD "network: {allow: [{host: example.com}]}\n",
		HEAD "blast_radius: {tool_calls: 5}\n");
	assert_int_equal(l.profile->pending.count, 1);
	assert_string_equal(l.profile->pending.items[0].key, "blast_radius.tool_calls");
}

static void a_ceiling_that_pins_programs_pins_them_whatever_a_profile_says(void **state)
{
	static const struct {
		const char *profile, *ceiling;
		enum exec_hash hash;
	} cases[] = {
		{"", "exec: {hash: pin}", EXEC_HASH_PIN},
		{"exec: {hash: \"off\"}", "exec: {hash: pin}", EXEC_HASH_PIN},
		{"exec: {hash: pin}", "", EXEC_HASH_PIN},
		{"exec: {hash: pin}", "exec: {hash: \"off\"}", EXEC_HASH_PIN},
		{"", "", EXEC_HASH_OFF},
	};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		autoloading struct loading l;
		char profile[96], ceiling[96];

		loading_init(&l);
		snprintf(profile, sizeof(profile), HEAD "%s\n", cases[i].profile);
		snprintf(ceiling, sizeof(ceiling), HEAD "%s\n", cases[i].ceiling);
		loading_under(&l, profile, ceiling);
		assert_int_equal(l.profile->exec.hash, cases[i].hash);
		if (strstr(cases[i].profile, "off"))
			assert_non_null(strstr(text_string(&l.out),
				"p.yaml:3:8: note[N001]: exec.hash: off is narrowed to pin by"));
	}
}

/* Otherwise leaving out exec.allow, or the whole section, would be the way round the pin. */
static void a_ceiling_that_pins_leaves_no_default_that_allows(void **state)
{
	static const struct {
		const char *profile, *ceiling;
		enum decision decision;
		size_t named;
		const char *note; /* NULL: none about the default */
	} cases[] = {
		{"", "exec: {hash: pin}", DECISION_DENY, 0,
			"note[N001]: exec.default: allow is narrowed to deny by"},
		{"exec: {hash: pin}", "exec: {hash: pin}", DECISION_DENY, 0,
			"exec.default: allow is narrowed to deny by"},
		{"exec: {default: allow}", "exec: {hash: pin}", DECISION_DENY, 0,
			"p.yaml:3:8: note[N001]: exec.default: allow is narrowed to deny by"},
		{"exec: {allow: [/usr/bin/git]}", "exec: {hash: pin}", DECISION_DENY, 1,
			"exec.default: allow is narrowed to deny by"},
		{"", "exec: {allow: [/usr/bin/git], hash: pin}", DECISION_DENY, 1,
			"exec.default: allow is narrowed to deny by"},
		{"exec: {default: ask}", "exec: {hash: pin}", DECISION_ASK, 0, NULL},
		{"exec: {default: deny}", "exec: {hash: pin}", DECISION_DENY, 0, NULL},
		{"exec: {hash: pin}", "", DECISION_ALLOW, 0, NULL}, /* plan/ refuses it */
	};

	(void)state;
	for (size_t i = 0; i < array_size(cases); i++) {
		autoloading struct loading l;
		char profile[96], ceiling[96];

		loading_init(&l);
		snprintf(profile, sizeof(profile), HEAD "%s\n", cases[i].profile);
		snprintf(ceiling, sizeof(ceiling), HEAD "%s\n", cases[i].ceiling);
		loading_under(&l, profile, ceiling);
		assert_int_equal(l.profile->exec.default_decision, cases[i].decision);
		assert_int_equal(l.profile->exec.allow.count, cases[i].named);
		assert_int_equal(l.profile->exec.hash, EXEC_HASH_PIN);
		if (cases[i].note && !strstr(text_string(&l.out), cases[i].note))
			fail_msg("%s under %s: %s", cases[i].profile, cases[i].ceiling,
				text_string(&l.out));
		if (!cases[i].note)
			assert_null(strstr(text_string(&l.out), "exec.default"));
	}
}

static void a_ceiling_with_an_error_refuses_the_profile(void **state)
{
	autoloading struct loading l;
	char path[128];
	const char *paths[] = {path, NULL};

	(void)state;
	loading_init(&l);
	snprintf(path, sizeof(path), "%s/c.yaml", l.dir);
	l.request.ceilings = paths;
	assert_int_equal(loading_text(&l, HEAD), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "c.yaml: error[E022]"));
	loading_string(&l, "c.yaml", HEAD "fs: {reads: [/usr]}\n");
	assert_int_equal(loading_text(&l, HEAD), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "c.yaml:3:6: error[E003]"));
}

static void every_one_of_several_ceilings_narrows(void **state)
{
	autoloading struct loading l;
	char first[128], second[128];
	const char *paths[] = {first, second, NULL};

	(void)state;
	loading_init(&l);
	snprintf(first, sizeof(first), "%s/c1.yaml", l.dir);
	snprintf(second, sizeof(second), "%s/c2.yaml", l.dir);
	loading_string(&l, "c1.yaml", HEAD "fs: {read: [/usr, /opt]}\n");
	loading_string(&l, "c2.yaml", HEAD "fs: {read: [/usr, /srv]}\n");
	l.request.ceilings = paths;
	assert_int_equal(loading_text(&l, HEAD "fs: {read: [/]}\n"), 0);
	assert_int_equal(l.profile->fs.read.count, 1);
	assert_string_equal(l.profile->fs.read.items[0].path, "/usr");
	assert_int_equal(l.profile->file_count, 3);
}

/* As many entries as a file may have leave room for those of the ceiling. */
static void a_full_list_pushes_no_entry_of_the_ceiling_out(void **state)
{
	autotext struct text profile = {0};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	text_puts(&profile, HEAD "fs:\n  read: [/srv]\n  deny:\n");
	for (unsigned i = 0; i < 4096; i++)
		text_printf(&profile, "    - /srv/absent/%u\n", i);
	loading_under(&l, text_string(&profile), HEAD "fs: {read: [/], deny: [/srv/kept]}\n");
	assert_string_equal(decided(l.profile, "read", "/srv/a"), "allow");
	assert_string_equal(decided(l.profile, "read", "/srv/kept"), "deny");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(the_result_is_the_stricter_of_the_two),
		cmocka_unit_test(numbers_take_the_lower_one),
		cmocka_unit_test(what_is_taken_away_is_noted_with_both_places),
		cmocka_unit_test(what_a_ceiling_demands_and_nobody_can_enforce_yet_is_pending),
		cmocka_unit_test(a_ceiling_that_pins_programs_pins_them_whatever_a_profile_says),
		cmocka_unit_test(a_ceiling_that_pins_leaves_no_default_that_allows),
		cmocka_unit_test(a_ceiling_with_an_error_refuses_the_profile),
		cmocka_unit_test(every_one_of_several_ceilings_narrows),
		cmocka_unit_test(a_full_list_pushes_no_entry_of_the_ceiling_out),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
