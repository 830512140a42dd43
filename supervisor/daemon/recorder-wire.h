/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/recorder.h"
#include "wire/recorder.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

/* What goes between a run and the recorder, and the bounds that both ends hold it to. */

#define RECORDER_VERSION 1
/* One packet: the largest record, and what is around it. A socket takes it with the kernel's
 * default send buffer (net.core.wmem_default, 208 KiB). */
#define RECORDER_PACKET_MAX (176U << 10)
#define RECORDER_RECORD_MAX (168U << 10) /* packed, as a client may send it */
#define RECORDER_BATCH_MAX 1024U         /* records in one packet */
#define RECORDER_REPLY_MAX 1024U
#define RECORDER_NAME_MAX 256U /* agent, group */
#define RECORDER_DIGEST_BYTES 32U
/* Enough for any count, and sums of it never wrap. */
#define RECORDER_NUMBER_MAX (UINT64_MAX / 4)

/* A request: its records stay where they are in the packet, since there are many. */
struct recorder_request {
	Berm__Wire__RecorderRequest *parts; /* owned: all but the records */
	size_t count;
	ProtobufCBinaryData records[RECORDER_BATCH_MAX]; /* the first `count`; borrowed */
};

/* Read a request strictly: nothing unknown, every length and count within its bound, the records
 * one after the other. Release with recorder_request_free() before the packet. Errors: -EPROTO
 * (kind INPUT). */
int recorder_request_read(const uint8_t *packet, size_t length,
	struct recorder_request *ret_request, struct error *err) must_check;
void recorder_request_free(struct recorder_request *request);
/* A record of a request that was read, and the ring that it belongs to. by_act: RecorderBegin.act.
 * -EPROTO. */
int recorder_record_read(const ProtobufCBinaryData *bytes, bool by_act,
	struct record_part *ret_part, enum record_ring *ret_ring, struct error *err) must_check;

/* The answer in a packet: a copy, with the reason cut at its length. -EPROTO. */
struct recorder_reply {
	bool begun;
	uint64_t durable;
	int error; /* negative errno, or 0 */
	char reason[ERROR_TEXT_MAX];
};
int recorder_reply_read(
	const uint8_t *packet, size_t length, struct recorder_reply *ret_reply) must_check;
/* Returns the length; never more than RECORDER_REPLY_MAX. */
size_t recorder_reply_write(
	const struct recorder_reply *reply, uint8_t ret_packet[RECORDER_REPLY_MAX]);

/* True where a run, or by_act an act, may tell records of that kind (BERM__WIRE__RECORD__BODY_…),
 * and in which ring they are. */
bool recorder_body_is_allowed(
	Berm__Wire__Record__BodyCase body, bool by_act, enum record_ring *ret_ring);
