/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"

#define HEAD "version: 1\nname: p\n"

static void refused(struct loading *l, const char *text, const char *wanted)
{
	assert_int_equal(loading_text(l, text), -EINVAL);
	if (!strstr(text_string(&l->out), wanted))
		fail_msg("wants %s, got\n%s", wanted, text_string(&l->out));
}

static void lists_are_added_and_single_values_replaced(void **state)
{
	autoloading struct loading l;
	const struct profile *p;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml",
		"version: 1\nname: base\ndescription: for others\n"
		"fs: {read: [/usr, /lib], tmp: {size: 1MiB}}\n"
		"limits: {pids: 3, memory: 1GiB}\non_unsupported: degrade\n"
		"env: {set: {A: base, B: base}}\n"
		"tests: [{do: read /x, expect: deny}]\n");
	loading_good(&l, HEAD "extends: [base]\nfs: {read: [/opt]}\nlimits: {pids: 9}\n"
			      "on_unsupported: refuse\nenv: {set: {B: mine}}\n");
	p = l.profile;
	assert_string_equal(p->name, "p");
	assert_null(p->description);
	assert_int_equal(p->tests.count, 0);
	assert_int_equal(p->fs.read.count, 3);
	assert_string_equal(p->fs.read.items[0].path, "/usr");
	assert_string_equal(p->fs.read.items[2].path, "/opt");
	assert_non_null(strstr(p->fs.read.items[0].at.file, "base.yaml"));
	assert_non_null(strstr(p->fs.read.items[2].at.file, "p.yaml"));
	assert_int_equal(p->limits.pids.value, 9);
	assert_int_equal(p->limits.memory_bytes.value, 1 << 30);
	assert_int_equal(p->fs.tmp.size_bytes.value, 1 << 20);
	assert_false(p->degrade);
	assert_int_equal(p->env.set_count, 2);
	assert_string_equal(p->env.set[0].value, "base");
	assert_string_equal(p->env.set[1].value, "mine");
	assert_int_equal(p->file_count, 2);
}

static void a_profile_that_comes_twice_is_read_once(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_string(&l, "root.yaml", HEAD "fs: {read: [/usr]}\n");
	loading_string(&l, "a.yaml", HEAD "extends: [root]\nfs: {read: [/a]}\n");
	loading_string(&l, "b.yaml", HEAD "extends: [root]\nfs: {read: [/b]}\n");
	loading_good(&l, HEAD "extends: [a, b, ./root.yaml]\n");
	assert_int_equal(l.profile->fs.read.count, 3);
	assert_int_equal(l.profile->file_count, 4);
}

static void a_circle_is_shown_as_a_chain(void **state)
{
	autoloading struct loading l;
	char chain[512];

	(void)state;
	loading_init(&l);
	loading_string(&l, "a.yaml", HEAD "extends: [b]\n");
	loading_string(&l, "b.yaml", HEAD "extends: [a]\n");
	snprintf(chain, sizeof(chain), "in a circle: %s/a.yaml extends %s/b.yaml extends %s/a.yaml",
		l.dir, l.dir, l.dir);
	refused(&l, HEAD "extends: [a]\n", chain);
}

static const char removable[] = HEAD
	"fs: {read: [/usr, \"${HOME}/x\", {path: /opt, reason: y}], deny: [/srv/*]}\n"
	"network: {allow: [{host: a.example}, {host: a.example, ports: [1]}, {cidr: 10.0.0.0/8}]}\n"
	"exec: {deny: [/usr/bin/sudo, {command: [git, push]}]}\n"
	"syscalls: {deny: [bpf], deny_groups: [mount]}\n"
	"env: {pass: [A, \"B*\"], set: {C: x}, hide: [\"*_KEY\"]}\n";

