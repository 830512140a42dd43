/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "policy/decide.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "decide-rows.h"
#include "profile-build.h"

static void an_empty_profile_gives_only_what_berm_gives(void **state)
{
	static const struct row rows[] = {
		{READ, "/", DENY, "fs.default"},
		{READ, "/etc/shadow", DENY, "fs.default"},
		{READ, "/usr/bin/env", DENY, "fs.default"},
		{READ, "/dev/null", ALLOW, "berm"},
		{WRITE, "/dev/null", ALLOW, "berm"},
		{READ, "/dev/nullx", DENY, "fs.default"},
		{READ, "/dev/sda", DENY, "fs.default"},
		{READ, "/proc/self/status", ALLOW, "berm"},
		{WRITE, "/proc/sysrq-trigger", DENY, "fs.default"},
		{READ, "/etc/passwd", ALLOW, "berm"},
		{WRITE, "/etc/passwd", DENY, "fs.default"},
		{READ, "/etc/passwd-", DENY, "fs.default"},
		{WRITE, "/tmp/x", ALLOW, "fs.tmp"},
		{READ, "/tmpx", DENY, "fs.default"},
		{EXEC, "/usr/bin/env", DENY, "fs.default"},
		{EXEC, "/tmp/x", DENY, "exec.default"},
		{EXEC, "/dev/shm/x", DENY, "exec.default"},
		{CONNECT, "example.org:443", DENY, "network.default"},
		{CONNECT, "192.0.2.1:443", DENY, "network.default"},
		{CONNECT, "127.0.0.1:80", ALLOW, "berm"},
		{CONNECT, "127.200.0.1:80", ALLOW, "berm"},
		{CONNECT, "[::1]:80/udp", ALLOW, "berm"},
		{CONNECT, "[::ffff:127.0.0.1]:80", ALLOW, "berm"},
		{CONNECT, "0.0.0.0:80", ALLOW, "berm"},
		{CONNECT, "LOCALHOST:80", ALLOW, "berm"},
		{CONNECT, "localhost.example.org:80", DENY, "network.default"},
		{CONNECT, "unix:/run/docker.sock", DENY, "syscalls.families"},
		{CONNECT, "unix:/tmp/own.sock", DENY, "syscalls.families"},
		{SYSCALL, "read", ALLOW, "syscalls.base"},
		{SYSCALL, "bpf", DENY, "syscalls.base"},
		{SYSCALL, "mount", DENY, "syscalls.base"},
		{ENV, "PATH", ALLOW, "berm"},
		{ENV, "LANG", DENY, "env.default"},
	};
	struct built b;

	(void)state;
	built_init(&b);
	check_rows(&b.profile, rows, array_size(rows));
	b.profile.fs.tmp.private = false;
	check_rows(&b.profile, (const struct row[]){{WRITE, "/tmp/x", DENY, "fs.default"}}, 1);
}

/* A workspace in /tmp, granted for reading, is the host's and not the run's own empty one. */
static void what_is_granted_for_reading_in_tmp_is_not_written(void **state)
{
	static const struct row rows[] = {
		{READ, "/tmp/ws/x", ALLOW, "fs.read"},
		{WRITE, "/tmp/ws/x", DENY, "fs.default"},
		{WRITE, "/tmp/ws", DENY, "fs.default"},
		{WRITE, "/tmp/ws2", ALLOW, "fs.tmp"},
		{WRITE, "/tmp/x", ALLOW, "fs.tmp"},
	};
	struct built b;

	(void)state;
	built_init(&b);
	built_path(&b, &b.profile.fs.read, "/tmp/ws", PATH_READ);
	built_path(&b, &b.profile.fs.read, "/", PATH_READ);
	check_rows(&b.profile, rows, array_size(rows));
	built_path(&b, &b.profile.fs.write, "/tmp/ws/x", PATH_WRITE);
	check_rows(&b.profile, (const struct row[]){{WRITE, "/tmp/ws/x", ALLOW, "fs.write"}}, 1);
}

