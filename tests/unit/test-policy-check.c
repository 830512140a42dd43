/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "loading.h"
#include "path-facts.h"

#define HEAD "version: 1\nname: p\n"

static void load_good(struct loading *l, const char *text)
{
	loading_good(l, text);
	text_finish(&l->out);
}

static int check(struct loading *l, const struct host *h)
{
	return profile_check_paths(l->profile, &h->facts, &l->out, &l->err);
}

static void a_granted_path_that_is_absent_is_an_error_with_its_line(void **state)
{
	autoloading struct loading l;
	struct host h;

	(void)state;
	loading_init(&l);
	load_good(&l, HEAD "fs:\n  read: [/usr, /opt/none]\n");
	host_init(&h);
	host_add(&h, "/usr", "/usr");
	host_add(&h, "/opt/none", "")->deepest_existing = (char *)(uintptr_t) "/opt";
	assert_int_equal(check(&l, &h), -EINVAL);
	assert_int_equal(l.err.kind, ERROR_INPUT);
	assert_non_null(strstr(text_string(&l.out), "p.yaml:4:16: error[E040]"));
	assert_non_null(strstr(text_string(&l.out), "there up to /opt)"));
	assert_non_null(strstr(text_string(&l.out), "    4 |   read: [/usr, /opt/none]"));
}

static void absence_is_fine_where_it_is_optional_or_denied(void **state)
{
	autoloading struct loading l;
	struct host h;

	(void)state;
	loading_init(&l);
	load_good(&l,
		HEAD "fs: {read: [{path: /a, optional: true}], deny: [/b], canaries: [/c],\n"
		     "  protect: [/d]}\nexec: {deny: [/e], allow: [{path: /f, optional: true}]}\n");
	host_init(&h);
	for (size_t i = 0; i < 6; i++) {
		static const char *const paths[] = {"/a", "/b", "/c", "/d", "/e", "/f"};

		host_add(&h, paths[i], "");
	}
	assert_int_equal(check(&l, &h), 0);
	assert_string_equal(text_string(&l.out), "");
}

static void a_path_that_may_not_be_looked_at_is_an_error(void **state)
{
	autoloading struct loading l;
	struct host h;

	(void)state;
	loading_init(&l);
	load_good(&l, HEAD "fs: {write: [/srv/x]}\n");
	host_init(&h);
	host_add(&h, "/srv/x", "")->error = EACCES;
	assert_int_equal(check(&l, &h), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "cannot be looked at: Permission denied"));
}

/* Attack M07: the grant is a link that its owner can turn around. */
static void a_grant_that_is_a_users_link_is_noted_and_roots_is_not(void **state)
{
	autoloading struct loading l;
	struct host h;
	Berm__Wire__PathFact *fact;

	(void)state;
	loading_init(&l);
	load_good(&l, HEAD "fs: {read: [/bin, /srv/link]}\n");
	host_init(&h);
	host_add(&h, "/bin", "/usr/bin")->kind = BERM__WIRE__FILE_KIND__FILE_SYMLINK;
	fact = host_add(&h, "/srv/link", "/data");
	fact->kind = BERM__WIRE__FILE_KIND__FILE_SYMLINK;
	fact->owner_uid = 1000;
	assert_int_equal(check(&l, &h), 0);
	assert_non_null(strstr(
		text_string(&l.out), "note[N003]: fs.read /srv/link is a link; it grants /data"));
	assert_null(strstr(text_string(&l.out), "/bin is a link"));
}

static void a_write_grant_must_not_lead_to_what_nobody_may_write(void **state)
{
	static const struct {
		const char *resolved;
		bool good;
	} rows[] = {{"/srv/x", true}, {"/etc", false}, {"/home/user", false}, {"/usr/bin/x", false},
		{"/data", true}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		autoloading struct loading l;
		struct host h;

		loading_init(&l);
		load_good(&l, HEAD "fs: {write: [/srv/x]}\n");
		host_init(&h);
		h.facts.caller_home = (char *)(uintptr_t) "/home/user";
		host_add(&h, "/srv/x", rows[i].resolved);
		assert_int_equal(check(&l, &h), rows[i].good ? 0 : -EINVAL);
		assert_int_equal(strstr(text_string(&l.out), "error[E035]") == NULL, rows[i].good);
	}
}

