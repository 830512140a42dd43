/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

#include "recorder-talk.h"

/* The recorder's server, alone with connections that make sense and others that do not. */

static void a_record_that_was_acknowledged_is_on_the_disk(void **state)
{
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct recorder_reply reply;
	uint8_t packet[512];
	struct told told;
	int fd;

	(void)state;
	start_server();
	fd = begun(RUN_A);
	say(fd, packet, record_packet(packet, 1, &record, true));
	assert_true(hear(fd, &reply));
	assert_int_equal(reply.durable, 1);
	close(fd);
	kill_server();
	recorder = open_log();
	close_log(recorder);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TRIP], 1);
}

static void nobody_tells_what_is_the_recorders_to_say(void **state)
{
	static const Berm__Wire__Record__BodyCase own[] = {BERM__WIRE__RECORD__BODY_SEGMENT_HEAD,
		BERM__WIRE__RECORD__BODY_SEAL, BERM__WIRE__RECORD__BODY_OPENED,
		BERM__WIRE__RECORD__BODY_LOSS, BERM__WIRE__RECORD__BODY_CLOCK_STEP,
		BERM__WIRE__RECORD__BODY_RETENTION, BERM__WIRE__RECORD__BODY_TROUBLE};
	uint8_t packet[512];
	struct told told;

	(void)state;
	start_server();
	for (size_t i = 0; i < array_size(own); i++) {
		/* An empty body of that kind, by hand: tag and length. */
		const uint8_t body[] = {(uint8_t)(own[i] << 3 | 2) | (own[i] > 15 ? 0x80 : 0),
			(uint8_t)(own[i] >> 4), 0};
		Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
		ProtobufCBinaryData row = {sizeof(body), (uint8_t *)(uintptr_t)body};
		struct recorder_reply reply;
		int fd = begun(RUN_A);

		request.version = RECORDER_VERSION;
		request.number = 1;
		request.records = &row;
		request.n_records = 1;
		say(fd, packet, berm__wire__recorder_request__pack(&request, packet));
		assert_true(hear(fd, &reply));
		assert_int_equal(reply.error, -EPROTO);
		assert_true(is_gone(fd));
		close(fd);
	}
	stop_server();
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_LOSS], 0);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_OPENED], 1);
	/* Each of these runs ended without a word, and the log says so. */
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_RUN_END], array_size(own));
}

/* What is wrong with a packet, and with what the connection said before. */
enum bad {
	EMPTY,
	CHAOS,
	VERSION,
	NO_RUN,
	BAD_RUN,
	TWICE,
	SKIPPED,
	AGAIN,
	UNKNOWN,
	LONG,
	FLOOD,
	BAD
};

static size_t bad_packet(enum bad bad, uint8_t *packet)
{
	Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
	Berm__Wire__RecorderLost lost = BERM__WIRE__RECORDER_LOST__INIT;
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	size_t length;

	request.version = RECORDER_VERSION;
	switch (bad) {
	case EMPTY:
		return berm__wire__recorder_request__pack(
			&(Berm__Wire__RecorderRequest)BERM__WIRE__RECORDER_REQUEST__INIT, packet);
	case CHAOS:
		memset(packet, 0xff, 64);
		return 64;
	case VERSION:
		request.version = 7;
		return berm__wire__recorder_request__pack(&request, packet);
	case NO_RUN:
		return record_packet(packet, 1, &record, false);
	case BAD_RUN:
		return begin_packet(packet, "../../etc/passwd", 0);
	case TWICE:
		return begin_packet(packet, RUN_A, 0);
	case SKIPPED:
		return record_packet(packet, 7, &record, false);
	case AGAIN:
		return record_packet(packet, 0, &record, false);
	case UNKNOWN:
		length = record_packet(packet, 1, &record, false);
		memcpy(packet + length, "\xfa\x01\x00", 3); /* field 31 */
		return length + 3;
	case LONG:
		return RECORDER_PACKET_MAX + 1;
	case FLOOD:
		lost.count = UINT64_MAX;
		lost.source = BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE;
		request.lost = &lost;
		request.number = 1;
		return berm__wire__recorder_request__pack(&request, packet);
	case BAD:
		break;
	}
	return 0;
}