static void malformed_objects_are_denied_even_where_all_is_allowed(void **state)
{
	static const struct row rows[] = {
		{READ, "/any/thing", ALLOW, "fs.write"},
		{READ, "", DENY, "malformed"},
		{READ, "etc/passwd", DENY, "malformed"},
		{READ, "/a/../b", DENY, "malformed"},
		{READ, "/a//b", DENY, "malformed"},
		{READ, "/a/", DENY, "malformed"},
		{READ, "/a/./b", DENY, "malformed"},
		{WRITE, "/..", DENY, "malformed"},
		{EXEC, "/bin/../x", DENY, "malformed"},
		{EXEC, "./x", DENY, "malformed"},
		{EXEC, "", DENY, "malformed"},
		{EXEC, " ls", DENY, "malformed"},
		{EXEC, "git\npush", DENY, "malformed"},
		{EXEC, "git push", ALLOW, "exec.default"},
		{CONNECT, "example.org:443", ALLOW, "network.mode"},
		{CONNECT, "example.org", DENY, "malformed"},
		{CONNECT, "example.org:", DENY, "malformed"},
		{CONNECT, "example.org:0", DENY, "malformed"},
		{CONNECT, "example.org:65536", DENY, "malformed"},
		{CONNECT, "example.org:0443", DENY, "malformed"},
		{CONNECT, "example.org:+443", DENY, "malformed"},
		{CONNECT, "example.org:443/sctp", DENY, "malformed"},
		{CONNECT, "example.org:443/", DENY, "malformed"},
		{CONNECT, ":443", DENY, "malformed"},
		{CONNECT, "::1:443", DENY, "malformed"},
		{CONNECT, "[::1:443", DENY, "malformed"},
		{CONNECT, "[127.0.0.1]:443", DENY, "malformed"},
		{CONNECT, "[fe80::1%lo]:443", DENY, "malformed"},
		{CONNECT, "127.1:443", DENY, "malformed"},
		{CONNECT, "0x7f000001:443", DENY, "malformed"},
		{CONNECT, "2130706433:443", DENY, "malformed"},
		{CONNECT, "a b.example:443", DENY, "malformed"},
		{CONNECT, "unix:relative", DENY, "malformed"},
		{CONNECT, "unix:/a/../b", DENY, "malformed"},
		{CONNECT, "unix:", DENY, "malformed"},
		{SYSCALL, "", DENY, "malformed"},
		{SYSCALL, "no_such_call", DENY, "malformed"},
		{ENV, "", DENY, "malformed"},
		{ENV, "1A", DENY, "malformed"},
		{ENV, "A=B", DENY, "malformed"},
		{ENV, "BASH_FUNC_ls%%", DENY, "malformed"},
		{ENV, "ANY", ALLOW, "env.pass"},
		{OPERATION_COUNT, "/a", DENY, "malformed"},
	};
	static char longest[PATH_MAX + 8];
	struct verdict v;
	struct built b;

	(void)state;
	built_init(&b);
	built_path(&b, &b.profile.fs.write, "/", PATH_READ);
	built_string(&b, &b.profile.env.pass, "*");
	b.profile.network.mode = NETWORK_MODE_HOST;
	check_rows(&b.profile, rows, array_size(rows));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[0] = '/';
	decide(&b.profile, READ, longest, &v);
	assert_int_equal(v.decision, DENY);
	assert_string_equal(v.rule, "malformed");
	longest[PATH_MAX - 1] = '\0';
	decide(&b.profile, READ, longest, &v);
	assert_int_equal(v.decision, ALLOW);
}

