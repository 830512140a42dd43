/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "record/anchor-command.h"
#include "record/recorder.h"
#include "record/verify.h"

#include "tree.h"

#include <signal.h>
#include <time.h>

/* Programs that an operator may name, good ones and bad ones. They are scripts here; it is the
 * kernel that starts their interpreter, no shell sees a word of ours. */

static char program[PATH_MAX];
static char *argv[4];
static struct anchor_command command;
static struct anchor anchor;
static const struct log_head head = {.log_id = {0xab}, .segment = 3, .sequence = 77, .hash = {9}};

static void use(const char *text, uint32_t timeout_ms)
{
	char *script;

	assert_true(asprintf(&script, "#!/bin/sh\ncd %s\n%s\n", top, text) > 0);
	snprintf(program, sizeof(program), "%s/anchor", top);
	unlink(program);
	make_file("anchor", script);
	free(script);
	assert_int_equal(chmod(program, 0700), 0);
	argv[0] = program;
	argv[1] = argv[2] = NULL;
	command = (struct anchor_command){.argv = argv, .timeout_ms = timeout_ms};
	anchor = anchor_command(&command);
}

static char *content_of(const char *name)
{
	char *text;

	assert_int_equal(io_read_file(AT_FDCWD, in_top(name), 65536, &text, NULL, NULL), 0);
	return text;
}

static int publish(void)
{
	struct error err = {0};
	int r = anchor.publish(anchor.context, &head, &err);

	assert_int_equal(err.code, r);
	return r;
}

static int latest(struct log_head *ret_head)
{
	struct error err = {0};
	int r = anchor.latest(anchor.context, head.log_id, ret_head, &err);

	assert_int_equal(err.code, r);
	return r;
}

static const char good[] =
	"case $1 in publish) cat >kept;; latest) test ! -e kept || cat kept;; esac";

static void a_head_is_kept_and_told_again(void **state)
{
	struct log_head got;

	(void)state;
	use(good, 0);
	assert_int_equal(latest(&got), -ENOENT);
	assert_int_equal(publish(), 0);
	assert_int_equal(latest(&got), 0);
	assert_memory_equal(&got, &head, sizeof(head));
}

static void words_reach_the_program_as_they_are(void **state)
{
	static char hostile[] = "; touch pwned $(touch pwned) `touch pwned` *\n'\"";
	autofree char *said = NULL;

	(void)state;
	use("printf '%s|' \"$@\" >said; cat >/dev/null", 0);
	argv[1] = hostile;
	assert_int_equal(publish(), 0);
	said = content_of("said");
	assert_true(strncmp(said, hostile, strlen(hostile)) == 0);
	assert_string_equal(said + strlen(hostile), "|publish|");
	assert_int_equal(access(in_top("pwned"), F_OK), -1);
}