static void whoever_makes_no_sense_is_dropped_and_no_other(void **state)
{
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	uint8_t *packet = calloc(1, RECORDER_PACKET_MAX + 1);
	struct recorder_reply reply;
	struct told told;
	int good;

	(void)state;
	start_server();
	good = begun("01M82Q1GM904MMB0GB72AKD5WM");
	for (unsigned bad = 0; bad < BAD; bad++) {
		bool is_first = bad == NO_RUN || bad == BAD_RUN || bad == EMPTY;
		int fd = is_first ? connection() : begun(RUN_A);
		size_t length = bad_packet((enum bad)bad, packet);

		say(fd, packet, length);
		/* A packet of no bytes reads as the end of the connection. */
		if (bad != EMPTY && (!hear(fd, &reply) || reply.error != -EPROTO))
			fail_msg("case %u is not refused", bad);
		assert_true(is_gone(fd));
		close(fd);
		say(good, packet, record_packet(packet, bad + 1, &record, true));
		assert_true(hear(good, &reply) && reply.durable == bad + 1);
	}
	close(good);
	free(packet);
	stop_server();
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TRIP], BAD);
}

static void a_run_has_one_connection(void **state)
{
	struct recorder_reply reply;
	uint8_t packet[512];
	int first, second;

	(void)state;
	start_server();
	first = begun(RUN_A);
	second = connection();
	say(second, packet, begin_packet(packet, RUN_A, 0));
	assert_true(hear(second, &reply));
	assert_int_equal(reply.error, -EEXIST);
	close(second);
	/* One that comes back after it has gone is welcome, also within the same turn. */
	close(first);
	second = connection();
	say(second, packet, begin_packet(packet, RUN_A, 0));
	assert_true(hear(second, &reply) && reply.begun);
	close(second);
	stop_server();
}

static void a_flood_costs_the_one_who_makes_it(void **state)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__ExecActivity exec = BERM__WIRE__EXEC_ACTIVITY__INIT;
	uint8_t *packet = malloc(RECORDER_PACKET_MAX), *path = malloc(100000);
	Berm__Wire__Trip trip;
	Berm__Wire__Record small = small_record(&trip);
	struct recorder_reply reply;
	uint64_t told_quiet = 0;
	int noisy, quiet;
	struct told told;

	(void)state;
	memset(path, 'x', 100000);
	start_server();
	noisy = begun(RUN_A);
	quiet = begun("01M82Q1GM904MMB0GB72AKD5WM");
	exec.has_path = true;
	exec.path = (ProtobufCBinaryData){100000, path};
	record.body_case = BERM__WIRE__RECORD__BODY_EXEC;
	record.exec = &exec;
	for (unsigned i = 0, number = 1; i < 200; i++) {
		Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
		uint8_t *bytes = malloc(berm__wire__record__get_packed_size(&record));
		ProtobufCBinaryData row = {.data = bytes};
		size_t length;

		row.len = berm__wire__record__pack(&record, bytes);
		request.version = RECORDER_VERSION;
		request.records = &row;
		request.n_records = 1;
		request.number = number;
		length = berm__wire__recorder_request__pack(&request, packet);
		if (send(noisy, packet, length, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			number++;
		say(quiet, packet, record_packet(packet, ++told_quiet, &small, true));
		assert_true(hear(quiet, &reply) && reply.durable == told_quiet);
		free(bytes);
	}
	close(noisy);
	close(quiet);
	free(packet);
	free(path);
	stop_server();
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TRIP], told_quiet);
}

static void a_client_that_hears_nothing_blocks_nobody(void **state)
{
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct recorder_reply reply;
	uint64_t number = 0, last = 0;
	uint8_t packet[512];
	struct told told;
	int deaf, fd;

	(void)state;
	start_server();
	deaf = begun(RUN_A);
	fd = begun("01M82Q1GM904MMB0GB72AKD5WM");
	/* More answers than its socket holds. */
	for (unsigned i = 0; i < 3000; i++)
		say(deaf, packet, record_packet(packet, ++number, &record, true));
	say(fd, packet, record_packet(packet, 1, &record, true));
	assert_true(hear(fd, &reply) && reply.durable == 1);
	/* When it listens again it hears how far everything has come. */
	while (hear(deaf, &reply))
		last = reply.durable;
	assert_true(last < number);
	assert_int_equal(handle(), 0);
	assert_true(hear(deaf, &reply));
	assert_int_equal(reply.durable, number);
	close(deaf);
	close(fd);
	stop_server();
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TRIP], number + 1);
}

