/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/own.h"
#include "decide-rows.h"
#include "profile-build.h"

static void hosts_and_addresses_by_their_rules(void **state)
{
	static const struct row rows[] = {
		{CONNECT, "api.example.org:443", ALLOW, "network.allow"},
		{CONNECT, "API.example.org.:443", ALLOW, "network.allow"},
		{CONNECT, "api.example.org:444", DENY, "network.default"},
		{CONNECT, "raw.content.example:443", ALLOW, "network.allow"},
		{CONNECT, "content.example:443", DENY, "network.default"},
		{CONNECT, "a.b.content.example:443", DENY, "network.default"},
		{CONNECT, "a.b.pkg.example:80", ALLOW, "network.allow"},
		{CONNECT, "push.pkg.example:80", ASK, "network.ask"},
		{CONNECT, "bad.pkg.example:80", DENY, "network.deny"},
		{CONNECT, "10.20.1.1:5432", ALLOW, "network.allow"},
		{CONNECT, "[::ffff:10.20.1.1]:5432", ALLOW, "network.allow"},
		{CONNECT, "[::ffff:10.20.9.1]:5432", DENY, "network.deny"},
		{CONNECT, "10.20.9.1:5432", DENY, "network.deny"},
		{CONNECT, "[64:ff9b::a14:901]:5432", DENY, "network.deny"},
		{CONNECT, "10.20.1.1:5433", DENY, "network.default"},
		{CONNECT, "[2001:db8::5]:9", ALLOW, "network.allow"},
		{CONNECT, "127.0.0.1:631", DENY, "network.deny"},
		{CONNECT, "127.0.0.1:632", ALLOW, "berm"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "api.example.org", 443);
	built_net(&b, &p->network.allow, "*.content.example", 443);
	built_net(&b, &p->network.allow, "**.pkg.example", 0);
	built_net(&b, &p->network.allow, "10.20.0.0/16", 5432);
	built_net(&b, &p->network.allow, "2001:db8::/32", 0);
	built_net(&b, &p->network.allow, "64:ff9b::/96", 0);
	built_net(&b, &p->network.ask, "push.pkg.example", 0);
	built_net(&b, &p->network.deny, "bad.pkg.example", 0);
	built_net(&b, &p->network.deny, "10.20.9.0/24", 0);
	built_net(&b, &p->network.deny, "127.0.0.1", 631);
	check_rows(p, rows, array_size(rows));
}

static void unix_sockets_need_their_family_and_a_file_that_is_there(void **state)
{
	static const struct row without[] = {
		{CONNECT, "unix:/run/app.sock", DENY, "syscalls.families"},
		{CONNECT, "unix:/w/any.sock", DENY, "syscalls.families"},
		{CONNECT, "unix:/tmp/own.sock", DENY, "syscalls.families"},
		{CONNECT, "unix:/run/hidden.sock", DENY, "fs.deny"},
		{CONNECT, "unix:/w/asked", DENY, "syscalls.families"},
	};
	static const struct row with[] = {
		{CONNECT, "unix:/run/app.sock", ALLOW, "network.unix"},
		{CONNECT, "unix:/run/app.sock2", DENY, "network.default"},
		{CONNECT, "unix:/run/hidden.sock", DENY, "fs.deny"},
		{CONNECT, "unix:/w/any.sock", ALLOW, "fs.write"},
		{CONNECT, "unix:/w/asked", ASK, "fs.ask"},
		{CONNECT, "unix:/tmp/own.sock", ALLOW, "fs.tmp"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_path(&b, &p->network.unix_sockets, "/run/app.sock", PATH_READ);
	built_path(&b, &p->network.unix_sockets, "/run/hidden.sock", PATH_READ);
	built_path(&b, &p->fs.deny, "/run/hidden.sock", PATH_READ);
	built_path(&b, &p->fs.ask, "/w/asked", PATH_READ);
	built_path(&b, &p->fs.write, "/w", PATH_READ);
	check_rows(p, without, array_size(without));
	built_string(&b, &p->syscalls.families, "unix");
	check_rows(p, with, array_size(with));
}

static void without_a_family_no_rule_reaches_its_addresses(void **state)
{
	static const struct row rows[] = {
		{CONNECT, "192.0.2.1:80", ALLOW, "network.allow"},
		{CONNECT, "[2001:db8::1]:80", DENY, "syscalls.families"},
		{CONNECT, "[::1]:80", DENY, "syscalls.families"},
		{CONNECT, "[::ffff:192.0.2.1]:80", ALLOW, "network.allow"},
		{CONNECT, "a.example:80", ALLOW, "network.allow"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "0.0.0.0/0", 0);
	built_net(&b, &p->network.allow, "::/0", 0);
	built_net(&b, &p->network.allow, "a.example", 0);
	p->syscalls.families.count = 1;
	check_rows(p, rows, array_size(rows));
	p->syscalls.families.count = 0;
	check_rows(
		p, (const struct row[]){{CONNECT, "a.example:80", DENY, "syscalls.families"}}, 1);
}

static void protocols_are_kept_apart(void **state)
{
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "ns.example.org", 53);
	b.net_allow[0].proto = "udp";
	check_rows(p,
		(const struct row[]){{CONNECT, "ns.example.org:53/udp", ALLOW, "network.allow"},
			{CONNECT, "ns.example.org:53", DENY, "network.default"},
			{CONNECT, "ns.example.org:53/tcp", DENY, "network.default"}},
		3);
}

static void a_rule_for_a_program_is_for_that_program(void **state)
{
	static const char *by[] = {"/usr/bin/npm", "/usr/bin/node"};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "a.example", 443);
	b.net_allow[0].by = by;
	b.net_allow[0].by_count = array_size(by);
	check_rows(p,
		(const struct row[]){{CONNECT, "a.example:443", DENY, "network.default"},
			{CONNECT, "a.example:443 by /usr/bin/node", ALLOW, "network.allow"},
			{CONNECT, "a.example:443/tcp by /usr/bin/npm", ALLOW, "network.allow"},
			{CONNECT, "a.example:443 by /usr/bin/curl", DENY, "network.default"},
			{CONNECT, "a.example:443 by node", DENY, "malformed"},
			{CONNECT, "a.example:443 by ", DENY, "malformed"}},
		6);
	built_net(&b, &p->network.allow, "a.example", 0);
	built_net(&b, &p->network.ask, "a.example", 443);
	b.net_ask[0].by = by;
	b.net_ask[0].by_count = 1;
	check_rows(p,
		(const struct row[]){{CONNECT, "a.example:443", ASK, "network.ask"},
			{CONNECT, "a.example:443 by /usr/bin/npm", ASK, "network.ask"},
			{CONNECT, "a.example:443 by /usr/bin/curl", ALLOW, "network.allow"}},
		3);
	built_net(&b, &p->network.deny, "a.example", 443);
	b.net_deny[0].by = by + 1;
	b.net_deny[0].by_count = 1;
	check_rows(p,
		(const struct row[]){{CONNECT, "a.example:443", DENY, "network.deny"},
			{CONNECT, "a.example:443 by /usr/bin/node", DENY, "network.deny"},
			{CONNECT, "a.example:443 by /usr/bin/npm", ASK, "network.ask"}},
		3);
}

static void metadata_needs_a_rule_of_its_own(void **state)
{
	static const struct row wide[] = {
		{CONNECT, "192.0.2.1:80", ALLOW, "network.allow"},
		{CONNECT, "169.254.169.254:80", DENY, "network.default"},
		{CONNECT, "[::ffff:169.254.169.254]:80", DENY, "network.default"},
		{CONNECT, "[64:ff9b::a9fe:a9fe]:80", DENY, "network.default"},
		{CONNECT, "100.100.100.200:80", DENY, "network.default"},
		{CONNECT, "[fd00:ec2::254]:80", DENY, "network.default"},
		{CONNECT, "[fd00:ec2::255]:80", ALLOW, "network.allow"},
		{CONNECT, "[fe80::1]:80", DENY, "network.default"},
	};
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "0.0.0.0/0", 0);
	built_net(&b, &p->network.allow, "::/0", 0);
	check_rows(p, wide, array_size(wide));
	built_net(&b, &p->network.allow, "169.254.169.254", 0);
	check_rows(p,
		(const struct row[]){{CONNECT, "169.254.169.254:80", ALLOW, "network.allow"},
			{CONNECT, "169.254.169.253:80", DENY, "network.default"}},
		2);
	built_net(&b, &p->network.ask, "0.0.0.0/0", 0);
	check_rows(p,
		(const struct row[]){{CONNECT, "169.254.169.254:80", ASK, "network.ask"},
			{CONNECT, "169.254.169.253:80", DENY, "network.default"}},
		2);
}

static void a_broken_rule_never_allows_and_a_broken_deny_denies(void **state)
{
	struct built b;
	struct profile *p = &b.profile;

	(void)state;
	built_init(&b);
	built_net(&b, &p->network.allow, "api.example.org", 0);
	built_net(&b, &p->network.allow, "*", 0);
	built_net(&b, &p->network.allow, "10.0.0.0/99", 0);
	check_rows(p,
		(const struct row[]){{CONNECT, "api.example.org:80", ALLOW, "network.allow"},
			{CONNECT, "other.example.org:80", DENY, "network.default"},
			{CONNECT, "10.0.0.1:80", DENY, "network.default"}},
		3);
	built_net(&b, &p->network.deny, "*", 0);
	check_rows(p,
		(const struct row[]){{CONNECT, "api.example.org:80", DENY, "network.deny"},
			{CONNECT, "10.0.0.1:80", DENY, "network.deny"}},
		2);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(hosts_and_addresses_by_their_rules),
		cmocka_unit_test(unix_sockets_need_their_family_and_a_file_that_is_there),
		cmocka_unit_test(without_a_family_no_rule_reaches_its_addresses),
		cmocka_unit_test(protocols_are_kept_apart),
		cmocka_unit_test(a_rule_for_a_program_is_for_that_program),
		cmocka_unit_test(metadata_needs_a_rule_of_its_own),
		cmocka_unit_test(a_broken_rule_never_allows_and_a_broken_deny_denies),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