static void paths_deny_before_ask_before_allow(void **state)
{
	static const struct row rows[] = {
		{READ, "/usr", ALLOW, "fs.read"},
		{READ, "/usr/lib/x", ALLOW, "fs.read"},
		{WRITE, "/usr/lib/x", DENY, "fs.default"},
		{READ, "/usrlocal", DENY, "fs.default"},
		{READ, "/w", ALLOW, "fs.write"},
		{WRITE, "/w/src/a.c", ALLOW, "fs.write"},
		{READ, "/w/src/a.c", ALLOW, "fs.write"},
		{READ, "/w/.env", DENY, "fs.deny"},
		{WRITE, "/w/.env/sub/x", DENY, "fs.deny"},
		{READ, "/w/.envoy", ALLOW, "fs.write"},
		{READ, "/w/deep/a/key.pem", DENY, "fs.deny"},
		{READ, "/w/deep/a/key.pem/under", DENY, "fs.deny"},
		{READ, "/w/key.pems", ALLOW, "fs.write"},
		{READ, "/w/.git/config", ALLOW, "fs.write"},
		{WRITE, "/w/.git/config", DENY, "fs.protect"},
		{WRITE, "/w/.git/hooks/pre-commit", DENY, "fs.protect"},
		{WRITE, "/w/.git", ALLOW, "fs.write"},
		{WRITE, "/w/.git/configs", ALLOW, "fs.write"},
		{WRITE, "/w/sub/Makefile.local", DENY, "fs.protect"},
		{READ, "/w/sub/Makefile.local", ALLOW, "fs.write"},
		{READ, "/w/bait", DENY, "fs.canaries"},
		{WRITE, "/w/bait", DENY, "fs.canaries"},
		{READ, "/w/asked-read/x", ASK, "fs.ask"},
		{WRITE, "/w/asked-read/x", ASK, "fs.ask"},
		{READ, "/w/asked-write/x", ALLOW, "fs.write"},
		{WRITE, "/w/asked-write/x", ASK, "fs.ask"},
		{READ, "/elsewhere/r", ASK, "fs.ask"},
		{WRITE, "/elsewhere/r", DENY, "fs.default"},
		{READ, "/elsewhere/w", ASK, "fs.ask"},
		{WRITE, "/elsewhere/w", ASK, "fs.ask"},
		{READ, "/tmp/secret", DENY, "fs.deny"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_path(&b, &p->fs.read, "/usr", PATH_READ);
	built_path(&b, &p->fs.write, "/w", PATH_READ);
	built_path(&b, &p->fs.deny, "/w/.env", PATH_READ);
	built_path(&b, &p->fs.deny, "/w/**/*.pem", PATH_READ);
	built_path(&b, &p->fs.deny, "/tmp/secret", PATH_READ);
	built_path(&b, &p->fs.protect, "/w/.git/hooks", PATH_READ);
	built_path(&b, &p->fs.protect, "/w/.git/config", PATH_READ);
	built_path(&b, &p->fs.protect, "/w/*/Makefile.local", PATH_READ);
	built_path(&b, &p->fs.canaries, "/w/bait", PATH_READ);
	built_path(&b, &p->fs.ask, "/w/asked-read", PATH_READ);
	built_path(&b, &p->fs.ask, "/w/asked-write", PATH_WRITE);
	built_path(&b, &p->fs.ask, "/elsewhere/r", PATH_READ);
	built_path(&b, &p->fs.ask, "/elsewhere/w", PATH_WRITE);
	check_rows(p, rows, array_size(rows));
}

static void programs_run_from_what_cannot_be_written(void **state)
{
	static const struct row rows[] = {
		{EXEC, "/usr/bin/make", ALLOW, "exec.default"},
		{EXEC, "/usr/bin/sudo", DENY, "exec.deny"},
		{EXEC, "/usr/bin/calife", DENY, "exec.deny"},
		{EXEC, "/usr/games/x/y", DENY, "exec.deny"},
		{EXEC, "/usr/secret/tool", DENY, "fs.deny"},
		{EXEC, "/opt/tool", DENY, "fs.default"},
		{EXEC, "/w/a.out", DENY, "exec.default"},
		{EXEC, "/w/build/a.out", ALLOW, "exec.allow"},
		{EXEC, "/w/ro/in/it", DENY, "exec.default"},
		{EXEC, "/usr/bin/git", ALLOW, "exec.default"},
		{EXEC, "/usr/bin/gdb", ASK, "exec.ask"},
		{EXEC, "git status", ALLOW, "exec.default"},
		{EXEC, "git push", ASK, "exec.ask"},
		{EXEC, "git  push origin", ASK, "exec.ask"},
		{EXEC, "git pushy", ALLOW, "exec.default"},
		{EXEC, "git push --force", DENY, "exec.deny"},
		{EXEC, "git push origin --force", ASK, "exec.ask"},
		{EXEC, "calife id", DENY, "exec.deny"},
		{EXEC, "sudo -i", DENY, "exec.deny"},
	};
	static const struct row strict[] = {
		{EXEC, "/usr/bin/make", DENY, "exec.default"},
		{EXEC, "/usr/lib/gcc/cc1", ALLOW, "exec.allow"},
		{EXEC, "/opt/granted-nowhere", DENY, "fs.default"},
		{EXEC, "git status", DENY, "exec.default"},
		{EXEC, "make all", ALLOW, "exec.allow"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_path(&b, &p->fs.read, "/usr", PATH_READ);
	built_path(&b, &p->fs.read, "/w/ro", PATH_READ);
	built_path(&b, &p->fs.write, "/w", PATH_READ);
	built_path(&b, &p->fs.deny, "/usr/secret", PATH_READ);
	built_exec_path(&b, &p->exec.allow, "/w/build");
	built_exec_path(&b, &p->exec.deny, "/usr/bin/sudo");
	built_exec_path(&b, &p->exec.deny, "/usr/games");
	built_exec_path(&b, &p->exec.ask, "/usr/bin/gdb");
	built_command(&b, &p->exec.deny, "calife", NULL, NULL);
	built_command(&b, &p->exec.deny, "git", "push", "--force");
	built_command(&b, &p->exec.ask, "git", "push", NULL);
	check_rows(p, rows, array_size(rows));

	built_init(&b);
	p->exec.default_decision = DECISION_DENY;
	built_path(&b, &p->fs.read, "/usr", PATH_READ);
	built_exec_path(&b, &p->exec.allow, "/usr/lib/gcc");
	built_exec_path(&b, &p->exec.allow, "/opt/granted-nowhere");
	built_command(&b, &p->exec.allow, "make", NULL, NULL);
	check_rows(p, strict, array_size(strict));
}

static void system_calls_by_name_group_and_base(void **state)
{
	static const struct row rows[] = {
		{SYSCALL, "read", ALLOW, "syscalls.base"},
		{SYSCALL, "ptrace", ALLOW, "syscalls.allow"},
		{SYSCALL, "process_vm_readv", DENY, "syscalls.base"},
		{SYSCALL, "symlink", DENY, "syscalls.deny"},
		{SYSCALL, "inotify_init1", DENY, "syscalls.deny_groups"},
		{SYSCALL, "unshare", DENY, "syscalls.deny"},
		{SYSCALL, "io_uring_setup", DENY, "berm"},
		{SYSCALL, "clone3", DENY, "berm"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_string(&b, &p->syscalls.allow, "ptrace");
	built_string(&b, &p->syscalls.allow, "unshare");
	built_string(&b, &p->syscalls.allow, "io_uring_setup");
	built_string(&b, &p->syscalls.allow, "inotify_init1");
	built_string(&b, &p->syscalls.deny, "symlink");
	built_string(&b, &p->syscalls.deny, "unshare");
	built_string(&b, &p->syscalls.deny_groups, "watch");
	check_rows(p, rows, array_size(rows));
	check_rows(p, (const struct row[]){{SYSCALL, "shmget", ALLOW, "syscalls.base"}}, 1);
	p->syscalls.base = SYSCALL_BASE_STRICT;
	check_rows(p, (const struct row[]){{SYSCALL, "shmget", DENY, "syscalls.base"}}, 1);
}

static void variables_pass_by_name_or_by_harmless_glob(void **state)
{
	static const struct row rows[] = {
		{ENV, "LANG", ALLOW, "env.pass"},
		{ENV, "LC_ALL", ALLOW, "env.pass"},
		{ENV, "LCX", DENY, "env.default"},
		{ENV, "MY_TOKEN", DENY, "env.hide"},
		{ENV, "CI", ALLOW, "env.set"},
		{ENV, "CI_KEY", DENY, "env.hide"},
		{ENV, "NODE_OPTIONS", ALLOW, "env.pass"},
		{ENV, "NODE_ENV", ALLOW, "env.pass"},
		{ENV, "NODE_PATH", DENY, "env.default"},
		{ENV, "GIT_AUTHOR_NAME", ALLOW, "env.pass"},
		{ENV, "GIT_SSH_COMMAND", DENY, "env.default"},
		{ENV, "GIT_CONFIG_COUNT", DENY, "env.default"},
		{ENV, "LD_PRELOAD", DENY, "env.default"},
	};
	struct built b;
	struct profile *p = &b.profile;
	struct verdict v;

	(void)state;
	built_init(&b);
	built_string(&b, &p->env.pass, "LANG");
	built_string(&b, &p->env.pass, "LC_*");
	built_string(&b, &p->env.pass, "MY_TOKEN");
	built_string(&b, &p->env.pass, "NODE_OPTIONS");
	built_string(&b, &p->env.pass, "NODE_*");
	built_string(&b, &p->env.pass, "GIT_*");
	built_string(&b, &p->env.pass, "LD*");
	built_string(&b, &p->env.hide, "*_TOKEN");
	built_string(&b, &p->env.hide, "*_KEY");
	built_set(&b, "CI", "true");
	built_set(&b, "CI_KEY", "x");
	check_rows(p, rows, array_size(rows));
	decide(p, ENV, "LD_PRELOAD", &v);
	assert_non_null(v.reason);
}

static void a_verdict_names_the_line_and_the_reason(void **state)
{
	struct built b;
	struct verdict v;

	(void)state;
	built_init(&b);
	built_path(&b, &b.profile.fs.write, "/w", PATH_READ);
	built_path(&b, &b.profile.fs.deny, "/w/x", PATH_READ);
	b.deny[0].written = "${WORKDIR}/x";
	b.deny[0].reason = "because";
	decide(&b.profile, WRITE, "/w/x/y", &v);
	assert_int_equal(v.decision, DENY);
	assert_string_equal(v.value, "${WORKDIR}/x");
	assert_string_equal(v.reason, "because");
	assert_string_equal(v.at.file, "built.yaml");
	assert_int_equal(v.at.line, 2);
	assert_string_equal(v.hint, "fs.deny in line 2 says so and wins over every allow");
	decide(&b.profile, WRITE, "/z", &v);
	assert_null(v.value);
	assert_int_equal(v.at.line, 0);
}

static void every_word_has_a_name_and_comes_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OPERATION_COUNT; i++)
		assert_int_equal(operation_from_name(operation_name((enum operation)i)), i);
	assert_int_equal(operation_from_name("open"), OPERATION_COUNT);
	assert_int_equal(operation_from_name(""), OPERATION_COUNT);
	assert_string_equal(decision_name(DENY), "deny");
	assert_string_equal(decision_name(ASK), "ask");
	assert_string_equal(decision_name(ALLOW), "allow");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(an_empty_profile_gives_only_what_berm_gives),
		cmocka_unit_test(what_is_granted_for_reading_in_tmp_is_not_written),
		cmocka_unit_test(malformed_objects_are_denied_even_where_all_is_allowed),
		cmocka_unit_test(paths_deny_before_ask_before_allow),
		cmocka_unit_test(programs_run_from_what_cannot_be_written),
		cmocka_unit_test(system_calls_by_name_group_and_base),
		cmocka_unit_test(variables_pass_by_name_or_by_harmless_glob),
		cmocka_unit_test(a_verdict_names_the_line_and_the_reason),
		cmocka_unit_test(every_word_has_a_name_and_comes_back),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