static void an_answer_that_comes_late_is_of_what_is_on_the_disk_by_then(void **state)
{
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct recorder_reply reply;
	uint64_t number = 0, heard = 0;
	uint8_t packet[512];
	struct told told;
	int deaf;

	(void)state;
	/* By the recorder's clock nothing is due, today or tomorrow: it writes where one waits. */
	w.boot_ns = UINT64_MAX / 4;
	start_server();
	deaf = begun(RUN_A);
	/* Who does not take its answers waits for none: what follows is not written yet. */
	for (unsigned i = 0; i < 3000; i++)
		say(deaf, packet, record_packet(packet, ++number, &record, true));
	while (hear(deaf, &reply))
		heard = reply.durable;
	assert_true(heard < number);
	assert_int_equal(handle(), 0);
	while (hear(deaf, &reply))
		heard = reply.durable;
	close(deaf);
	kill_server();
	recorder = open_log();
	close_log(recorder);
	assert_passes(read_log(&told, false));
	assert_true(told.bodies[BERM__WIRE__RECORD__BODY_TRIP] >= heard);
	/* It waited for all of them, and had room for the answer again. */
	assert_int_equal(heard, number);
}

static void a_full_disk_is_said_to_everybody_and_in_the_log(void **state)
{
	Berm__Wire__Trip trip;
	Berm__Wire__Record record = small_record(&trip);
	struct recorder_reply reply;
	uint8_t packet[512];
	struct told told;
	int fd, other, r = 0;

	(void)state;
	start_server();
	fd = begun(RUN_A);
	other = begun("01M82Q1GM904MMB0GB72AKD5WM");
	say(fd, packet, record_packet(packet, 1, &record, true));
	assert_true(hear(fd, &reply));
	fake_disk_limit(w.disk, fake_disk_allocated(w.disk));
	for (unsigned number = 2; number < 100000 && r == 0; number++) {
		size_t length = record_packet(packet, number, &record, true);

		assert_true(send(fd, packet, length, MSG_NOSIGNAL) > 0);
		r = handle();
		if (r == 0)
			assert_true(hear(fd, &reply) && reply.durable == number);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(hear(fd, &reply));
	assert_int_equal(reply.error, -ENOSPC);
	assert_true(hear(other, &reply));
	assert_int_equal(reply.error, -ENOSPC);
	close(fd);
	close(other);
	recorder_server_destroy(server);
	recorder_destroy(recorder);
	fake_disk_limit(w.disk, 0);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TROUBLE], 1);
	assert_true(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_STORAGE] > 0);
}

static void a_thousand_runs_come_and_go(void **state)
{
	struct recorder_reply reply;
	uint8_t packet[512];
	struct told told;

	(void)state;
	start_server();
	for (unsigned i = 0; i < 1000; i++) {
		Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
		char run[32];
		int fd;

		snprintf(run, sizeof(run), "01M82Q1GM904MMB0GB72A%05u", i);
		fd = begun(run);
		request.version = RECORDER_VERSION;
		request.end = true;
		say(fd, packet, berm__wire__recorder_request__pack(&request, packet));
		assert_true(hear(fd, &reply));
		close(fd);
	}
	assert_int_equal(handle(), 0);
	assert_int_equal(recorder_server_clients(server), 0);
	stop_server();
	assert_passes(read_log(&told, false));
	/* None of them had a receipt. */
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_RUN_END], 1000);
}

#define PLACES 100

static void places_are_bounded(void **state)
{
	struct error err = {0};
	int fds[PLACES], ends[2];

	(void)state;
	places_of_server = PLACES;
	start_server();
	places_of_server = 0;
	for (unsigned i = 0; i < PLACES; i++)
		fds[i] = connection();
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(recorder_server_add(server, &ends[1], &err), -EAGAIN);
	for (unsigned i = 0; i < PLACES; i++)
		close(fds[i]);
	for (unsigned i = 0; recorder_server_clients(server) > 0 && i < 1000; i++)
		assert_int_equal(handle(), 0);
	assert_int_equal(recorder_server_add(server, &ends[1], &err), 0);
	close(ends[0]);
	stop_server();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(a_record_that_was_acknowledged_is_on_the_disk),
		on_disk(nobody_tells_what_is_the_recorders_to_say),
		on_disk(whoever_makes_no_sense_is_dropped_and_no_other),
		on_disk(a_run_has_one_connection),
		on_disk(a_flood_costs_the_one_who_makes_it),
		on_disk(a_client_that_hears_nothing_blocks_nobody),
		on_disk(an_answer_that_comes_late_is_of_what_is_on_the_disk_by_then),
		on_disk(a_full_disk_is_said_to_everybody_and_in_the_log),
		on_disk(a_thousand_runs_come_and_go),
		on_disk(places_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
