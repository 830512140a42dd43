/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "daemon/planner-files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What a planner that was taken over could ask about files. */

static char directory[] = "/tmp/berm-planner-XXXXXX";

static void write_file(const char *name, const char *words)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, words, strlen(words)), 0);
	close(fd);
}

static int make_all(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	write_file("p.yaml", "version: 1\nname: p\n");
	write_file("c.yaml", "version: 1\nname: ceiling\nfs: {read: [/]}\nextends: [./d.yaml]\n");
	write_file("d.yaml", "version: 1\nname: d\n");
	return 0;
}

static int release_all(void **state)
{
	static const char *const names[] = {"p.yaml", "c.yaml", "d.yaml"};
	char path[128];

	(void)state;
	for (size_t i = 0; i < array_size(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
	return 0;
}

static int ask(struct planner_files *files, Berm__Wire__PlannerWant want, unsigned tree,
	const char *path, bool *ret_yes)
{
	Berm__Wire__PlannerQuestion question;
	Berm__Wire__PlannerFile reply;
	struct error err = {0};
	int r;

	berm__wire__planner_question__init(&question);
	question.want = want;
	question.tree = tree;
	question.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)(uintptr_t)path};
	r = planner_files_answer(files, &question, &reply, &err);
	*ret_yes = reply.yes;
	planner_file_free(&reply);
	return r;
}

#define READ BERM__WIRE__PLANNER_WANT__PLANNER_WANT_READ
#define HAS BERM__WIRE__PLANNER_WANT__PLANNER_WANT_HAS
#define ABSENT BERM__WIRE__PLANNER_WANT__PLANNER_WANT_ABSENT
#define REAL BERM__WIRE__PLANNER_WANT__PLANNER_WANT_REAL

static void a_planner_learns_of_no_file_but_the_profiles(void **state)
{
	char p[128], c[128], d[128];
	const char *const ceilings[] = {c, NULL}, *const search[] = {directory, NULL};
	const struct profile_request from = {.profile = p,
		.ceilings = ceilings,
		.search_path = search,
		.trusted_uid = geteuid(),
		.operator_uid = geteuid()};
	struct planner_files files;
	bool yes;

	(void)state;
	snprintf(p, sizeof(p), "%s/p.yaml", directory);
	snprintf(c, sizeof(c), "%s/c.yaml", directory);
	snprintf(d, sizeof(d), "%s/d.yaml", directory);
	planner_files_begin(&files, &from);
	/* What has not been named: other places, other kinds, other orders. */
	assert_int_equal(ask(&files, READ, 0, "/etc/shadow", &yes), -EPROTO);
	assert_int_equal(ask(&files, READ, 1, c, &yes), -EPROTO);
	assert_int_equal(ask(&files, HAS, 0, "/etc/shadow", &yes), -EPROTO);
	assert_int_equal(ask(&files, HAS, 0, "/etc/x.yaml", &yes), -EPROTO);
	assert_int_equal(ask(&files, ABSENT, 0, "/etc/shadow", &yes), -EPROTO);
	assert_int_equal(ask(&files, REAL, 0, "/etc", &yes), -EPROTO);
	assert_int_equal(files.count, 0);
	assert_int_equal(ask(&files, ABSENT, 0, p, &yes), 0);
	assert_false(yes);
	assert_int_equal(ask(&files, REAL, 0, directory, &yes), 0);
	assert_true(yes);
	assert_int_equal(ask(&files, READ, 0, p, &yes), 0);
	assert_true(yes);
	assert_false(planner_files_all_were_read(&files)); /* there is a ceiling */
	assert_int_equal(ask(&files, READ, 0, "/etc/shadow", &yes), -EPROTO);
	assert_int_equal(ask(&files, READ, 1, d, &yes), -EPROTO); /* not the ceiling */
	assert_int_equal(ask(&files, READ, 2, c, &yes), -EPROTO);
	assert_int_equal(ask(&files, READ, 1, c, &yes), 0);
	assert_true(planner_files_all_were_read(&files));
	assert_int_equal(ask(&files, READ, 1, d, &yes), 0);
	assert_int_equal(ask(&files, READ, 1, d, &yes), 0);
	assert_int_equal(files.count, 3);                         /* what comes again counts once */
	assert_int_equal(ask(&files, READ, 0, d, &yes), -EPROTO); /* that one is over */
	planner_files_finish(&files);
}

static void a_ceiling_that_cannot_be_read_is_none_that_was(void **state)
{
	char p[128], c[128];
	const char *const ceilings[] = {"/nowhere/none.yaml", c, NULL};
	const struct profile_request from = {
		.profile = p, .ceilings = ceilings, .trusted_uid = geteuid()};
	struct planner_files files;
	bool yes;

	(void)state;
	snprintf(p, sizeof(p), "%s/p.yaml", directory);
	snprintf(c, sizeof(c), "%s/c.yaml", directory);
	planner_files_begin(&files, &from);
	assert_int_equal(ask(&files, READ, 0, p, &yes), 0);
	assert_int_equal(ask(&files, READ, 1, ceilings[0], &yes), 0);
	assert_false(yes);
	assert_int_equal(ask(&files, READ, 2, c, &yes), 0);
	assert_true(yes);
	assert_false(planner_files_all_were_read(&files));
	planner_files_finish(&files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_planner_learns_of_no_file_but_the_profiles),
		cmocka_unit_test(a_ceiling_that_cannot_be_read_is_none_that_was),
	};

	return cmocka_run_group_tests(tests, make_all, release_all);
}
