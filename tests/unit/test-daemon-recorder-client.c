/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

#include "recorder-talk.h"

#include "daemon/recorder-peer.h"

/* A run's end of its connection to recorders that die, refuse and fall silent; and who may have
 * one. */

static int connect_client(void *context, struct error *err)
{
	unsigned *refuse = context;

	(void)err;
	if (*refuse > 0) {
		(*refuse)--;
		return -EAGAIN;
	}
	if (!server)
		start_server();
	return connection();
}

/* Both ends in turn; neither waits. */
static void turn(struct recorder_client *client)
{
	struct error err = {0};

	for (unsigned i = 0; i < 3; i++) {
		if (server)
			assert_int_equal(handle(), 0);
		assert_int_equal(recorder_client_handle(client, &err), 0);
	}
}

/* The other end of a client, played by the test: what it answers at once, and what it was told. */
static int far_fd = -1;
static unsigned connections, losers;

static void answer_with(const struct recorder_reply *reply)
{
	uint8_t packet[RECORDER_REPLY_MAX];
	size_t length = recorder_reply_write(reply, packet);

	assert_int_equal(send(far_fd, packet, length, MSG_NOSIGNAL), length);
}

static int connect_far(void *context, struct error *err)
{
	int ends[2];

	(void)context;
	(void)err;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	own_close(&far_fd);
	far_fd = ends[1];
	connections++;
	if (losers > 0) {
		losers--;
		answer_with(&(struct recorder_reply){.error = -EAGAIN});
	} else {
		answer_with(&(struct recorder_reply){.begun = true});
	}
	return ends[0];
}

/* The next request; the records in it are counted. */
static struct recorder_request *next_request(void)
{
	static uint8_t packet[RECORDER_PACKET_MAX];
	static struct recorder_request request;
	struct error err = {0};
	ssize_t n = recv(far_fd, packet, sizeof(packet), MSG_DONTWAIT);

	if (n <= 0)
		return NULL;
	if (recorder_request_read(packet, (size_t)n, &request, &err) < 0)
		fail_msg("%s", err.text);
	return &request;
}

static uint64_t told_until_now(uint64_t first)
{
	struct recorder_request *request;

	while ((request = next_request())) {
		assert_int_equal(request->parts->number, first);
		first += request->count + (request->parts->lost ? request->parts->lost->count : 0);
		recorder_request_free(request);
	}
	return first - 1;
}

static struct recorder_client *far_client(void)
{
	const struct recorder_client_options options = {
		.info = {.run = RUN_A}, .connect = connect_far};
	struct recorder_client *client;
	struct error err = {0};

	connections = 0;
	assert_int_equal(recorder_client_open(&options, &client, &err), 0);
	return client;
}

static void what_was_not_acknowledged_is_told_again(void **state)
{
	struct recorder_client *client = far_client();
	struct recorder_client_status status;
	struct recorder_request *request;
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct error err = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		recorder_client_append(client, RECORD_RING_DECISIONS, &record);
	assert_int_equal(told_until_now(1), 5);
	answer_with(&(struct recorder_reply){.durable = 2});
	assert_int_equal(recorder_client_handle(client, &err), 0);
	recorder_client_status(client, &status);
	assert_int_equal(status.durable, 2);
	/* The recorder dies; the next one is told what the first had acknowledged, and the rest. */
	own_close(&far_fd);
	assert_int_equal(recorder_client_handle(client, &err), 0);
	assert_int_equal(connections, 2);
	request = next_request();
	assert_non_null(request);
	assert_non_null(request->parts->begin);
	assert_string_equal(request->parts->begin->run, RUN_A);
	assert_int_equal(request->parts->begin->told, 2);
	assert_int_equal(request->parts->number, 3);
	assert_int_equal(request->count, 3);
	recorder_request_free(request);
	answer_with(&(struct recorder_reply){.durable = 5});
	assert_int_equal(recorder_client_finish(client, false, 1000, &err), 0);
	request = next_request();
	assert_true(
		request && request->parts->end && request->parts->flush && !request->parts->begin);
	recorder_request_free(request);
	recorder_client_close(client);
	own_close(&far_fd);
}

static void who_loses_the_race_for_the_log_goes_to_the_winner(void **state)
{
	struct recorder_client *client = far_client();
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct error err = {0};

	(void)state;
	losers = 3;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
	assert_int_equal(recorder_client_ready(client, &err), 0);
	assert_int_equal(connections, 4);
	assert_int_equal(told_until_now(1), 1);
	recorder_client_close(client);
	own_close(&far_fd);
}

static void what_the_recorder_says_against_a_run_is_final(void **state)
{
	struct recorder_client *client = far_client();
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct error err = {0};

	(void)state;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
	assert_int_equal(recorder_client_ready(client, &err), 0);
	answer_with(&(struct recorder_reply){.error = -ENOSPC, .reason = "the disk is full"});
	assert_int_equal(recorder_client_handle(client, &err), -ENOSPC);
	assert_string_equal(err.text, "the disk is full");
	assert_int_equal(recorder_client_finish(client, false, 1000, &err), -ENOSPC);
	assert_int_equal(connections, 1);
	recorder_client_close(client);
	own_close(&far_fd);
}

