/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/decide.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "profile-build.h"

static void check_hint(const struct profile *profile, enum operation operation, const char *object,
	const char *expected)
{
	struct verdict v;

	decide(profile, operation, object, &v);
	if (strcmp(v.hint, expected) != 0)
		fail_msg("%s %s: hint is \"%s\", expected \"%s\"", operation_name(operation),
			object, v.hint, expected);
	assert_int_equal(v.keep_denied, strncmp(expected, "should stay denied: ", 20) == 0);
}

static void the_hint_is_the_narrowest_line(void **state)
{
	static const struct {
		enum operation operation;
		const char *object, *hint;
	} rows[] = {
		{OPERATION_READ, "/usr/share/dict/words", "fs.read: - /usr/share/dict/words"},
		{OPERATION_READ, "/srv/a b/c", "fs.read: - \"/srv/a b/c\""},
		{OPERATION_READ, "/srv/a: b", "fs.read: - \"/srv/a: b\""},
		{OPERATION_READ, "/srv/\xc3\xa4", "fs.read: - \"/srv/\xc3\xa4\""},
		{OPERATION_WRITE, "/srv/repo/out", "fs.write: - /srv/repo/out"},
		{OPERATION_WRITE, "/home/user/proj/x", "fs.write: - /home/user/proj/x"},
		{OPERATION_EXEC, "/opt/t/bin/x", "fs.read: - /opt/t/bin/x"},
		{OPERATION_EXEC, "/w/a.out", "exec.allow: - {path: /w/a.out}"},
		{OPERATION_EXEC, "/w/a out", "exec.allow: - {path: \"/w/a out\"}"},
		{OPERATION_CONNECT, "Git.example:22",
			"network.allow: - {host: git.example, ports: [22]}"},
		{OPERATION_CONNECT, "ns.example:53/udp",
			"network.allow: - {host: ns.example, ports: [53], proto: udp}"},
		{OPERATION_CONNECT, "git.example:22 by /usr/bin/ssh",
			"network.allow: - {host: git.example, ports: [22], by: [/usr/bin/ssh]}"},
		{OPERATION_CONNECT, "192.0.2.1:80",
			"network.allow: - {cidr: 192.0.2.1/32, ports: [80]}"},
		{OPERATION_CONNECT, "[::ffff:192.0.2.1]:80",
			"network.allow: - {cidr: 192.0.2.1/32, ports: [80]}"},
		{OPERATION_CONNECT, "[2001:DB8::1]:80",
			"network.allow: - {cidr: \"2001:db8::1/128\", ports: [80]}"},
		{OPERATION_CONNECT, "unix:/srv/app.sock", "syscalls.families: - unix"},
		{OPERATION_ENV, "LANG", "env.pass: - LANG"},
	};
	struct built b;

	(void)state;
	built_init(&b);
	built_path(&b, &b.profile.fs.write, "/w", PATH_READ);
	for (size_t i = 0; i < array_size(rows); i++)
		check_hint(&b.profile, rows[i].operation, rows[i].object, rows[i].hint);
	b.profile.syscalls.base = SYSCALL_BASE_STRICT;
	check_hint(&b.profile, OPERATION_SYSCALL, "shmget", "syscalls.allow: - shmget");
	built_string(&b, &b.profile.syscalls.families, "unix");
	check_hint(&b.profile, OPERATION_CONNECT, "unix:/srv/app.sock",
		"network.unix: - /srv/app.sock");
	b.profile.syscalls.families.count = 0;
	check_hint(&b.profile, OPERATION_CONNECT, "[2001:db8::1]:1", "syscalls.families: - inet6");
	check_hint(&b.profile, OPERATION_CONNECT, "a.example:1", "syscalls.families: - inet");
}

