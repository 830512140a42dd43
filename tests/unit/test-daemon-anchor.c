/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "daemon/anchor-client.h"
#include "daemon/anchored-once.h"
#include "daemon/anchors.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* The operator's places as one anchor, and the recorder's end of the socket to who brings heads
 * there. */

static char top[] = "/tmp/berm-anchor-XXXXXX";
static const uint8_t log_id[LOG_ID_BYTES] = {7};

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static struct log_head head_of(uint64_t sequence)
{
	struct log_head head;

	memset(&head, 0, sizeof(head));
	memcpy(head.log_id, log_id, LOG_ID_BYTES);
	head.segment = 1;
	head.sequence = sequence;
	head.hash[0] = (uint8_t)sequence;
	return head;
}

/* A directory and a command of this test's own, both empty. */
struct two {
	struct recorder_file file;
	struct anchors anchors;
	struct anchor anchor;
	char directory[64], script[400], shell[16], option[4];
	char *command[4];
};

static void begin(struct two *two, const char *name)
{
	char kept[96];

	memset(two, 0, sizeof(*two));
	snprintf(two->directory, sizeof(two->directory), "%s/%s", top, name);
	snprintf(kept, sizeof(kept), "%s/%s.kept", top, name);
	assert_int_equal(mkdir(two->directory, 0700), 0);
	/* The word after the script of sh -c is its $0. */
	snprintf(two->script, sizeof(two->script),
		"case $0 in publish) cat >%s;; latest) test ! -e %s || cat %s;; esac", kept, kept,
		kept);
	strcpy(two->shell, "/bin/sh");
	strcpy(two->option, "-c");
	two->command[0] = two->shell;
	two->command[1] = two->option;
	two->command[2] = two->script;
	two->file.anchor_directory = two->directory;
	two->file.anchor_command = two->command;
}

static void open_two(struct two *two)
{
	anchors_init(&two->anchors, &two->file);
	two->anchor = anchors_anchor(&two->anchors);
}

static int publish(struct two *two, uint64_t sequence, struct error *err)
{
	struct log_head head = head_of(sequence);

	return two->anchor.publish(two->anchor.context, &head, err);
}

static int latest(struct two *two, struct log_head *ret_head, struct error *err)
{
	return two->anchor.latest(two->anchor.context, log_id, ret_head, err);
}

static void a_head_goes_to_both_and_the_later_one_is_believed(void **state)
{
	struct log_head head;
	struct error err = {0};
	struct two two, one;

	(void)state;
	begin(&two, "both");
	open_two(&two);
	two.anchors.all = true;
	assert_int_equal(latest(&two, &head, &err), -ENOENT);
	assert_int_equal(publish(&two, 5, &err), 0);
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(head.sequence, 5);
	/* The command alone hears of a later one: the directory is behind. */
	one = two;
	one.file.anchor_directory = NULL;
	open_two(&one);
	assert_int_equal(publish(&one, 9, &err), 0);
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(head.sequence, 9);
	/* Two heads under one number are of two logs. */
	one.file.anchor_directory = two.directory;
	one.file.anchor_command = NULL;
	open_two(&one);
	assert_int_equal(latest(&one, &head, &err), 0);
	head = head_of(9);
	head.hash[1] = 1;
	assert_int_equal(one.anchor.publish(one.anchor.context, &head, &err), 0);
	assert_int_equal(latest(&two, &head, &err), -EBADMSG);
	anchors_finish(&one.anchors);
	anchors_finish(&two.anchors);
}