static void a_recorder_that_says_nothing_has_failed(void **state)
{
	struct recorder_client *client = far_client();
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct error err = {0};

	(void)state;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
	assert_int_equal(recorder_client_ready(client, &err), 0);
	assert_int_equal(recorder_client_finish(client, false, 50, &err), -ETIMEDOUT);
	recorder_client_close(client);
	own_close(&far_fd);
}

/* An acknowledgement of what was never sent is none. */
static void a_recorder_cannot_acknowledge_what_it_was_not_told(void **state)
{
	struct recorder_client *client = far_client();
	struct recorder_client_status status;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	Berm__Wire__Trip trip;
	Berm__Wire__Record decision = small_record(&trip);
	struct error err = {0};
	char word[] = "open";

	(void)state;
	recorder_client_append(client, RECORD_RING_DECISIONS, &decision);
	assert_int_equal(recorder_client_ready(client, &err), 0);
	file.operation = word;
	record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	record.file = &file;
	/* Beyond what a socket takes: the rest was not sent. */
	for (unsigned i = 0; i < 4000; i++)
		recorder_client_append(client, RECORD_RING_ACTIVITY, &record);
	answer_with(&(struct recorder_reply){.durable = UINT64_MAX});
	for (unsigned i = 0; i < 2000; i++) {
		recorder_client_append(client, RECORD_RING_DECISIONS, &decision);
		assert_int_equal(recorder_client_handle(client, &err), 0);
	}
	recorder_client_status(client, &status);
	assert_true(status.durable < status.told);
	recorder_client_close(client);
	own_close(&far_fd);
}

static void the_kept_records_are_bounded_and_what_is_beyond_is_counted(void **state)
{
	unsigned refuse = 1U << 30;
	const struct recorder_client_options options = {
		.info = {.run = RUN_A}, .connect = connect_client, .context = &refuse};
	struct recorder_client_status status;
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT, decision;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	struct recorder_client *client;
	struct error err = {0};
	Berm__Wire__Trip trip;
	char path[1000], word[] = "open";
	struct told told;

	(void)state;
	memset(path, 'p', sizeof(path));
	decision = small_record(&trip);
	file.operation = word;
	file.has_path = true;
	file.path = (ProtobufCBinaryData){sizeof(path), (uint8_t *)path};
	record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	record.file = &file;
	assert_int_equal(recorder_client_open(&options, &client, &err), 0);
	for (unsigned i = 0; i < 5000; i++)
		recorder_client_append(client, RECORD_RING_ACTIVITY, &record);
	recorder_client_status(client, &status);
	assert_int_equal(status.told, 5000);
	assert_true(status.lost < 5000 &&
		    status.lost >= 5000 - RECORDER_KEPT_ACTIVITY_BYTES / sizeof(path));
	/* Activity leaves room for what was decided. */
	recorder_client_append(client, RECORD_RING_DECISIONS, &decision);
	recorder_client_status(client, &status);
	assert_int_equal(status.told, 5001);
	/* All of it reaches the log, what was lost as a number. */
	refuse = 0;
	recorder_client_append(client, RECORD_RING_DECISIONS, &decision);
	for (unsigned i = 0; i < 1000 && status.durable < 5002; i++) {
		turn(client);
		recorder_client_status(client, &status);
	}
	assert_int_equal(status.durable, 5002);
	recorder_client_close(client);
	stop_server();
	assert_passes(read_log(&told, false));
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE], status.lost);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 5000 - status.lost);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TRIP], 2);
}

/* ---- who asks ---- */

static void a_process_inside_of_a_run_is_known_by_its_second_pid(void **state)
{
	(void)state;
	assert_true(recorder_peer_is_outside("Name:\tx\nNSpid:\t4711\nNSsid:\t1\n"));
	assert_false(recorder_peer_is_outside("Name:\tx\nNSpid:\t4711\t2\nNSsid:\t1\n"));
	assert_false(recorder_peer_is_outside("Name:\tx\nNSpid:\t\n"));
	assert_false(recorder_peer_is_outside("Name:\tx\n"));
	assert_false(recorder_peer_is_outside(""));
	assert_false(recorder_peer_is_outside("\nNSpid:\t4711"));
}

static void another_users_process_is_refused(void **state)
{
	struct error err = {0};
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(recorder_peer_check(ends[0], geteuid(), &err), 0);
	if (geteuid() != 0)
		assert_int_equal(recorder_peer_check(ends[0], geteuid() + 1, &err), -EACCES);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_acknowledged_is_told_again),
		cmocka_unit_test(who_loses_the_race_for_the_log_goes_to_the_winner),
		cmocka_unit_test(what_the_recorder_says_against_a_run_is_final),
		cmocka_unit_test(a_recorder_that_says_nothing_has_failed),
		cmocka_unit_test(a_recorder_cannot_acknowledge_what_it_was_not_told),
		on_disk(the_kept_records_are_bounded_and_what_is_beyond_is_counted),
		cmocka_unit_test(a_process_inside_of_a_run_is_known_by_its_second_pid),
		cmocka_unit_test(another_users_process_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