/* Attack M08: the profile is where the tool can write, behind a link. */
static void a_write_grant_must_not_lead_to_the_profile_itself(void **state)
{
	autoloading struct loading l;
	struct host h;

	(void)state;
	loading_init(&l);
	load_good(&l, HEAD "fs: {write: [/srv/x]}\n");
	host_init(&h);
	host_add(&h, "/srv/x", l.dir);
	assert_int_equal(check(&l, &h), -EINVAL);
	assert_non_null(strstr(text_string(&l.out), "error[E044]"));
}

static void other_names_of_a_denied_file_are_worth_a_warning(void **state)
{
	autoloading struct loading l;
	struct host h;
	Berm__Wire__GlobFact glob, *globs = &glob;
	Berm__Wire__PathFact match, *matches = &match, *fact;

	(void)state;
	loading_init(&l);
	berm__wire__glob_fact__init(&glob);
	berm__wire__path_fact__init(&match);
	load_good(&l, HEAD "fs: {deny: [/srv/key, /srv/*.pem]}\n");
	host_init(&h);
	fact = host_add(&h, "/srv/key", "/srv/key");
	fact->resolved_kind = BERM__WIRE__FILE_KIND__FILE_REGULAR;
	fact->links = 2;
	match.path = (char *)(uintptr_t) "/srv/a.pem";
	match.resolved_kind = BERM__WIRE__FILE_KIND__FILE_REGULAR;
	match.links = 3;
	glob.pattern = (char *)(uintptr_t) "/srv/*.pem";
	glob.matches = &matches;
	glob.n_matches = 1;
	h.facts.globs = &globs;
	h.facts.n_globs = 1;
	assert_int_equal(check(&l, &h), 0);
	assert_non_null(
		strstr(text_string(&l.out), "warning[W004]: fs.deny /srv/key has 2 hard links"));
	assert_non_null(
		strstr(text_string(&l.out), "warning[W004]: fs.deny /srv/a.pem has 3 hard links"));
	fact->links = match.links = 1;
	text_finish(&l.out);
	assert_int_equal(check(&l, &h), 0);
	assert_string_equal(text_string(&l.out), "");
}

static void a_path_without_a_fact_is_never_taken_as_checked(void **state)
{
	autoloading struct loading l;
	struct host h;

	(void)state;
	loading_init(&l);
	load_good(&l, HEAD "fs: {read: [/usr]}\n");
	host_init(&h);
	assert_int_equal(check(&l, &h), -EINVAL);
	assert_int_equal(l.err.kind, ERROR_INTERNAL);
}

static void paths_and_globs_to_look_at_are_each_listed_once(void **state)
{
	autoloading struct loading l;
	autofree const char **paths = NULL, **globs = NULL;
	static const char *const wanted[] = {"/a", "/b", "/c", "/e", "/g", NULL};

	(void)state;
	loading_init(&l);
	load_good(&l,
		HEAD "fs: {read: [/b, /a], write: [/c], deny: [/a, /d/*], protect: [\"/d/**/x\"]}\n"
		     "network: {unix: [/e]}\nexec: {allow: [/a], deny: [{command: [x]}, /g]}\n");
	assert_int_equal(profile_paths(l.profile, &paths, &globs), 0);
	for (size_t i = 0; i < array_size(wanted); i++) {
		if (wanted[i])
			assert_string_equal(paths[i], wanted[i]);
		else
			assert_null(paths[i]);
	}
	assert_string_equal(globs[0], "/d/*");
	assert_string_equal(globs[1], "/d/**/x");
	assert_null(globs[2]);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_granted_path_that_is_absent_is_an_error_with_its_line),
		cmocka_unit_test(absence_is_fine_where_it_is_optional_or_denied),
		cmocka_unit_test(a_path_that_may_not_be_looked_at_is_an_error),
		cmocka_unit_test(a_grant_that_is_a_users_link_is_noted_and_roots_is_not),
		cmocka_unit_test(a_write_grant_must_not_lead_to_what_nobody_may_write),
		cmocka_unit_test(a_write_grant_must_not_lead_to_the_profile_itself),
		cmocka_unit_test(other_names_of_a_denied_file_are_worth_a_warning),
		cmocka_unit_test(a_path_without_a_fact_is_never_taken_as_checked),
		cmocka_unit_test(paths_and_globs_to_look_at_are_each_listed_once),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