static void keys_and_roots_are_never_offered(void **state)
{
	static const struct {
		enum operation operation;
		const char *object;
	} rows[] = {
		{OPERATION_READ, "/home/user/.ssh/id_ed25519"},
		{OPERATION_READ, "/home/user/.ssh"},
		{OPERATION_READ, "/srv/.aws/credentials"},
		{OPERATION_READ, "/home/user/.config/gcloud/credentials.db"},
		{OPERATION_READ, "/home/user/.git-credentials"},
		{OPERATION_READ, "/home/user/.npmrc"},
		{OPERATION_READ, "/etc/shadow"},
		{OPERATION_READ, "/etc/shadow-"},
		{OPERATION_READ, "/etc/ssh/ssh_host_ed25519_key"},
		{OPERATION_READ, "/srv/tls/server.pem"},
		{OPERATION_READ, "/srv/tls/server.key"},
		{OPERATION_READ, "/srv/app/.env"},
		{OPERATION_READ, "/srv/app/.env.production"},
		{OPERATION_WRITE, "/srv/app/.env"},
		{OPERATION_READ, "/home/user/.bash_history"},
		{OPERATION_READ, "/dev/mem"},
		{OPERATION_READ, "/boot/vmlinuz"},
		{OPERATION_READ, "/"},
		{OPERATION_READ, "/home"},
		{OPERATION_READ, "/home/user"},
		{OPERATION_WRITE, "/home/user"},
		{OPERATION_WRITE, "/etc"},
		{OPERATION_WRITE, "/etc/cron.d/x"},
		{OPERATION_WRITE, "/usr/bin/env"},
		{OPERATION_WRITE, "/lib64/ld.so"},
		{OPERATION_WRITE, "/proc/sysrq-trigger"},
		{OPERATION_WRITE, "/sys/kernel/x"},
		{OPERATION_WRITE, "/home/user/.bashrc"},
		{OPERATION_WRITE, "/home/user/.profile"},
		{OPERATION_WRITE, "/srv/repo/.git/hooks/pre-commit"},
		{OPERATION_WRITE, "/srv/repo/.git/config"},
		{OPERATION_WRITE, "/srv/repo/.envrc"},
		{OPERATION_WRITE, "/srv/repo/.claude/settings.json"},
		{OPERATION_EXEC, "/usr/bin/sudo"},
		{OPERATION_EXEC, "/home/user/.ssh/rc"},
		{OPERATION_CONNECT, "169.254.169.254:80"},
		{OPERATION_CONNECT, "[fe80::1]:80"},
		{OPERATION_CONNECT, "metadata.google.internal:80"},
		{OPERATION_CONNECT, "unix:/run/docker.sock"},
		{OPERATION_CONNECT, "unix:/run/dbus/system_bus_socket"},
		{OPERATION_SYSCALL, "bpf"},
		{OPERATION_SYSCALL, "mount"},
		{OPERATION_SYSCALL, "ptrace"},
		{OPERATION_SYSCALL, "io_uring_setup"},
		{OPERATION_SYSCALL, "clone3"},
		{OPERATION_ENV, "AWS_SECRET_ACCESS_KEY"},
		{OPERATION_ENV, "GITHUB_TOKEN"},
		{OPERATION_ENV, "SSH_AUTH_SOCK"},
		{OPERATION_ENV, "LD_PRELOAD"},
	};
	struct built b;

	(void)state;
	built_init(&b);
	for (size_t i = 0; i < array_size(rows); i++) {
		struct verdict v;

		decide(&b.profile, rows[i].operation, rows[i].object, &v);
		if (v.decision != DECISION_DENY || !v.keep_denied ||
			strncmp(v.hint, "should stay denied: ", 20) != 0)
			fail_msg("%s %s: %s, hint \"%s\"", operation_name(rows[i].operation),
				rows[i].object, decision_name(v.decision), v.hint);
	}
}

static void certificates_of_authorities_are_not_keys(void **state)
{
	struct built b;

	(void)state;
	built_init(&b);
	check_hint(&b.profile, OPERATION_READ, "/etc/ssl/certs/x.pem",
		"fs.read: - /etc/ssl/certs/x.pem");
	check_hint(&b.profile, OPERATION_READ, "/srv/certs/x.pem",
		"should stay denied: it holds keys or passwords");
}

static void a_path_that_no_line_can_hold_gets_no_line(void **state)
{
	static const char *const rows[] = {"/srv/a*b", "/srv/a?", "/srv/[a]", "/srv/${HOME}",
		"/srv/a\nb", "/srv/\x1b[31m", "/srv/\xff", "/srv/a\"b", "/srv/a\\b",
		"/srv/\xe2\x80\xae", "/srv/\x7f"};
	struct built b;
	char longest[400];
	struct verdict v;

	(void)state;
	built_init(&b);
	for (size_t i = 0; i < array_size(rows); i++)
		check_hint(&b.profile, OPERATION_READ, rows[i], "");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	check_hint(&b.profile, OPERATION_READ, longest, "");
	longest[VERDICT_HINT_MAX - 1 - strlen("fs.read: - ")] = '\0';
	decide(&b.profile, OPERATION_READ, longest, &v);
	assert_int_equal(strlen(v.hint), VERDICT_HINT_MAX - 1);
	check_hint(&b.profile, OPERATION_READ, "not-absolute", "");
}

static void where_a_deny_or_ask_stands_no_line_is_offered(void **state)
{
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_path(&b, &p->fs.write, "/w", PATH_READ);
	built_path(&b, &p->fs.deny, "/w/data", PATH_READ);
	built_path(&b, &p->fs.deny, "/w/.env", PATH_READ);
	built_path(&b, &p->fs.protect, "/w/docs", PATH_READ);
	built_path(&b, &p->fs.protect, "/w/.git/hooks", PATH_READ);
	built_path(&b, &p->fs.ask, "/w/asked", PATH_READ);
	built_string(&b, &p->env.hide, "LANG");
	built_net(&b, &p->network.deny, "bad.example", 0);
	check_hint(p, OPERATION_READ, "/w/data/x",
		"fs.deny in line 2 says so and wins over every allow");
	check_hint(p, OPERATION_READ, "/w/.env", "should stay denied: it holds keys or passwords");
	check_hint(p, OPERATION_WRITE, "/w/docs/x",
		"fs.protect in line 4 says so and wins over every allow");
	check_hint(p, OPERATION_WRITE, "/w/.git/hooks/x",
		"should stay denied: programs outside the run would execute it");
	check_hint(p, OPERATION_READ, "/w/asked/x",
		"fs.ask asks first; until approvals exist that is a deny");
	check_hint(
		p, OPERATION_ENV, "LANG", "env.hide in line 7 says so and wins over every allow");
	check_hint(p, OPERATION_CONNECT, "bad.example:1",
		"network.deny in line 8 says so and wins over every allow");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(the_hint_is_the_narrowest_line),
		cmocka_unit_test(keys_and_roots_are_never_offered),
		cmocka_unit_test(certificates_of_authorities_are_not_keys),
		cmocka_unit_test(a_path_that_no_line_can_hold_gets_no_line),
		cmocka_unit_test(where_a_deny_or_ask_stands_no_line_is_offered),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
