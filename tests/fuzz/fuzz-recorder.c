/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "daemon/recorder-wire.h"
#include "record/canonical.h"

/* Both ends of the recorder's socket. What is taken as a request is within its bounds, and its
 * records tell only what a run may tell and pack to what verifiers take; an answer is bounded text
 * and never an error that reads as none.
 * Input: one byte, odd: an answer to a run, even: a request to the recorder; then its bytes. */

static void read_record(const ProtobufCBinaryData *bytes)
{
	Berm__Wire__Record *record = NULL;
	enum record_ring ring = RECORD_RING_COUNT;
	struct error err = {0};
	struct record_view view;
	uint8_t *again;
	size_t length;

	if (recorder_record_read(bytes, &record, &ring, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !record);
		return;
	}
	assert(ring < RECORD_RING_COUNT);
	assert(recorder_body_is_allowed(record->body_case, &ring));
	/* As the recorder makes it whole. */
	record->has_sequence = record->has_timestamp = record->has_boot_ns = true;
	length = berm__wire__record__get_packed_size(record);
	again = malloc(length);
	assert(again && berm__wire__record__pack(record, again) == length);
	assert(record_view_read(again, length, &view));
	assert(view.body == record->body_case);
	free(again);
	berm__wire__record__free_unpacked(record, NULL);
}

static void read_request(const uint8_t *data, size_t size)
{
	Berm__Wire__RecorderRequest *request = NULL;
	struct error err = {0};

	if (recorder_request_read(data, size, &request, &err) < 0) {
		assert(err.code < 0 && err.text[0] && !request);
		return;
	}
	assert(request->version == RECORDER_VERSION);
	assert(request->n_records <= RECORDER_BATCH_MAX);
	assert(request->number <= RECORDER_NUMBER_MAX);
	assert(!request->begin || strlen(request->begin->run) == 26);
	assert(!request->lost || (request->lost->count > 0 && request->lost->source != 0));
	for (size_t i = 0; i < request->n_records; i++)
		read_record(&request->records[i]);
	recorder_request_free(request);
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