static void remove_takes_exact_entries_out(void **state)
{
	autoloading struct loading l;
	const struct profile *p;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", removable);
	loading_good(&l, HEAD "extends: [base]\nremove:\n"
			      "  fs.read: [\"${HOME}/x\", /opt]\n  fs.deny: [\"/srv/*\"]\n"
			      "  network.allow: [A.example, 10.0.0.0/8]\n  exec.deny: [git push]\n"
			      "  syscalls.deny: [bpf]\n  syscalls.deny_groups: [mount]\n"
			      "  env.pass: [\"B*\"]\n  env.set: [C]\n  env.hide: [\"*_KEY\"]\n"
			      "fs: {read: [/opt]}\n");
	p = l.profile;
	assert_int_equal(p->fs.read.count, 2);
	assert_string_equal(p->fs.read.items[0].path, "/usr");
	/* What this file adds itself is not touched by its own remove. */
	assert_string_equal(p->fs.read.items[1].path, "/opt");
	assert_int_equal(p->fs.deny.count, 0);
	assert_int_equal(p->network.allow.count, 0);
	assert_int_equal(p->pending.count, 0);
	assert_int_equal(p->exec.deny.count, 1);
	assert_int_equal(p->syscalls.deny.count + p->syscalls.deny_groups.count, 0);
	assert_int_equal(p->env.pass.count, 1);
	assert_int_equal(p->env.set_count + p->env.hide.count, 0);
}

static void remove_of_what_is_not_there_is_an_error(void **state)
{
	static const char *const rows[] = {"fs.read: [/usr/]", "fs.read: [/home/user/x]",
		"fs.deny: [/srv]", "fs.write: [/usr]", "network.allow: [b.example]",
		"exec.deny: [git]", "exec.deny: [git push x]", "exec.deny: [gitpush]",
		"env.pass: [B]", "env.set: [A]", "syscalls.families: [unix]"};
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", removable);
	for (size_t i = 0; i < array_size(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text), HEAD "extends: [base]\nremove: {%s}\n", rows[i]);
		refused(&l, text, "error[E027]");
	}
}

/* A cloned repository must not choose its own walls. */
static void a_name_is_never_looked_up_in_the_working_directory(void **state)
{
	autoloading struct loading l;
	autofree char *before = getcwd(NULL, 0);
	const char *nowhere[] = {"/nonexistent", "", ".", NULL};
	char path[128];
	int r;

	(void)state;
	loading_init(&l);
	loading_string(&l, "here.yaml", HEAD);
	loading_string(&l, "ext.yaml", HEAD "extends: [here]\n");
	l.request.search_path = nowhere;
	assert_int_equal(chdir(l.dir), 0);
	r = loading_load(&l, "here");
	assert_int_equal(r, -ENOENT);
	assert_int_equal(l.err.kind, ERROR_INPUT);
	assert_non_null(strstr(l.err.text, "no profile named here in /nonexistent"));
	/* Unless the profile that asks for it was named as a file of that directory. */
	assert_int_equal(loading_load(&l, "ext.yaml"), 0);
	assert_int_equal(loading_load(&l, "./ext.yaml"), 0);
	assert_int_equal(chdir("/"), 0);
	snprintf(path, sizeof(path), "%s/ext.yaml", l.dir);
	assert_int_equal(loading_load(&l, path), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "ext.yaml:3:11: error[E022]"));
	assert_int_equal(chdir(l.dir), 0);
	assert_int_equal(loading_load(&l, "./here.yaml"), 0);
	assert_string_equal(l.profile->file, "./here.yaml");
	assert_int_equal(chdir(before), 0);
}

static void the_first_directory_of_the_search_path_wins(void **state)
{
	autoloading struct loading l, second;
	const char *both[] = {NULL, NULL, NULL};

	(void)state;
	loading_init(&l);
	loading_init(&second);
	both[0] = l.dir;
	both[1] = second.dir;
	loading_string(&l, "x.yaml", HEAD "limits: {pids: 1}\n");
	loading_string(&second, "x.yaml", HEAD "limits: {pids: 2}\n");
	loading_string(&second, "y.yaml", HEAD "limits: {pids: 3}\n");
	l.request.search_path = both;
	assert_int_equal(loading_load(&l, "x"), 0);
	assert_int_equal(l.profile->limits.pids.value, 1);
	assert_int_equal(loading_load(&l, "y"), 0);
	assert_int_equal(l.profile->limits.pids.value, 3);
}

