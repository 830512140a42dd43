/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One protected name that does not exist, as a plan says it. */
struct fixture {
	char directory[32], path[64];
	Berm__Wire__Mount mount, *mounts[1];
	Berm__Wire__Identity identity;
	Berm__Wire__Plan plan;
};

static void fixture_init(struct fixture *f)
{
	strcpy(f->directory, "/tmp/berm-reserve-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/.envrc", f->directory);
	berm__wire__mount__init(&f->mount);
	berm__wire__identity__init(&f->identity);
	berm__wire__plan__init(&f->plan);
	f->mount.kind = BERM__WIRE__MOUNT_KIND__MOUNT_RESERVE;
	f->mount.source = f->path;
	f->mount.target = f->path;
	f->mounts[0] = &f->mount;
	f->plan.mounts = f->mounts;
	f->plan.n_mounts = 1;
	f->plan.identity = &f->identity;
}

struct holder {
	struct launch launch;
	struct grant grant;
	struct placeholder placeholder;
};

static int hold(const struct fixture *f, struct holder *h, struct error *err)
{
	*h = (struct holder){.grant = {.fd = -1}};
	h->launch.plan = &f->plan;
	h->launch.grants = &h->grant;
	h->launch.placeholders = &h->placeholder;
	if (reserve_name(&h->launch, err) < 0)
		return -ENOENT;
	return reserve_make(&h->launch, err);
}

static void let_go(struct holder *h)
{
	own_close(&h->grant.fd);
	reserve_remove(&h->launch, 0);
	if (h->launch.placeholder_count)
		close(h->placeholder.parent_fd);
}

static void a_placeholder_lives_as_long_as_its_run(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	struct stat st;

	(void)state;
	fixture_init(&f);
	assert_int_equal(hold(&f, &run, &err), 0);
	assert_int_equal(lstat(f.path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 01700);
	let_go(&run);
	assert_int_equal(lstat(f.path, &st), -1);
	assert_int_equal(rmdir(f.directory), 0);
}

static void the_last_of_two_runs_removes_it(void **state)
{
	struct fixture f;
	struct holder first, second;
	struct error err;
	struct stat st;

	(void)state;
	fixture_init(&f);
	assert_int_equal(hold(&f, &first, &err), 0);
	assert_int_equal(hold(&f, &second, &err), 0);
	let_go(&first);
	assert_int_equal(lstat(f.path, &st), 0);
	let_go(&second);
	assert_int_equal(lstat(f.path, &st), -1);
	assert_int_equal(rmdir(f.directory), 0);
}

/* Whoever cleans up after a killed run is not to stay for a name that is free already. */
static void what_is_gone_is_not_waited_for(void **state)
{
	struct timespec begin, end;
	struct error err = {0};
	struct fixture f;
	struct holder h;

	(void)state;
	fixture_init(&f);
	assert_int_equal(hold(&f, &h, &err), 0);
	own_close(&h.grant.fd);
	assert_int_equal(rmdir(f.path), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	reserve_remove(&h.launch, 600000);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec < 300);
	own_close(&h.placeholder.parent_fd);
	assert_int_equal(rmdir(f.directory), 0);
}

static void one_left_by_a_power_cut_is_used_and_removed(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	struct stat st;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkdir(f.path, 0700), 0);
	assert_int_equal(chmod(f.path, 01700), 0);
	assert_int_equal(hold(&f, &run, &err), 0);
	let_go(&run);
	assert_int_equal(lstat(f.path, &st), -1);
	assert_int_equal(rmdir(f.directory), 0);
}

static void what_appeared_meanwhile_is_never_taken_for_one(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err = {0};
	struct stat st;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkdir(f.path, 0755), 0);
	assert_int_equal(hold(&f, &run, &err), -EEXIST);
	assert_non_null(strstr(err.text, ".envrc"));
	let_go(&run);
	assert_int_equal(lstat(f.path, &st), 0);
	assert_int_equal(rmdir(f.path), 0);
	assert_int_equal(symlink("/etc", f.path), 0);
	assert_true(hold(&f, &run, &err) < 0);
	let_go(&run);
	assert_int_equal(unlink(f.path), 0);
	assert_int_equal(rmdir(f.directory), 0);
}

