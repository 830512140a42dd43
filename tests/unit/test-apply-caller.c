/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/caller.h"
#include "base/own.h"

#include <string.h>

static void passwd_gives_name_home_and_group(void **state)
{
	struct caller caller = {.uid = 1000, .gid = 7};

	(void)state;
	caller_read_passwd(
		"root:x:0:0:root:/root:/bin/sh\nada:x:1000:1001:Ada,,,:/home/ada:/bin/bash\n",
		&caller, 1);
	assert_string_equal(caller.name, "ada");
	assert_string_equal(caller.home, "/home/ada");
	assert_int_equal(caller.gid, 1001);
}

static void the_group_stays_where_sudo_gave_it(void **state)
{
	struct caller caller = {.uid = 1000, .gid = 7};

	(void)state;
	caller_read_passwd("ada:x:1000:1001::/home/ada:/bin/bash\n", &caller, 0);
	assert_int_equal(caller.gid, 7);
}

static void lines_that_do_not_hold_together_are_skipped(void **state)
{
	static const char *const rows[] = {"", "\n\n", "ada", "ada:x:1000", "ada:x:1000:1001:gecos",
		"ada:x:+1000:1:g:/h:", "ada:x:01000:1:g:/h:", "ada:x: 1000:1:g:/h:",
		"ada:x:1000x:1:g:/h:", "ada:x:4294967296000:1:g:/h:"};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct caller caller = {.uid = 1000};

		caller_read_passwd(rows[i], &caller, 1);
		assert_string_equal(caller.name, "");
		assert_string_equal(caller.home, "");
	}
}

static void odd_names_and_homes_are_not_taken_over(void **state)
{
	struct caller caller = {.uid = 1000};

	(void)state;
	caller_read_passwd("a\033[31mb:x:1000:1:g:/home/../root:/bin/sh\n", &caller, 1);
	assert_string_equal(caller.name, "");
	assert_string_equal(caller.home, "");
	caller_read_passwd("-rf:x:1000:1:g:relative:/bin/sh\n", &caller, 1);
	assert_string_equal(caller.name, "");
	assert_string_equal(caller.home, "");
	caller_read_passwd(
		"abcdefghijklmnopqrstuvwxyz0123456789:x:1000:1:g:/h:/bin/sh\n", &caller, 1);
	assert_string_equal(caller.name, "");
	assert_string_equal(caller.home, "/h");
}

/* Each way to become root for one command names who took it. */
static void whoever_became_root_for_a_command_is_the_caller(void **state)
{
	static const struct {
		struct caller_doors doors;
		uid_t uid;
		gid_t gid;
	} rows[] = {
		{{.uid = 0}, 0, 0},
		{{.sudo_uid = "1000", .sudo_gid = "1007"}, 1000, 1007},
		{{.sudo_uid = "1000"}, 1000, 1001},
		{{.sudo_uid = "4000"}, 4000, 4000},
		{{.doas_user = "ada"}, 1000, 1001},
		{{.pkexec_uid = "1000"}, 1000, 1001},
		{{.login_uid = "1000"}, 1000, 1001},
		{{.login_uid = "4294967295"}, 0, 0},
		{{.login_uid = "0"}, 0, 0},
		/* A door says more than the login, and what is no door says nothing. */
		{{.sudo_uid = "2000", .login_uid = "1000"}, 2000, 2001},
		{{.sudo_uid = "0", .login_uid = "1000"}, 1000, 1001},
		{{.doas_user = "root", .login_uid = "1000"}, 1000, 1001},
		{{.doas_user = "root"}, 0, 0},
		{{.doas_user = "", .pkexec_uid = "x", .sudo_uid = "-1"}, 0, 0},
		/* What was made up beside what a door says. */
		{{.doas_user = "ada", .sudo_uid = "2000"}, CALLER_NOBODY, CALLER_NOBODY},
		{{.doas_user = "ada", .pkexec_uid = "2000"}, CALLER_NOBODY, CALLER_NOBODY},
		{{.sudo_uid = "1000", .pkexec_uid = "2000"}, CALLER_NOBODY, CALLER_NOBODY},
		{{.doas_user = "ada", .sudo_uid = "1000", .sudo_gid = "7"}, 1000, 7},
		{{.doas_user = "nobody-has-this"}, CALLER_NOBODY, CALLER_NOBODY},
		/* Set-user-ID, and nobody's root. */
		{{.uid = 5, .gid = 6, .sudo_uid = "1000"}, 5, 6},
		{{.uid = 5, .gid = 6, .login_uid = "1000"}, 5, 6},
		{{.uid = 5, .gid = 6, .effective_uid = 5, .doas_user = "ada"}, 5, 6},
		{{.effective_uid = 5, .sudo_uid = "1000"}, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct caller_doors doors = rows[i].doors;
		struct caller caller;

		doors.passwd = "root:x:0:0::/root:/bin/sh\nada:x:1000:1001::/home/ada:/bin/sh\n"
			       "bob:x:2000:2001::/home/bob:/bin/sh\n";
		caller_judge(&doors, &caller);
		if (caller.uid != rows[i].uid || caller.gid != rows[i].gid)
			fail_msg("row %zu: %u %u", i, (unsigned)caller.uid, (unsigned)caller.gid);
	}
}

static void sudo_is_believed_from_root_only(void **state)
{
	struct caller caller;

	(void)state;
	setenv("SUDO_UID", "12345", 1);
	setenv("SUDO_GID", "23456", 1);
	caller_identify(&caller);
	if (geteuid() == 0) {
		assert_int_equal(caller.uid, 12345);
		assert_int_equal(caller.gid, 23456);
	} else {
		assert_int_equal(caller.uid, getuid());
		assert_int_equal(caller.gid, getgid());
	}
	unsetenv("SUDO_GID");
	caller_identify(&caller);
	assert_int_not_equal(caller.gid, 0); /* never root's group by accident */
	/* The login says who it is then. */
	setenv("SUDO_UID", "0", 1);
	caller_identify(&caller);
	assert_int_not_equal(caller.uid, 12345);
	setenv("SUDO_UID", "4294967295", 1);
	caller_identify(&caller);
	assert_int_not_equal(caller.uid, UINT32_MAX);
	unsetenv("SUDO_UID");
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(passwd_gives_name_home_and_group),
		cmocka_unit_test(the_group_stays_where_sudo_gave_it),
		cmocka_unit_test(lines_that_do_not_hold_together_are_skipped),
		cmocka_unit_test(odd_names_and_homes_are_not_taken_over),
		cmocka_unit_test(whoever_became_root_for_a_command_is_the_caller),
		cmocka_unit_test(sudo_is_believed_from_root_only),
	};

	return cmocka_run_group_tests_name("apply-caller", list, NULL, NULL);
}
