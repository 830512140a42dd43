/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"
#include "daemon/changes-view.h"

/* What keeps a change set from being committed, and what is left out of one. */

static void refused(const char *part)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	autofree char *before = tree(), *after = NULL;

	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(commit_whole(&set, &err), -EBUSY);
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

/* The overlay is of what was there: in the directory that is there now are other files, and old. */
static void a_directory_that_was_exchanged_during_the_run_is_a_conflict(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty;

	(void)state;
	put_workspace();
	make_directory("w/dir2");
	put("w/dir2/gone", "of another directory\n", 0600);
	begin_guarded(&set, NULL);
	assert_int_equal(rename(in_top("w/dir"), in_top("w/aside")), 0);
	assert_int_equal(rename(in_top("w/dir2"), in_top("w/dir")), 0);
	put_changes();
	assert_int_equal(chmod(in_top(UPPER "dir"), 0755), 0);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	change_set_finish(&set);
	refused("dir: it was moved, or got another mode, while the run went on");
}

/* What the overlay has of it is what the run touched: a commit would bring back a torso. */
static void a_directory_that_was_taken_out_during_the_run_does_not_come_back(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty;

	(void)state;
	put_workspace();
	begin_guarded(&set, NULL);
	assert_int_equal(rename(in_top("w/old"), in_top("aside")), 0);
	make_directory(UPPER "old");
	assert_int_equal(setxattr(in_top(UPPER "old"), "user.overlay.origin", "", 0, 0), 0);
	put(UPPER "old/ours", "ours\n", 0644);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	change_set_finish(&set);
	refused("old: it was taken out of the workspace while the run went on");
}

/* Nobody reads a file without an end to find out that it is the same. */
static void a_file_of_holes_is_not_read_to_its_end(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	struct stat st;
	bool empty;

	(void)state;
	put_workspace();
	assert_int_equal(truncate(in_top("w/same"), 1LL << 42), 0);
	begin_guarded(&set, NULL);
	put(UPPER "same", "", 0644);
	assert_int_equal(truncate(in_top(UPPER "same"), 1LL << 42), 0);
	assert_int_equal(stat(in_top("w/same"), &st), 0);
	assert_int_equal(utimensat(AT_FDCWD, in_top(UPPER "same"),
				 (struct timespec[]){st.st_mtim, st.st_mtim}, 0),
		0);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	assert_int_equal(set.manifest->n_changes, 1);
	change_set_finish(&set);
}

/* And one in which somebody else only made a name is as good as before. */
static void a_name_that_somebody_made_beside_is_no_conflict(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool empty;

	(void)state;
	put_workspace();
	begin_guarded(&set, NULL);
	put("w/dir/theirs", "by somebody else\n", 0600);
	make_directory(UPPER "dir");
	put(UPPER "dir/here", "ours\n", 0644);
	assert_int_equal(changes_seal(&set, &empty, &err), 0);
	change_set_finish(&set);
	assert_int_equal(reopen(&set, &quick, &err), 0);
	assert_int_equal(commit_whole(&set, &err), 0);
	change_set_finish(&set);
}

static uint64_t effective_capabilities(void)
{
	autofclose FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "CapEff:", 7) == 0)
			return strtoull(line + 7, NULL, 16);
	return UINT64_MAX;
}

