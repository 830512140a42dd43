/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "daemon/recorder-wire.h"
#include "record/canonical.h"
#include "record/format.h"

/* Both ends of the recorder's socket. What is taken as a request is within its bounds, and its
 * records tell only what a run may tell and pack to what verifiers take; an answer is bounded text
 * and never an error that reads as none.
 * Input: one byte, odd: an answer to a run, even: a request to the recorder; then its bytes. */

/* What the recorder makes of a part of a record, in both of its ways: packed as one message, and
 * the bytes as they are behind those of the rest. */
static void make_whole(const struct record_part *part)
{
	Berm__Wire__Record *record = berm__wire__record__unpack(NULL, part->length, part->bytes);
	Berm__Wire__Record before = BERM__WIRE__RECORD__INIT;
	uint8_t one[RECORD_BYTES_MAX], other[RECORD_BYTES_MAX];
	struct record_view view;
	size_t length, head;

	assert(record);
	before.has_sequence = before.has_timestamp = before.has_boot_ns = true;
	record->has_sequence = record->has_timestamp = record->has_boot_ns = true;
	length = berm__wire__record__get_packed_size(record);
	assert(length <= sizeof(one) && berm__wire__record__pack(record, one) == length);
	head = berm__wire__record__pack(&before, other);
	memcpy(other + head, part->bytes, part->length);
	assert(head + part->length == length && memcmp(one, other, length) == 0);
	assert(record_view_read(one, length, &view));
	assert(view.body == part->body && view.body == record->body_case);
	berm__wire__record__free_unpacked(record, NULL);
}

static void read_record(const ProtobufCBinaryData *bytes, bool by_act)
{
	struct record_part part = {0};
	enum record_ring ring = RECORD_RING_COUNT;
	struct error err = {0};

	if (recorder_record_read(bytes, by_act, &part, &ring, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !part.bytes);
		return;
	}
	assert(ring < RECORD_RING_COUNT);
	assert(recorder_body_is_allowed((Berm__Wire__Record__BodyCase)part.body, by_act, &ring));
	make_whole(&part);
}

/* The same reader as protobuf's, for all that it takes. */
static void compare(const struct recorder_request *request, const uint8_t *data, size_t size)
{
	Berm__Wire__RecorderRequest *other = berm__wire__recorder_request__unpack(NULL, size, data);

	assert(other && other->n_records == request->count);
	for (size_t i = 0; i < request->count; i++)
		assert(other->records[i].len == request->records[i].len &&
			memcmp(other->records[i].data, request->records[i].data,
				other->records[i].len) == 0);
	assert(other->number == request->parts->number && other->end == request->parts->end);
	assert(!other->begin == !request->parts->begin && !other->lost == !request->parts->lost);
	berm__wire__recorder_request__free_unpacked(other, NULL);
}

static void read_request(const uint8_t *data, size_t size)
{
	static struct recorder_request request;
	const Berm__Wire__RecorderRequest *parts;
	struct error err = {0};

	if (recorder_request_read(data, size, &request, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !request.parts);
		return;
	}
	parts = request.parts;
	assert(parts->version == RECORDER_VERSION && parts->n_records == 0);
	assert(request.count <= RECORDER_BATCH_MAX);
	assert(parts->number <= RECORDER_NUMBER_MAX);
	assert(!parts->begin || strlen(parts->begin->run) == 26);
	assert(!parts->lost || (parts->lost->count > 0 && parts->lost->source != 0));
	compare(&request, data, size);
	for (size_t i = 0; i < request.count; i++)
		read_record(&request.records[i], parts->begin && parts->begin->act);
	recorder_request_free(&request);
}

static void read_reply(const uint8_t *data, size_t size)
{
	struct recorder_reply reply;
	uint8_t packet[RECORDER_REPLY_MAX];

	if (recorder_reply_read(data, size, &reply) < 0)
		return;
	assert(reply.error <= 0 && reply.error > -4096);
	assert(strnlen(reply.reason, sizeof(reply.reason)) < sizeof(reply.reason));
	assert(recorder_reply_write(&reply, packet) <= RECORDER_REPLY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		read_reply(data + 1, size - 1);
	else
		read_request(data + 1, size - 1);
	return 0;
}