static void a_place_that_cannot_be_asked_is_not_one_that_knows_nothing(void **state)
{
	struct log_head head;
	struct error err = {0};
	struct two two;
	char away[80];

	(void)state;
	begin(&two, "gone");
	snprintf(two.script, sizeof(two.script), "exit 1");
	open_two(&two);
	/* The directory knows nothing and the command fails: nothing is known. */
	assert_int_equal(latest(&two, &head, &err), -EREMOTEIO);
	/* What one keeps is enough for the recorder, and not for who verifies. */
	assert_int_equal(publish(&two, 3, &err), -EREMOTEIO);
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(head.sequence, 3);
	two.anchors.all = true;
	assert_int_equal(latest(&two, &head, &err), -EREMOTEIO);
	anchors_finish(&two.anchors);
	/* A directory that is not there is no empty one, and is looked for again. */
	two.file.anchor_command = NULL;
	snprintf(away, sizeof(away), "%s.away", two.directory);
	assert_int_equal(rename(two.directory, away), 0);
	open_two(&two);
	assert_int_equal(latest(&two, &head, &err), -ENOTDIR);
	assert_int_equal(publish(&two, 4, &err), -ENOENT);
	assert_int_equal(rename(away, two.directory), 0);
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(publish(&two, 4, &err), 0);
	/* A later head anywhere is told before any other failure. */
	two.file.anchor_command = two.command;
	assert_int_equal(publish(&two, 2, &err), -ESTALE);
	anchors_finish(&two.anchors);
}

/* As one that is not mounted is. */
static void swap(struct two *two, const char *aside)
{
	char between[80];

	snprintf(between, sizeof(between), "%s.between", two->directory);
	assert_int_equal(rename(two->directory, between), 0);
	assert_int_equal(rename(aside, two->directory), 0);
	assert_int_equal(rename(between, aside), 0);
}

static void a_place_that_had_a_head_and_has_none_is_not_one_that_knows_nothing(void **state)
{
	autoclose int keys = -1;
	char aside[80], kept[96];
	struct log_head head;
	struct error err = {0};
	struct two two;

	(void)state;
	begin(&two, "mounted");
	snprintf(aside, sizeof(aside), "%s.aside", two.directory);
	snprintf(kept, sizeof(kept), "%s.kept", two.directory);
	assert_int_equal(mkdir(aside, 0700), 0);
	keys = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	two.file.anchor_command = NULL;
	open_two(&two);
	two.anchors.key_dir = keys;
	assert_int_equal(latest(&two, &head, &err), -ENOENT);
	assert_int_equal(publish(&two, 3, &err), 0);
	anchors_finish(&two.anchors);
	/* Nor is it written into, whether it was asked before or not. */
	swap(&two, aside);
	open_two(&two);
	two.anchors.key_dir = keys;
	assert_int_equal(publish(&two, 4, &err), -ENOMEDIUM);
	assert_int_equal(latest(&two, &head, &err), -ENOMEDIUM);
	assert_non_null(strstr(err.text, "is it mounted?"));
	assert_int_equal(publish(&two, 4, &err), -ENOMEDIUM);
	assert_int_equal(rmdir(two.directory), 0);
	assert_int_equal(mkdir(two.directory, 0700), 0);
	/* Then it is there again. */
	swap(&two, aside);
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(head.sequence, 3);
	assert_int_equal(publish(&two, 4, &err), 0);
	anchors_finish(&two.anchors);
	/* Beside a command that knows it is missing where all are wanted. */
	two.file.anchor_command = two.command;
	open_two(&two);
	two.anchors.key_dir = keys;
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(publish(&two, 5, &err), 0);
	anchors_finish(&two.anchors);
	swap(&two, aside);
	open_two(&two);
	two.anchors.key_dir = keys;
	assert_int_equal(latest(&two, &head, &err), 0);
	assert_int_equal(head.sequence, 5);
	two.anchors.all = true;
	assert_int_equal(latest(&two, &head, &err), -ENOMEDIUM);
	/* A command forgets as well. */
	swap(&two, aside);
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(latest(&two, &head, &err), -ENOMEDIUM);
	assert_non_null(strstr(err.text, "command"));
	anchors_finish(&two.anchors);
	/* A place that was never named before may be empty. */
	strcpy(two.directory, aside);
	two.file.anchor_command = NULL;
	open_two(&two);
	two.anchors.key_dir = keys;
	assert_int_equal(latest(&two, &head, &err), -ENOENT);
	anchors_finish(&two.anchors);
}