static void a_file_beside_is_found_through_a_link_as_well(void **state)
{
	autoloading struct loading l, links;
	char real[128], link[128];

	(void)state;
	loading_init(&l);
	loading_init(&links);
	loading_string(&l, "base.yaml", HEAD "fs: {read: [/usr]}\n");
	loading_string(&l, "x.yaml", HEAD "extends: [./base.yaml]\n");
	snprintf(real, sizeof(real), "%s/x.yaml", l.dir);
	snprintf(link, sizeof(link), "%s/link.yaml", links.dir);
	assert_int_equal(symlink(real, link), 0);
	assert_int_equal(loading_load(&l, link), 0);
	assert_int_equal(l.profile->fs.read.count, 1);
}

static void a_link_in_a_place_of_others_chooses_no_profile(void **state)
{
	autoloading struct loading l, links;
	char real[128], link[128];

	(void)state;
	loading_init(&l);
	loading_init(&links);
	loading_string(&l, "x.yaml", HEAD);
	snprintf(real, sizeof(real), "%s/x.yaml", l.dir);
	snprintf(link, sizeof(link), "%s/link.yaml", links.dir);
	assert_int_equal(symlink(real, link), 0);
	assert_int_equal(chmod(links.dir, 0777), 0);
	assert_int_equal(loading_load(&l, link), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "error[E025]"));
}

static void a_file_of_another_user_is_trusted_only_where_it_is_said(void **state)
{
	autoloading struct loading l;
	char path[128];

	(void)state;
	if (getuid() != 0) {
		print_message("# only root can make a file of somebody else\n");
		skip();
	}
	loading_init(&l);
	loading_string(&l, "p.yaml", HEAD);
	snprintf(path, sizeof(path), "%s/p.yaml", l.dir);
	if (chown(path, 4242, 0) < 0) {
		print_message("# this user namespace has no uid 4242\n");
		skip();
	}
	l.request.trusted_uid = 1000;
	assert_int_equal(loading_load(&l, "p"), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "belongs to another user"));
	l.request.trusted_uid = 4242;
	assert_int_equal(loading_load(&l, "p"), 0);
}

/* The caller's own directory comes first on the search path; what root's ceiling extends must not
 * be replaced from there. */
static void a_ceiling_of_root_extends_files_of_root(void **state)
{
	autoloading struct loading l, users;
	char ceiling[128], base[128];
	const char *both[] = {NULL, NULL, NULL}, *ceilings[] = {ceiling, NULL};

	(void)state;
	if (getuid() != 0) {
		print_message("# only root can make a file of somebody else\n");
		skip();
	}
	loading_init(&l);
	loading_init(&users);
	both[0] = users.dir;
	both[1] = l.dir;
	snprintf(ceiling, sizeof(ceiling), "%s/ceiling.yaml", l.dir);
	snprintf(base, sizeof(base), "%s/base.yaml", users.dir);
	loading_string(&l, "ceiling.yaml", HEAD "extends: [base]\n");
	loading_string(&l, "base.yaml", HEAD "fs: {read: [/usr]}\n");
	loading_string(&users, "base.yaml", HEAD "fs: {read: [/usr, /srv]}\n");
	if (chown(base, 4242, 0) < 0 || chown(users.dir, 4242, 0) < 0) {
		print_message("# this user namespace has no uid 4242\n");
		skip();
	}
	l.request.search_path = both;
	l.request.trusted_uid = 4242;
	l.request.ceilings = ceilings;
	loading_good(&l, HEAD "fs: {read: [/usr, /srv]}\n");
	assert_int_equal(l.profile->fs.read.count, 1);
	/* Where the ceiling is the user's own, so may be what it extends. */
	assert_int_equal(chown(ceiling, 4242, 0), 0);
	loading_good(&l, HEAD "fs: {read: [/usr, /srv]}\n");
	assert_int_equal(l.profile->fs.read.count, 2);
}

