/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "change-set.h"

#include <signal.h>
#include <time.h>

/* Somebody else works on the workspace while a commit lasts. First one thing at every call of the
 * commit in turn, so that each moment between a look and the call after it is met; then as fast as
 * another process can. What the other one put somewhere is there in the end, and what a link of his
 * leads to was never written to. */

#define THEIRS "by somebody else\n"
#define VICTIM "victim/gone"

struct meddling {
	long left, calls;
	void (*act)(void);
	bool acted;
};

static int meddle(void *context, const struct changes_call *call)
{
	struct meddling *m = context;

	m->calls++;
	if (m->left-- == 0) {
		m->act();
		m->acted = true;
	}
	return strncmp(call->word, "sync", 4) == 0;
}

static bool content_is(const char *name, const char *wanted)
{
	char content[64] = "";
	autoclose int fd = open(in_top(name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && read(fd, content, sizeof(content) - 1) >= 0 &&
	       strcmp(content, wanted) == 0;
}

static bool is_absent(const char *name)
{
	struct stat st;

	return lstat(in_top(name), &st) < 0;
}

/* ---- what the other one does, and what has to be so in the end ---- */

static void replace_file(void)
{
	put("theirs", THEIRS, 0644);
	assert_int_equal(rename(in_top("theirs"), in_top("w/edit")), 0);
}

static bool file_is_theirs(bool done)
{
	(void)done;
	return content_is("w/edit", THEIRS);
}

static void remove_file(void)
{
	assert_int_equal(unlink(in_top("w/edit")), 0);
}

static bool file_is_gone(bool done)
{
	(void)done;
	return is_absent("w/edit");
}

static void write_file(void)
{
	put("w/edit", THEIRS, 0644);
}

/* Written before the end of the commit: to the old file, and it fails; or to the new one. */
static bool file_has_theirs(bool done)
{
	(void)done;
	return content_is("w/edit", THEIRS);
}

static void take_new_name(void)
{
	if (mkdir(in_top("w/new"), 0755) == 0)
		put("w/new/theirs", THEIRS, 0644);
}

static bool new_name_is_one_of_both(bool done)
{
	return done ? content_is("w/new/sub/file", "new\n") && is_absent("w/new/theirs")
		    : content_is("w/new/theirs", THEIRS) && is_absent("w/new/sub");
}

static void write_deep(void)
{
	int fd = open(in_top("w/old/deep/file"), O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return; /* it is on its way out: nobody can write to it by its name */
	assert_int_equal(io_write_all(fd, THEIRS, strlen(THEIRS)), 0);
	close(fd);
}

static bool deep_is_theirs_or_gone(bool done)
{
	return done ? is_absent("w/old")
		    : content_is("w/old/deep/file", THEIRS) ||
			       content_is("w/old/deep/file", "deep\n");
}

static void swap_directory(void)
{
	assert_int_equal(rename(in_top("w/dir"), in_top("aside")), 0);
	assert_int_equal(symlink(in_top("victim"), in_top("w/dir")), 0);
}

static bool directory_is_a_link(bool done)
{
	struct stat st;

	(void)done;
	return lstat(in_top("w/dir"), &st) == 0 && S_ISLNK(st.st_mode);
}

static const struct row {
	const char *what;
	void (*act)(void);
	bool (*end)(bool done);
} rows[] = {
	{"a file is replaced", replace_file, file_is_theirs},
	{"a file is removed", remove_file, file_is_gone},
	{"a file is written to", write_file, file_has_theirs},
	{"a new name is taken", take_new_name, new_name_is_one_of_both},
	{"a file in a directory that goes is written to", write_deep, deep_is_theirs_or_gone},
	{"a directory becomes a link", swap_directory, directory_is_a_link},
};

static void put_victim(void)
{
	make_directory("victim");
	put(VICTIM, "precious\n", 0600);
}

static void check_victim(void)
{
	struct stat st;

	assert_true(content_is(VICTIM, "precious\n"));
	assert_true(is_absent("victim/here"));
	assert_int_equal(stat(in_top("victim"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void fresh(void)
{
	assert_int_equal(remove_tree(NULL), 0);
	assert_int_equal(make_own_tree(NULL), 0);
}

/* True where there was an n-th call. Whether the commit was done is counted. */
static bool one_meddling(const struct row *row, long n, long ends[2])
{
	struct meddling m = {.left = n, .act = row->act};
	const struct changes_disk disk = {meddle, &m};
	struct change_set set = CHANGE_SET_INIT;
	struct error err = {0};
	bool done;

	stage(&set);
	put_victim();
	assert_int_equal(reopen(&set, &disk, &err), 0);
	done = commit_whole(&set, &err) == 0;
	change_set_finish(&set);
	if (m.acted && !row->end(done)) {
		autofree char *after = tree();

		fail_msg("%s at call %ld, %s (%s):\n%s", row->what, n,
			done ? "committed" : "refused", err.text, after);
	}
	check_victim();
	ends[done]++;
	fresh();
	return m.acted;
}

static void whoever_meddles_at_any_call_keeps_what_he_did(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		long n = 0, ends[2] = {0};

		while (one_meddling(&rows[i], n, ends))
			n++;
		print_message("%s, at %ld calls: %ld refused, %ld committed\n", rows[i].what, n,
			ends[0], ends[1]);
		assert_true(n > 60 && ends[0] && ends[1]);
	}
}

/* ---- as fast as he can ---- */

#define ROUNDS 300

static void swap_for_ever(void)
{
	for (;;) {
		if (rename(in_top("w/dir"), in_top("aside")) == 0 &&
			symlink(in_top("victim"), in_top("w/dir")) == 0)
			(void)!unlink(in_top("w/dir"));
		(void)!rename(in_top("aside"), in_top("w/dir"));
		if (rename(in_top("w/edit"), in_top("old-edit")) == 0)
			(void)!rename(in_top("old-edit"), in_top("w/edit"));
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
}

static void links_swapped_in_as_fast_as_can_be_are_never_followed(void **state)
{
	long ends[2] = {0};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct change_set set = CHANGE_SET_INIT;
		struct error err = {0};
		int status;
		pid_t pid;

		stage(&set);
		put_victim();
		assert_int_equal(reopen(&set, &quick, &err), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			swap_for_ever();
		/* Not before he is at it in half of the rounds. */
		if (round & 1)
			nanosleep(&(struct timespec){.tv_nsec = round * 4000L}, NULL);
		ends[commit_whole(&set, &err) == 0]++;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		change_set_finish(&set);
		check_victim();
		fresh();
	}
	print_message("%d rounds: %ld refused, %ld committed, nothing followed\n", ROUNDS, ends[0],
		ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(whoever_meddles_at_any_call_keeps_what_he_did),
		in_memory(links_swapped_in_as_fast_as_can_be_are_never_followed),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