static void what_is_kept_of_places_is_read_line_by_line(void **state)
{
	static const char *const one[] = {"directory", "/mnt", NULL};
	static const char *const other[] = {"directory/mnt", NULL};
	const uint8_t another_log[LOG_ID_BYTES] = {8};
	char name[] = "/tmp/berm-anchored-XXXXXX", path[64], cut[100];
	autoclose int dir = -1, file = -1;
	struct error err = {0};
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(name));
	snprintf(path, sizeof(path), "%s/%s", name, ANCHORED_FILE);
	dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(anchored_was(dir, log_id, one, &err), 0);
	assert_int_equal(anchored_note(dir, log_id, one, &err), 0);
	assert_int_equal(anchored_note(dir, log_id, one, &err), 0);
	assert_int_equal(anchored_was(dir, log_id, one, &err), 1);
	assert_int_equal(anchored_was(dir, log_id, other, &err), 0);
	assert_int_equal(anchored_was(dir, another_log, one, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* What is no whole line, from whatever, is not it, and is kept. */
	file = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	assert_true(pread(file, cut, sizeof(cut), 0) == st.st_size);
	assert_int_equal(ftruncate(file, st.st_size - 1), 0);
	assert_int_equal(anchored_was(dir, log_id, one, &err), 0);
	assert_int_equal(anchored_note(dir, another_log, one, &err), 0);
	assert_int_equal(anchored_was(dir, another_log, one, &err), 1);
	assert_int_equal(anchored_was(dir, log_id, one, &err), 1);
	/* A file that cannot be read says nothing. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(anchored_was(dir, log_id, one, &err) < 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(name), 0);
}

/* ---- the socket ---- */

static int pair(struct anchor_client *client)
{
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	anchor_client_init(client, ends[0]);
	return ends[1];
}

static void answer(int fd, uint32_t verb, int code, uint64_t sequence)
{
	struct anchor_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.verb = verb;
	reply.code = code;
	reply.head = head_of(sequence);
	strcpy(reply.text, code ? "why" : "");
	assert_int_equal(send(fd, &reply, sizeof(reply), 0), sizeof(reply));
}

static void how_a_head_went_is_told_with_the_next_one(void **state)
{
	struct anchor_client client;
	autoclose int fd = pair(&client);
	struct anchor anchor = anchor_client_anchor(&client);
	struct anchor_request request;
	struct log_head head = head_of(1), got;
	struct error err = {0};

	(void)state;
	answer(fd, ANCHOR_LATEST, -ENOENT, 0);
	assert_int_equal(anchor.latest(anchor.context, log_id, &got, &err), -ENOENT);
	assert_int_equal(recv(fd, &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(request.verb, ANCHOR_LATEST);
	assert_memory_equal(request.head.log_id, log_id, LOG_ID_BYTES);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	assert_int_equal(recv(fd, &request, sizeof(request), 0), sizeof(request));
	assert_int_equal(request.verb, ANCHOR_PUBLISH);
	assert_int_equal(request.head.sequence, 1);
	answer(fd, ANCHOR_PUBLISH, -EREMOTEIO, 1);
	head = head_of(2);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), -EREMOTEIO);
	assert_string_equal(err.text, "why");
	/* That one was handed over all the same, and went well. */
	answer(fd, ANCHOR_PUBLISH, 0, 2);
	head = head_of(3);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	/* A later head elsewhere is for good, whatever comes after it. */
	answer(fd, ANCHOR_PUBLISH, -ESTALE, 3);
	answer(fd, ANCHOR_PUBLISH, 0, 4);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), -ESTALE);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), -ESTALE);
	anchor_client_finish(&client);
	assert_int_equal(client.fd, -1);
}