static void the_digest_covers_every_byte_of_every_file(void **state)
{
	autoloading struct loading l;
	uint8_t first[32];

	(void)state;
	loading_init(&l);
	loading_string(&l, "base.yaml", HEAD "#\n");
	loading_good(&l, HEAD "extends: [base]\n");
	memcpy(first, l.profile->digest, sizeof(first));
	loading_good(&l, HEAD "extends: [base]\n");
	assert_memory_equal(first, l.profile->digest, sizeof(first));
	loading_string(&l, "base.yaml", HEAD "# \n");
	loading_good(&l, HEAD "extends: [base]\n");
	assert_memory_not_equal(first, l.profile->digest, sizeof(first));
	loading_string(&l, "base.yaml", HEAD);
	loading_good(&l, HEAD "extends: [base]\n#\n");
	assert_memory_not_equal(first, l.profile->digest, sizeof(first));
}

static void many_errors_are_counted_and_the_first_ones_shown(void **state)
{
	autoloading struct loading l;
	autotext struct text text = {0};
	unsigned shown = 0;

	(void)state;
	loading_init(&l);
	text_puts(&text, HEAD "fs:\n  read:\n");
	for (unsigned i = 0; i < 80; i++)
		text_puts(&text, "    - relative\n");
	assert_int_equal(loading_text(&l, text_string(&text)), -EINVAL);
	for (const char *at = text_string(&l.out); (at = strstr(at, "error[E020]")); at++)
		shown++;
	assert_int_equal(shown, 50);
	assert_non_null(strstr(l.err.text, "80 errors"));
}

/* Terminals obey what they are shown, and people believe it. */
static void quoted_lines_are_escaped_with_the_caret_in_place(void **state)
{
	autoloading struct loading l;

	(void)state;
	loading_init(&l);
	refused(&l,
		HEAD "description: \xc3\xa4\xc3\xb6\nfs: {\xc3\xbc"
		     "bel: \xc3\xa4, reed: [/x]}\n",
		"    4 | fs: {\xc3\xbc"
		"bel: \xc3\xa4, reed: [/x]}\n      |               ^\n");
	refused(&l, HEAD "description: a\x1b]0;x\x07\n",
		"    3 | description: a\\x1b]0;x\\x07\n      |               ^\n");
	refused(&l, HEAD "fs: {read: [\"a\tb\"]}\n",
		"    3 | fs: {read: [\"a\\x09b\"]}\n      |             ^\n");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(lists_are_added_and_single_values_replaced),
		cmocka_unit_test(a_profile_that_comes_twice_is_read_once),
		cmocka_unit_test(a_circle_is_shown_as_a_chain),
		cmocka_unit_test(remove_takes_exact_entries_out),
		cmocka_unit_test(remove_of_what_is_not_there_is_an_error),
		cmocka_unit_test(a_name_is_never_looked_up_in_the_working_directory),
		cmocka_unit_test(the_first_directory_of_the_search_path_wins),
		cmocka_unit_test(a_file_beside_is_found_through_a_link_as_well),
		cmocka_unit_test(a_link_in_a_place_of_others_chooses_no_profile),
		cmocka_unit_test(a_file_of_another_user_is_trusted_only_where_it_is_said),
		cmocka_unit_test(a_ceiling_of_root_extends_files_of_root),
		cmocka_unit_test(the_digest_covers_every_byte_of_every_file),
		cmocka_unit_test(many_errors_are_counted_and_the_first_ones_shown),
		cmocka_unit_test(quoted_lines_are_escaped_with_the_caret_in_place),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