static void what_somebody_put_into_it_stays(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	struct stat st;
	char inner[80];

	(void)state;
	fixture_init(&f);
	assert_int_equal(hold(&f, &run, &err), 0);
	snprintf(inner, sizeof(inner), "%s/kept", f.path);
	assert_int_equal(mkdir(inner, 0700), 0);
	let_go(&run);
	assert_int_equal(lstat(inner, &st), 0);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(f.path), 0);
	assert_int_equal(rmdir(f.directory), 0);
}

static bool swap_after_mkdir;

/* In place of the C library's: a writer of the tree who is quicker than berm puts a file of root's
 * where the placeholder was just made. */
int mkdirat(int directory, const char *name, mode_t mode)
{
	int r = (int)syscall(SYS_mkdirat, directory, name, mode);

	if (r == 0 && swap_after_mkdir) {
		assert_int_equal(unlinkat(directory, name, AT_REMOVEDIR), 0);
		close(openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600));
	}
	return r;
}

static void a_file_put_in_its_place_keeps_its_owner(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	fixture_init(&f);
	f.identity.drop_from_root = true;
	f.mount.owner_uid = f.mount.owner_gid = 12345;
	swap_after_mkdir = true;
	assert_int_equal(hold(&f, &run, &err), -ENOTDIR);
	swap_after_mkdir = false;
	assert_int_equal(lstat(f.path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	let_go(&run);
	assert_int_equal(unlink(f.path), 0);
	assert_int_equal(rmdir(f.directory), 0);
}

static void as_root_it_belongs_to_the_owner_of_the_tree(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	fixture_init(&f);
	f.identity.drop_from_root = true;
	f.mount.owner_uid = f.mount.owner_gid = 12345;
	assert_int_equal(hold(&f, &run, &err), 0);
	assert_int_equal(lstat(f.path, &st), 0);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 12345);
	assert_int_equal(st.st_mode & 07777, 01700);
	let_go(&run);
	assert_int_equal(rmdir(f.directory), 0);
}

/* Another process holds the lock for as long as a scheduler under load may leave it aside. */
static void a_lock_that_is_held_for_a_moment_is_waited_for(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err;
	int held, status;
	pid_t child;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkdir(f.path, 0700), 0);
	assert_int_equal(chmod(f.path, 01700), 0);
	held = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_EX), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		usleep(100000);
		_exit(0);
	}
	close(held);
	assert_int_equal(hold(&f, &run, &err), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	let_go(&run);
	assert_int_equal(rmdir(f.directory), 0);
}

static void a_lock_that_nobody_gives_back_is_named(void **state)
{
	struct fixture f;
	struct holder run;
	struct error err = {0};
	int held;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkdir(f.path, 0700), 0);
	assert_int_equal(chmod(f.path, 01700), 0);
	held = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_EX), 0);
	assert_int_equal(hold(&f, &run, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "keeps it locked"));
	close(held);
	let_go(&run);
	assert_int_equal(rmdir(f.directory), 0);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(a_placeholder_lives_as_long_as_its_run),
		cmocka_unit_test(the_last_of_two_runs_removes_it),
		cmocka_unit_test(what_is_gone_is_not_waited_for),
		cmocka_unit_test(one_left_by_a_power_cut_is_used_and_removed),
		cmocka_unit_test(what_appeared_meanwhile_is_never_taken_for_one),
		cmocka_unit_test(what_somebody_put_into_it_stays),
		cmocka_unit_test(a_file_put_in_its_place_keeps_its_owner),
		cmocka_unit_test(a_lock_that_is_held_for_a_moment_is_waited_for),
		cmocka_unit_test(a_lock_that_nobody_gives_back_is_named),
		cmocka_unit_test(as_root_it_belongs_to_the_owner_of_the_tree),
	};

	return cmocka_run_group_tests(list, NULL, NULL);
}
