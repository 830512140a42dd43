/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"

/* What keeps a change set from being committed, and what is left out of one. */

static void refused(const char *part)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *before = tree(), *after = NULL;

	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(changes_commit(&set, &err), -EBUSY);
	assert_int_equal(err.kind, ERROR_REFUSED);
	if (!strstr(err.text, part))
		fail_msg("%s", err.text);
	change_set_finish(&set);
	after = tree();
	assert_string_equal(after, before);
	assert_true(set_is_there());
}

static void what_changed_underneath_is_not_overwritten(void **state)
{
	static const struct {
		const char *name, *part;
	} rows[] = {{"w/edit", "edit: "}, {"w/dir/gone", "dir/gone: "},
		{"w/old/deep/file", "old: something in it was changed"},
		{"w/old/deep/added", "old: something in it was changed"},
		{"w/new", "new: something is there now"}, {"w/dir/here", "dir/here: "}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct change_set set = CHANGE_SET_INIT;

		stage(&set);
		put(rows[i].name, "by somebody else\n", 0644);
		refused(rows[i].part);
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
}

static void what_changed_during_the_run_is_a_conflict(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty;

	(void)state;
	put_workspace();
	begin_guarded(&set, NULL);
	put("w/edit", "by somebody else\n", 0644);
	put_changes();
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	change_set_finish(&set);
	refused("edit: it was changed while the run went on");
}

static void what_the_profile_protects_is_not_committed(void **state)
{
	static const char *const guarded[] = {"w/edit", "w/new/sub", "w/old/deep/file", "w/dir"};

	(void)state;
	for (size_t i = 0; i < array_size(guarded); i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		bool empty;

		put_workspace();
		begin_guarded(&set, in_top(guarded[i]));
		put_changes();
		assert_int_equal(changes_seal(&set, &empty, &err), 0);
		change_set_finish(&set);
		refused("the profile denies or protects");
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
}

static void a_pattern_protects_names_that_did_not_exist(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty;

	(void)state;
	put_workspace();
	begin_guarded(&set, "/**/.envrc");
	make_directory(UPPER "new");
	put(UPPER "new/.envrc", "evil\n", 0644);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	change_set_finish(&set);
	refused("the profile denies or protects /**/.envrc");
}

static void set_id_bits_and_unknown_attributes_are_refused(void **state)
{
	struct change_set set = CHANGE_SET_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct error err = {0};
		bool empty;

		put_workspace();
		begin_guarded(&set, NULL);
		put(UPPER "program", "#!/bin/sh\n", i ? 0755 : 04755);
		if (i)
			assert_int_equal(setxattr(in_top(UPPER "program"), "user.overlay.metacopy",
						 "", 0, 0),
				0);
		assert_int_equal(changes_seal(&set, &empty, &err), 0);
		change_set_finish(&set);
		refused(i ? "attribute of the overlay" : "set-id");
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
}

static void a_workspace_that_was_exchanged_is_refused(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};

	(void)state;
	stage(&set);
	assert_int_equal(rename(in_top("w"), in_top("w2")), 0);
	assert_int_equal(symlink("w2", in_top("w")), 0);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_true(changes_commit(&set, &err) < 0);
	change_set_finish(&set);
	assert_int_equal(unlink(in_top("w")), 0);
	make_directory("w");
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(changes_commit(&set, &err), -ESTALE);
	change_set_finish(&set);
}

static void a_link_on_the_way_is_not_followed(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	struct stat st;

	(void)state;
	stage(&set);
	make_directory("victim");
	put("victim/gone", "deleted\n", 0600);
	assert_int_equal(rename(in_top("w/dir"), in_top("elsewhere")), 0);
	assert_int_equal(symlink(in_top("victim"), in_top("w/dir")), 0);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(changes_commit(&set, &err), -EBUSY);
	change_set_finish(&set);
	assert_int_equal(stat(in_top("victim/gone"), &st), 0);
	assert_true(stat(in_top("victim/here"), &st) < 0);
}

static void a_damaged_file_of_the_set_is_an_error(void **state)
{
	static const char *const names[] = {"head", "manifest"};

	(void)state;
	for (size_t i = 0; i < array_size(names); i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		char name[128];
		int fd;

		stage(&set);
		snprintf(name, sizeof(name), "state/changes/" RUN "/%s", names[i]);
		fd = open(in_top(name), O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "\xff", 1, 50), 1);
		close(fd);
		assert_int_equal(reopen(&set, NULL, &err), -EBADMSG);
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
}

static void only_one_works_on_a_set(void **state)
{
	struct change_set one = CHANGE_SET_INIT, two = CHANGE_SET_INIT;
	struct error err = {0};

	(void)state;
	stage(&one);
	assert_int_equal(reopen(&one, NULL, &err), 0);
	assert_int_equal(reopen(&two, NULL, &err), -EWOULDBLOCK);
	change_set_finish(&one);
	assert_int_equal(reopen(&two, NULL, &err), 0);
	change_set_finish(&two);
}

static void a_diff_is_escaped_and_says_what_changed(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	autotext struct text out = {0};
	struct error err = {0};

	(void)state;
	stage(&set);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(changes_diff(&set, set.manifest->changes[4], &out, &err), 0);
	assert_string_equal(
		text_string(&out), "--- edit\n+++ edit\n@@ -1 +1 @@\n one\n-two\n+2\n three\n");
	change_set_finish(&set);
}

/* A file of one terabyte with four bytes in it. */
static void holes_stay_holes(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	struct stat st;
	bool empty;
	int fd;

	(void)state;
	put_workspace();
	begin_guarded(&set, NULL);
	fd = open(in_top(UPPER "sparse"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "here", 4, 1LL << 40), 4);
	close(fd);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	if (changes_commit(&set, &err) < 0)
		fail_msg("%s", err.text);
	change_set_finish(&set);
	assert_int_equal(stat(in_top("w/sparse"), &st), 0);
	assert_true(st.st_size == (1LL << 40) + 4);
	assert_true(st.st_blocks < 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(what_changed_underneath_is_not_overwritten),
		in_memory(what_changed_during_the_run_is_a_conflict),
		in_memory(what_the_profile_protects_is_not_committed),
		in_memory(a_pattern_protects_names_that_did_not_exist),
		in_memory(set_id_bits_and_unknown_attributes_are_refused),
		in_memory(a_workspace_that_was_exchanged_is_refused),
		in_memory(a_link_on_the_way_is_not_followed),
		in_memory(a_damaged_file_of_the_set_is_an_error),
		in_memory(only_one_works_on_a_set),
		in_memory(a_diff_is_escaped_and_says_what_changed),
		in_memory(holes_stay_holes),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