/* Also none for the blocks that a disk keeps for root. In a process of its own: the groups go. */
static void root_has_no_capability_where_it_is_the_owner(void **state)
{
	uint64_t before = effective_capabilities();
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct change_set set = CHANGE_SET_INIT;
		Berm__Wire__ChangeHead head;
		bool good;

		berm__wire__change_head__init(&head);
		head.owner_uid = head.owner_gid = 54321;
		set.head = &head;
		good = owner_enter(&set) == 0 && effective_capabilities() == 0;
		owner_leave(&set);
		_exit(good && effective_capabilities() == before ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct changes_bounds bounds_rows[] = {
	{.names = 2, .name_bytes = 1000000, .cpu_ns = 1000000000000},
	{.names = 1000000, .name_bytes = 100, .cpu_ns = 1000000000000},
	{.names = 1000000, .name_bytes = 1000000, .cpu_ns = -1},
};

/* Names of all levels count together: those above are held while it is deep down. */
static void what_takes_too_much_to_list_is_not_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(bounds_rows); i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		bool empty = true;

		put_workspace();
		begin_guarded(&set, NULL);
		put_changes();
		set.bounds = &bounds_rows[i];
		assert_int_equal(changes_seal(&set, &empty, &err), 0);
		assert_false(empty);
		assert_int_equal(set.manifest->n_changes, 0);
		change_set_finish(&set);
		refused("more was staged than can be listed");
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
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

static void put_keys(void)
{
	make_directory("w/sub");
	make_directory("w/sub/.ssh");
	make_directory(UPPER "sub");
	make_directory(UPPER "sub/.ssh");
	put(UPPER "sub/.ssh/authorized_keys", "evil\n", 0600);
}

static void delete_old(void)
{
	put_whiteout(UPPER "old");
}

static void put_into_anothers_staging(void)
{
	make_directory("w/" CHANGES_RESERVED "other");
	make_directory(UPPER CHANGES_RESERVED "other");
	put(UPPER CHANGES_RESERVED "other/0", "evil\n", 0644);
}

static void open_a_directory(void)
{
	make_directory(UPPER "dir");
	assert_int_equal(chmod(in_top(UPPER "dir"), 0777), 0);
}

static void what_is_around_or_beneath_a_protected_name_is_protected(void **state)
{
	static const struct {
		const char *guarded;
		void (*act)(void);
		const char *part;
	} rows[] = {
		{"/**/.ssh", put_keys, "sub/.ssh/authorized_keys: the profile denies"},
		{"/**/deep", delete_old, "old: the profile denies"},
		{"/nothing", put_into_anothers_staging, "berm's own"},
		{NULL, open_a_directory, "dir: the profile denies"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		bool empty;

		put_workspace();
		begin_guarded(&set, rows[i].guarded ? rows[i].guarded : in_top("w/dir/gone"));
		rows[i].act();
		assert_int_equal(changes_seal(&set, &empty, &err), 0);
		change_set_finish(&set);
		refused(rows[i].part);
		assert_int_equal(remove_tree(NULL), 0);
		assert_int_equal(make_own_tree(NULL), 0);
	}
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
	assert_true(commit_whole(&set, &err) < 0);
	change_set_finish(&set);
	assert_int_equal(unlink(in_top("w")), 0);
	make_directory("w");
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(commit_whole(&set, &err), -ESTALE);
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
	assert_int_equal(commit_whole(&set, &err), -EBUSY);
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

struct diffing {
	struct change_set *set;
	struct text *out;
	struct changes_spent spent;
};

static int diff_one(void *context, const struct changes_entry *entry)
{
	struct diffing *to = context;
	struct error err = {0};

	return changes_diff(to->set, entry, &to->spent, to->out, &err);
}

static void a_diff_is_escaped_and_says_what_changed(void **state)
{
	struct change_set set = CHANGE_SET_INIT;
	autotext struct text out = {0};
	struct diffing to = {.set = &set, .out = &out};
	struct error err = {0};

	(void)state;
	stage(&set);
	assert_int_equal(reopen(&set, NULL, &err), 0);
	assert_int_equal(changes_view(&set, set.manifest->changes[4], diff_one, &to, &err), 0);
	assert_string_equal(
		text_string(&out), "--- edit\n+++ edit\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
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
	if (commit_whole(&set, &err) < 0)
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
		in_memory(a_directory_that_was_exchanged_during_the_run_is_a_conflict),
		in_memory(a_directory_that_was_taken_out_during_the_run_does_not_come_back),
		in_memory(a_file_of_holes_is_not_read_to_its_end),
		in_memory(a_name_that_somebody_made_beside_is_no_conflict),
		in_memory(root_has_no_capability_where_it_is_the_owner),
		in_memory(what_takes_too_much_to_list_is_not_listed),
		in_memory(what_the_profile_protects_is_not_committed),
		in_memory(a_pattern_protects_names_that_did_not_exist),
		in_memory(what_is_around_or_beneath_a_protected_name_is_protected),
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