static void it_sees_nothing_of_the_caller(void **state)
{
	autofree char *said = NULL;
	autoclose int open_one = open("/dev/null", O_RDONLY); /* inherited but for closefrom */
	sigset_t set, before;

	(void)state;
	assert_true(open_one > 2);
	assert_int_equal(setenv("BERM_SECRET", "x", 1), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
	use("exec >said; tr '\\0' '\\n' </proc/self/environ; ls /proc/self/fd | grep -cv "
	    "'^[012]$'; "
	    "grep SigBlk /proc/self/status; readlink /proc/$$/cwd",
		0);
	assert_int_equal(publish(), 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	said = content_of("said");
	assert_null(strstr(said, "BERM_SECRET"));
	assert_non_null(strstr(said, "PATH=/usr/bin:/bin"));
	/* The one descriptor more is that of the directory which ls reads. */
	assert_non_null(strstr(said, "\n1\n"));
	assert_non_null(strstr(said, "SigBlk:\t0000000000000000"));
}

static void what_is_not_said_to_be_published_is_not(void **state)
{
	struct log_head got;
	char *none[] = {NULL}, missing[] = "/nonexistent/anchor", relative[] = "anchor";

	(void)state;
	use("exit 1", 0);
	assert_int_equal(publish(), -EREMOTEIO);
	assert_int_equal(latest(&got), -EREMOTEIO);
	use("exit 3", 0);
	assert_int_equal(publish(), -ESTALE);
	assert_int_equal(latest(&got), -EREMOTEIO);
	use("kill -9 $$", 0);
	assert_int_equal(publish(), -EREMOTEIO);
	/* A program that is not there is no anchor that knows of nothing. */
	argv[0] = missing;
	assert_int_equal(publish(), -EREMOTEIO);
	assert_int_equal(latest(&got), -EREMOTEIO);
	argv[0] = relative;
	assert_int_equal(publish(), -EINVAL);
	command.argv = none;
	assert_int_equal(publish(), -EINVAL);
}

static uint64_t ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void its_time_is_bounded_and_so_is_that_of_its_children(void **state)
{
	autofree char *pid = NULL;
	struct log_head got;
	uint64_t start = ms();

	(void)state;
	use("sleep 600 & echo $! >child; wait", 400);
	assert_int_equal(publish(), -ETIMEDOUT);
	assert_int_equal(latest(&got), -ETIMEDOUT);
	pid = content_of("child");
	for (unsigned i = 0; i < 200 && kill(atoi(pid), 0) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(atoi(pid), 0), -1);
	/* What it leaves behind may hold its output without holding us. */
	use("sleep 3 & test $1 = publish || cat kept", 20000);
	make_file("kept", "");
	assert_int_equal(publish(), 0);
	assert_int_equal(latest(&got), -ENOENT);
	assert_true(ms() - start < 15000);
}

static void what_it_writes_is_bounded_and_must_be_a_head(void **state)
{
	static const char *const bad[] = {"yes", "printf 'berm-head-1 zz 1 1 aa\\n'",
		"head -c 255 /dev/zero", "echo", "cat kept kept", "head -c 100 kept",
		"sed s/ab0/ac0/ kept"};
	struct log_head got = {0};

	(void)state;
	use(good, 0);
	assert_int_equal(publish(), 0);
	for (unsigned i = 0; i < array_size(bad); i++) {
		use(bad[i], 5000);
		assert_int_equal(latest(&got), -EBADMSG);
	}
	assert_true(got.sequence == 0);
	/* It need not read what it gets, nor be quiet about it. */
	use("exec <&-; yes | head -c 1000000", 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(publish(), 0);
}

/* With a recorder: what it sealed is what the program keeps, and an older copy is refused. */
static void a_recorder_is_held_to_it(void **state)
{
	struct recorder_options options = {.storage = &storage_system,
		.anchor = &anchor,
		.anchor_required = true,
		.create = true};
	struct recorder *r;
	struct log_head now, kept;
	struct error err;

	(void)state;
	use(good, 0);
	make_directory("log");
	make_directory("keys");
	options.log_dir = open(in_top("log"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.key_dir = open(in_top("keys"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(recorder_open(&options, &r, &err), 0);
		assert_int_equal(recorder_seal(r, &err), 0);
		assert_int_equal(recorder_close(r, &err), 0);
		recorder_head(r, &now);
		recorder_destroy(r);
		assert_int_equal(anchor.latest(anchor.context, now.log_id, &kept, NULL), 0);
		assert_memory_equal(&kept, &now, sizeof(now));
	}
	now.sequence += 5;
	assert_int_equal(anchor.publish(anchor.context, &now, NULL), 0);
	assert_int_equal(recorder_open(&options, &r, &err), -ESTALE);
	now.sequence -= 5;
	assert_int_equal(anchor.publish(anchor.context, &now, NULL), 0);
	assert_int_equal(recorder_open(&options, &r, &err), 0);
	use("exit 3", 0);
	assert_int_equal(recorder_seal(r, &err), -ESTALE);
	recorder_destroy(r);
	close(options.log_dir);
	close(options.key_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_tree(a_head_is_kept_and_told_again),
		in_tree(words_reach_the_program_as_they_are),
		in_tree(it_sees_nothing_of_the_caller),
		in_tree(what_is_not_said_to_be_published_is_not),
		in_tree(its_time_is_bounded_and_so_is_that_of_its_children),
		in_tree(what_it_writes_is_bounded_and_must_be_a_head),
		in_tree(a_recorder_is_held_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
