/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"
#include "tree.h"

#include "apply/facts.h"
#include "apply/probe.h"
#include "base/io.h"
#include "base/text.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NOBODY 65534

static Berm__Wire__PathFact *look_at(const char *path)
{
	Berm__Wire__PathFact *fact = NULL;
	struct error err = {0};

	if (facts_path(path, &fact, &err) < 0)
		fail_msg("%s", err.text);
	return fact;
}

static void a_regular_file_is_described_by_its_inode(void **state)
{
	Berm__Wire__PathFact *fact;
	struct stat st;

	(void)state;
	make_file("f", "x");
	assert_int_equal(stat(in_top("f"), &st), 0);
	fact = look_at(in_top("f"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_REGULAR);
	assert_string_equal(fact->resolved, in_top("f"));
	assert_int_equal(fact->resolved_kind, BERM__WIRE__FILE_KIND__FILE_REGULAR);
	assert_int_equal(fact->dev, st.st_dev);
	assert_int_equal(fact->ino, st.st_ino);
	assert_int_equal(fact->owner_uid, st.st_uid);
	assert_int_equal(fact->mode, st.st_mode & 07777);
	assert_int_equal(fact->links, 1);
	assert_string_equal(fact->deepest_existing, "");
	assert_int_equal(fact->error, 0);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_link_is_itself_and_what_it_leads_to(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	make_directory("real");
	assert_int_equal(symlink("real", in_top("link")), 0);
	fact = look_at(in_top("link"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_SYMLINK);
	assert_string_equal(fact->link_target, "real");
	assert_string_equal(fact->resolved, in_top("real"));
	assert_int_equal(fact->resolved_kind, BERM__WIRE__FILE_KIND__FILE_DIRECTORY);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_link_on_the_way_is_followed(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	make_directory("real");
	make_file("real/f", "x");
	assert_int_equal(symlink("real", in_top("link")), 0);
	fact = look_at(in_top("link/f"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_REGULAR);
	assert_string_equal(fact->resolved, in_top("real/f"));
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void an_absent_path_names_its_deepest_existing_ancestor(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	make_directory("a");
	fact = look_at(in_top("a/b/c/d"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_int_equal(fact->resolved_kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_string_equal(fact->resolved, "");
	assert_string_equal(fact->deepest_existing, in_top("a"));
	assert_int_equal(fact->deepest_kind, BERM__WIRE__FILE_KIND__FILE_DIRECTORY);
	assert_string_equal(fact->missing, "b/c/d");
	assert_int_equal(fact->error, 0);
	berm__wire__path_fact__free_unpacked(fact, NULL);
	assert_int_equal(symlink("a", in_top("link")), 0);
	fact = look_at(in_top("link/b"));
	assert_string_equal(fact->deepest_existing, in_top("a"));
	assert_string_equal(fact->missing, "b");
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_path_beneath_a_file_is_absent(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	make_file("f", "x");
	fact = look_at(in_top("f/x"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_string_equal(fact->deepest_existing, in_top("f"));
	assert_int_equal(fact->deepest_kind, BERM__WIRE__FILE_KIND__FILE_REGULAR);
	assert_int_equal(fact->error, 0);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_dangling_link_is_a_link_to_nothing(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	assert_int_equal(symlink("gone", in_top("link")), 0);
	fact = look_at(in_top("link"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_SYMLINK);
	assert_string_equal(fact->link_target, "gone");
	assert_int_equal(fact->resolved_kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_string_equal(fact->resolved, "");
	assert_string_equal(fact->deepest_existing, in_top("link"));
	assert_int_equal(fact->deepest_kind, BERM__WIRE__FILE_KIND__FILE_SYMLINK);
	assert_string_equal(fact->missing, "");
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_loop_of_links_is_an_error_of_its_own(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	assert_int_equal(symlink("b", in_top("a")), 0);
	assert_int_equal(symlink("a", in_top("b")), 0);
	fact = look_at(in_top("a/x"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_int_equal(fact->error, ELOOP);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

/* A FIFO without a writer would block an ordinary open, so an open that comes back at once proves
 * O_PATH. */
static void fifos_sockets_and_devices_are_not_opened(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	Berm__Wire__PathFact *fact;

	(void)state;
	assert_int_equal(mkfifo(in_top("fifo"), 0600), 0);
	fact = look_at(in_top("fifo"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_OTHER);
	berm__wire__path_fact__free_unpacked(fact, NULL);
	strcpy(address.sun_path, in_top("socket"));
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(socket_fd);
	fact = look_at(in_top("socket"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_SOCKET);
	berm__wire__path_fact__free_unpacked(fact, NULL);
	fact = look_at("/dev/null");
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_DEVICE);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_file_may_be_called_deleted(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	make_file("f (deleted)", "x");
	fact = look_at(in_top("f (deleted)"));
	assert_string_equal(fact->resolved, in_top("f (deleted)"));
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

/* The matches of a glob beneath top, without "top/", separated by spaces; "!" at the end when not
 * complete. */
static char *matches_of(const char *pattern)
{
	Berm__Wire__GlobFact *fact = NULL;
	autotext struct text out = {0};
	struct error err = {0};

	if (facts_glob(in_top(pattern), &fact, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < fact->n_matches; i++) {
		const char *path = fact->matches[i]->path;

		assert_memory_equal(path, top, strlen(top));
		text_printf(&out, "%s%s", i ? " " : "",
			path[strlen(top)] ? path + strlen(top) + 1 : ".");
	}
	if (!fact->complete)
		text_puts(&out, "!");
	berm__wire__glob_fact__free_unpacked(fact, NULL);
	return text_take(&out);
}

static void globs_match_what_the_policy_says_they_match(void **state)
{
	static const struct {
		const char *pattern, *expected;
	} rows[] = {
		{".env*", ".env .env.local"},
		{"*/.env*", "a/.env b/.env.x"},
		{"**/.env*", ".env .env.local a/.env a/deep/er/.env b/.env.x"},
		{"**/deep", "a/deep"},
		{"a/**/.env", "a/.env a/deep/er/.env"},
		{"a/**", "a"}, /* "**" also stands for nothing, and beneath a match nothing more is
				  listed */
		{"**/er/**/.env", "a/deep/er/.env"},
		{"?", "a b"},
		{"*/*/er/.env", "a/deep/er/.env"},
		{"nothing*", ""},
		{"gone/*", ""},
		{"a/f/*", ""},
	};

	(void)state;
	make_directory("a");
	make_directory("a/deep");
	make_directory("a/deep/er");
	make_directory("b");
	make_file(".env", "");
	make_file(".env.local", "");
	make_file("a/.env", "");
	make_file("a/f", "");
	make_file("a/deep/er/.env", "");
	make_file("b/.env.x", "");
	for (size_t i = 0; i < array_size(rows); i++) {
		autofree char *got = matches_of(rows[i].pattern);

		assert_non_null(got);
		assert_string_equal(got, rows[i].expected);
	}
}

static void links_are_followed_by_name_and_never_beneath_two_stars(void **state)
{
	autofree char *named = NULL, *starred = NULL, *last = NULL;

	(void)state;
	make_directory("real");
	make_file("real/.env", "");
	assert_int_equal(symlink("real", in_top("link")), 0);
	assert_int_equal(symlink(".", in_top("real/loop")), 0);
	named = matches_of("l*/.env");
	assert_string_equal(named, "link/.env");
	starred = matches_of("**/.env");
	assert_string_equal(starred, "real/.env");
	last = matches_of("l*");
	assert_string_equal(last, "link");
}

static void a_walk_that_is_too_deep_says_so(void **state)
{
	autotext struct text path = {0};
	autofree char *got = NULL;

	(void)state;
	text_puts(&path, "d");
	for (unsigned i = 0; i < GLOB_DEPTH_MAX + 2; i++) {
		make_directory(text_string(&path));
		text_puts(&path, "/d");
	}
	got = matches_of("**/.env");
	assert_string_equal(got, "!");
}

static void a_closed_directory_of_the_caller_makes_the_walk_incomplete(void **state)
{
	autofree char *got = NULL;

	(void)state;
	make_directory("closed");
	assert_int_equal(chmod(in_top("closed"), 0), 0);
	if (geteuid() == 0) { /* root reads every directory */
		assert_int_equal(chown(in_top("closed"), NOBODY, NOBODY), 0);
		assert_int_equal(chmod(top, 0755), 0);
		assert_int_equal(seteuid(NOBODY), 0);
	}
	got = matches_of("*/*nv");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(in_top("closed"), 0700), 0);
	assert_string_equal(got, "!");
}

static void gathering_fills_host_and_paths_in_their_order(void **state)
{
	const char *paths[] = {"/usr", "/nonexistent", NULL}, *globs[] = {"/etc/passw?", NULL};
	const struct facts_request request = {.paths = paths, .globs = globs};
	Berm__Wire__HostFacts *facts = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(facts_gather(&request, &facts, &err), 0);
	assert_true(facts->kernel_release[0] >= '0' && facts->kernel_release[0] <= '9');
	assert_int_equal(facts->landlock_abi, probe_landlock_abi());
	assert_int_not_equal(facts->audit_arch, 0);
	assert_int_equal(facts->n_paths, 2);
	assert_string_equal(facts->paths[0]->path, "/usr");
	assert_int_equal(facts->paths[0]->kind, BERM__WIRE__FILE_KIND__FILE_DIRECTORY);
	assert_int_equal(facts->paths[1]->kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_string_equal(facts->paths[1]->deepest_existing, "/");
	assert_int_equal(facts->n_globs, 1);
	assert_int_equal(facts->globs[0]->n_matches, 1);
	assert_string_equal(facts->globs[0]->matches[0]->resolved, "/etc/passwd");
	berm__wire__host_facts__free_unpacked(facts, NULL);
}

static void every_link_on_the_way_is_named(void **state)
{
	Berm__Wire__PathFact *fact;
	char absolute[PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(in_top("real"), 0755), 0);
	assert_int_equal(mkdir(in_top("real/sub"), 0755), 0);
	assert_int_equal(symlink("real", in_top("one")), 0);
	snprintf(absolute, sizeof(absolute), "%s", in_top("one/sub"));
	assert_int_equal(symlink(absolute, in_top("two")), 0);
	fact = look_at(in_top("two"));
	assert_string_equal(fact->resolved, in_top("real/sub"));
	assert_int_equal(fact->n_links_passed, 2);
	assert_string_equal(fact->links_passed[0], in_top("two"));
	assert_string_equal(fact->links_passed[1], in_top("one"));
	assert_string_equal(fact->loose_link, "");
	berm__wire__path_fact__free_unpacked(fact, NULL);
	/* Also on the way to what is not there: a name to protect must not lie behind a link. */
	fact = look_at(in_top("one/none/deeper"));
	assert_int_equal(fact->kind, BERM__WIRE__FILE_KIND__FILE_ABSENT);
	assert_string_equal(fact->deepest_existing, in_top("real"));
	assert_string_equal(fact->missing, "none/deeper");
	assert_int_equal(fact->n_links_passed, 1);
	assert_string_equal(fact->links_passed[0], in_top("one"));
	berm__wire__path_fact__free_unpacked(fact, NULL);
	fact = look_at(in_top("real/sub"));
	assert_int_equal(fact->n_links_passed, 0);
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

static void a_link_that_anybody_can_replace_is_loose(void **state)
{
	Berm__Wire__PathFact *fact;

	(void)state;
	assert_int_equal(mkdir(in_top("real"), 0755), 0);
	assert_int_equal(mkdir(in_top("open"), 0755), 0);
	assert_int_equal(symlink("../real", in_top("open/link")), 0);
	assert_int_equal(chmod(in_top("open"), 0777), 0);
	fact = look_at(in_top("open/link"));
	assert_string_equal(fact->loose_link, in_top("open/link"));
	berm__wire__path_fact__free_unpacked(fact, NULL);
	/* In a sticky directory only the owner can. */
	assert_int_equal(chmod(in_top("open"), 01777), 0);
	fact = look_at(in_top("open/link"));
	assert_string_equal(fact->loose_link, "");
	berm__wire__path_fact__free_unpacked(fact, NULL);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		in_tree(a_regular_file_is_described_by_its_inode),
		in_tree(a_link_is_itself_and_what_it_leads_to),
		in_tree(a_link_on_the_way_is_followed),
		in_tree(an_absent_path_names_its_deepest_existing_ancestor),
		in_tree(a_path_beneath_a_file_is_absent),
		in_tree(a_dangling_link_is_a_link_to_nothing),
		in_tree(a_loop_of_links_is_an_error_of_its_own),
		in_tree(fifos_sockets_and_devices_are_not_opened),
		in_tree(a_file_may_be_called_deleted),
		in_tree(globs_match_what_the_policy_says_they_match),
		in_tree(links_are_followed_by_name_and_never_beneath_two_stars),
		in_tree(a_walk_that_is_too_deep_says_so),
		in_tree(a_closed_directory_of_the_caller_makes_the_walk_incomplete),
		cmocka_unit_test(gathering_fills_host_and_paths_in_their_order),
		in_tree(every_link_on_the_way_is_named),
		in_tree(a_link_that_anybody_can_replace_is_loose),
	};

	return cmocka_run_group_tests_name("apply-facts", list, NULL, NULL);
}