static void an_answer_is_heard_when_it_comes(void **state)
{
	struct anchor_client client;
	int fd = pair(&client);
	struct anchor anchor = anchor_client_anchor(&client);
	struct log_head head = head_of(1);
	struct error err = {0};

	(void)state;
	assert_false(anchor_client_turned(&client));
	assert_int_equal(anchor_client_patience_ms(&client), -1);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	assert_in_range(anchor_client_patience_ms(&client), 1, ANCHOR_PATIENCE_MS);
	assert_false(anchor_client_turned(&client));
	answer(fd, ANCHOR_PUBLISH, -EREMOTEIO, 1);
	assert_true(anchor_client_turned(&client));
	/* Once, until it goes another way. */
	assert_false(anchor_client_turned(&client));
	assert_int_equal(anchor_client_patience_ms(&client), -1);
	answer(fd, ANCHOR_PUBLISH, 0, 1);
	assert_true(anchor_client_turned(&client));
	head = head_of(2);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	client.since_ms -= ANCHOR_PATIENCE_MS;
	assert_int_equal(anchor_client_patience_ms(&client), 0);
	assert_true(anchor_client_turned(&client));
	answer(fd, ANCHOR_PUBLISH, 0, 2);
	assert_true(anchor_client_turned(&client));
	assert_int_equal(anchor_client_fd(&client), client.fd);
	close(fd);
	assert_true(anchor_client_turned(&client));
	assert_false(anchor_client_turned(&client));
	assert_int_equal(anchor_client_fd(&client), -1);
	anchor_client_finish(&client);
	anchor_client_init(&client, -1);
	assert_false(anchor_client_turned(&client));
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	struct anchor_client client;
	autoclose int fd = pair(&client);
	struct anchor anchor = anchor_client_anchor(&client);
	struct log_head head = head_of(1), got;
	struct error err = {0};

	(void)state;
	client.waited = true; /* as after the first question */
	assert_int_equal(anchor.latest(anchor.context, log_id, &got, &err), -EAGAIN);
	/* The answer to the first question is taken when it comes. */
	answer(fd, ANCHOR_LATEST, 0, 8);
	assert_int_equal(anchor.latest(anchor.context, log_id, &got, &err), 0);
	assert_int_equal(got.sequence, 8);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	client.since_ms -= ANCHOR_PATIENCE_MS;
	head = head_of(2);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), -ETIMEDOUT);
	answer(fd, ANCHOR_PUBLISH, 0, 2);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), 0);
	own_close(&fd);
	assert_int_equal(anchor.publish(anchor.context, &head, &err), -EPIPE);
	assert_int_equal(anchor.latest(anchor.context, log_id, &got, &err), -EPIPE);
	anchor_client_finish(&client);
}

static void how_it_goes_is_read_as_it_was_written(void **state)
{
	struct anchor_status status = {.code = -ETIMEDOUT, .sequence = 12, .wall_ms = 99}, got;
	autoclose int dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = {0};

	(void)state;
	assert_int_equal(anchor_status_read(dir, &got, &err), -ENOENT);
	strcpy(status.text, "did not end in time");
	assert_int_equal(anchor_status_write(dir, &status), 0);
	assert_int_equal(anchor_status_read(dir, &got, &err), 0);
	assert_int_equal(got.code, -ETIMEDOUT);
	assert_int_equal(got.sequence, 12);
	assert_int_equal(got.wall_ms, 99);
	assert_string_equal(got.text, status.text);
	status = (struct anchor_status){.sequence = 13};
	assert_int_equal(anchor_status_write(dir, &status), 0);
	assert_int_equal(anchor_status_read(dir, &got, &err), 0);
	assert_int_equal(got.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_goes_to_both_and_the_later_one_is_believed),
		cmocka_unit_test(a_place_that_cannot_be_asked_is_not_one_that_knows_nothing),
		cmocka_unit_test(
			a_place_that_had_a_head_and_has_none_is_not_one_that_knows_nothing),
		cmocka_unit_test(what_is_kept_of_places_is_read_line_by_line),
		cmocka_unit_test(how_a_head_went_is_told_with_the_next_one),
		cmocka_unit_test(an_answer_is_heard_when_it_comes),
		cmocka_unit_test(who_does_not_answer_is_not_waited_for),
		cmocka_unit_test(how_it_goes_is_read_as_it_was_written),
	};

	return cmocka_run_group_tests(tests, make_top, NULL);
}
