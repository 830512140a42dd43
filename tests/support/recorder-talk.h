/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The recorder's server in this process, on a disk in memory, and connections to it. Include after
 * log-told.h. */

#include "daemon/recorder-client.h"
#include "daemon/recorder-server.h"
#include "daemon/recorder-wire.h"

#include <sys/socket.h>

#define RUN_A "01M82Q1GM904MMB0GB72AKD5WK"

static struct recorder *recorder;
static struct recorder_server *server;
static unsigned places_of_server; /* 0: as many as there can be */

static inline void start_server(void)
{
	const struct recorder_server_options options = {.listen_fd = -1, .owner = geteuid()};
	struct recorder_server_options own = options;
	struct error err = {0};

	recorder = open_log();
	own.recorder = recorder;
	own.places = places_of_server;
	if (recorder_server_create(&own, &server, &err) < 0)
		fail_msg("%s", err.text);
}

/* As a recorder that ends as it should. */
static inline void stop_server(void)
{
	recorder_server_destroy(server);
	close_log(recorder);
	server = NULL;
	recorder = NULL;
}

/* As kill -9: nothing of its memory is left. */
static inline void kill_server(void)
{
	recorder_server_destroy(server);
	recorder_destroy(recorder);
	fake_disk_crash(w.disk, FAKE_CRASH_LOSE);
	server = NULL;
	recorder = NULL;
}

static inline int handle(void)
{
	struct error err = {0};

	return recorder_server_handle(server, &err);
}

/* A connection to the server: our end. */
static inline int connection(void)
{
	struct error err = {0};
	int ends[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(recorder_server_add(server, &ends[1], &err), 0);
	return ends[0];
}

static inline size_t begin_packet(uint8_t *packet, const char *run, uint64_t told)
{
	Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
	Berm__Wire__RecorderBegin begin;

	berm__wire__recorder_begin__init(&begin);
	request.version = RECORDER_VERSION;
	begin.run = (char *)(uintptr_t)run;
	begin.told = told;
	request.begin = &begin;
	return berm__wire__recorder_request__pack(&request, packet);
}

static inline Berm__Wire__Record small_record(Berm__Wire__Trip *trip)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;

	berm__wire__trip__init(trip);
	trip->has_used = true;
	trip->used = 4711;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = trip;
	return record;
}

static inline size_t record_packet(
	uint8_t *packet, uint64_t number, const Berm__Wire__Record *record, bool flush)
{
	Berm__Wire__RecorderRequest request = BERM__WIRE__RECORDER_REQUEST__INIT;
	uint8_t bytes[4096];
	ProtobufCBinaryData row = {.data = bytes};

	row.len = berm__wire__record__pack(record, bytes);
	request.version = RECORDER_VERSION;
	request.number = number;
	request.records = &row;
	request.n_records = 1;
	request.flush = flush;
	return berm__wire__recorder_request__pack(&request, packet);
}

static inline void say(int fd, const uint8_t *packet, size_t length)
{
	assert_int_equal(send(fd, packet, length, MSG_NOSIGNAL), length);
	assert_int_equal(handle(), 0);
}

/* The next answer; false where there is none. */
static inline bool hear(int fd, struct recorder_reply *ret_reply)
{
	uint8_t packet[RECORDER_REPLY_MAX];
	ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	return n > 0 && recorder_reply_read(packet, (size_t)n, ret_reply) == 0;
}

static inline bool is_gone(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static inline int begun(const char *run)
{
	struct recorder_reply reply;
	uint8_t packet[512];
	int fd = connection();

	say(fd, packet, begin_packet(packet, run, 0));
	assert_true(hear(fd, &reply) && reply.begun && !reply.error);
	return fd;
}
