/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-wire.h"

#include "daemon/run-id.h"
#include "record/canonical.h"
#include "wire/effects.h"
#include "wire/strict.h"

#include <string.h>

/* All of a request but its records: names, and a few numbers. */
#define REST_MAX 2048
/* Records are taken out before; what is not known is asked for, and refused, afterwards. */
#define BOUNDS ((struct message_bounds){.may_grow = true, .repeated = 16})

/* What the log says about itself (heads, seals, losses …) is the recorder's alone. */
static const struct {
	Berm__Wire__Record__BodyCase body;
	enum record_ring ring;
	bool by_run, by_act;
} bodies[] = {
	{BERM__WIRE__RECORD__BODY_RUN_START, RECORD_RING_DECISIONS, true, false},
	{BERM__WIRE__RECORD__BODY_RUN_END, RECORD_RING_DECISIONS, true, false},
	{BERM__WIRE__RECORD__BODY_DENIAL, RECORD_RING_DECISIONS, true, false},
	{BERM__WIRE__RECORD__BODY_TRIP, RECORD_RING_DECISIONS, true, false},
	{BERM__WIRE__RECORD__BODY_POSTURE_CHANGE, RECORD_RING_DECISIONS, true, true},
	{BERM__WIRE__RECORD__BODY_PHASE_CHANGE, RECORD_RING_DECISIONS, true, true},
	{BERM__WIRE__RECORD__BODY_APPROVAL, RECORD_RING_DECISIONS, true, true},
	{BERM__WIRE__RECORD__BODY_KILL, RECORD_RING_DECISIONS, false, true},
	{BERM__WIRE__RECORD__BODY_AGENT_CHANGE, RECORD_RING_DECISIONS, false, true},
	{BERM__WIRE__RECORD__BODY_CHANGE_SET, RECORD_RING_DECISIONS, false, true},
	{BERM__WIRE__RECORD__BODY_HALT_CHANGE, RECORD_RING_DECISIONS, false, true},
	{BERM__WIRE__RECORD__BODY_EXEC, RECORD_RING_ACTIVITY, true, false},
	{BERM__WIRE__RECORD__BODY_FILE, RECORD_RING_ACTIVITY, true, false},
	{BERM__WIRE__RECORD__BODY_NETWORK, RECORD_RING_ACTIVITY, true, false},
};

bool recorder_body_is_allowed(
	Berm__Wire__Record__BodyCase body, bool by_act, enum record_ring *ret_ring)
{
	for (size_t i = 0; i < array_size(bodies); i++) {
		if (bodies[i].body == body && (by_act ? bodies[i].by_act : bodies[i].by_run)) {
			*ret_ring = bodies[i].ring;
			return true;
		}
	}
	return false;
}

static int malformed(struct error *err, const char *what)
{
	return error_set(err, -EPROTO, ERROR_INPUT, "not a request to the recorder: %s", what);
}

static bool has_unknown(const ProtobufCMessage *message)
{
	return message->n_unknown_fields > 0;
}

static const char *wrong_begin(const Berm__Wire__RecorderBegin *begin)
{
	if (has_unknown(&begin->base))
		return "an unknown field";
	if (!run_id_is_valid(begin->run))
		return "no run id";
	if (strlen(begin->agent) > RECORDER_NAME_MAX || strlen(begin->group) > RECORDER_NAME_MAX)
		return "a name is too long";
	if (begin->profile_digest.len != 0 && begin->profile_digest.len != RECORDER_DIGEST_BYTES)
		return "no digest";
	if (begin->phase >= PHASE_COUNT || begin->told > RECORDER_NUMBER_MAX)
		return "a number out of range";
	return NULL;
}

static const char *wrong_lost(const Berm__Wire__RecorderLost *lost)
{
	if (has_unknown(&lost->base))
		return "an unknown field";
	if (lost->ring >= RECORD_RING_COUNT || lost->count == 0 ||
		lost->count > RECORDER_NUMBER_MAX)
		return "a number out of range";
	if (lost->source != BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING &&
		lost->source != BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE &&
		lost->source != BERM__WIRE__LOSS_SOURCE__LOSS_TOO_LARGE)
		return "no such source of losses";
	return NULL;
}

static const char *wrong_request(const struct recorder_request *request)
{
	const Berm__Wire__RecorderRequest *r = request->parts;
	bool tells = r->lost || request->count > 0;

	if (has_unknown(&r->base))
		return "an unknown field";
	if (r->version != RECORDER_VERSION)
		return "another version of the protocol; end the runs of the other berm first";
	if (tells != (r->number > 0) || r->number > RECORDER_NUMBER_MAX)
		return "records without a number, or a number without records";
	if (r->close && !r->end)
		return "a close without an end";
	if (r->begin && wrong_begin(r->begin))
		return wrong_begin(r->begin);
	return r->lost ? wrong_lost(r->lost) : NULL;
}

/* ---- records, where they are in their packet ---- */

#define RECORDS_FIELD 5
#define RECORDS_TAG (RECORDS_FIELD << 3 | 2)

/* Of a field's value of that wire type: its bytes from `at` on; 0: there is none. */
static size_t value_length(const uint8_t *at, const uint8_t *end, unsigned wire)
{
	uint64_t value = 0;
	size_t used = 0;

	/* Fixed lengths are in no request. */
	if (wire != 0 && wire != 2)
		return 0;
	do {
		if (at + used == end || used == 9)
			return 0;
		value |= (uint64_t)(at[used] & 0x7F) << (7 * used);
	} while (at[used++] & 0x80);
	if (wire == 0)
		return used;
	return value > (uint64_t)(end - at) - used ? 0 : used + (size_t)value;
}

/* The bytes of a record, of which the length is known to be right. */
static ProtobufCBinaryData record_at(const uint8_t *at, size_t length)
{
	size_t prefix = 0;

	while (at[prefix++] & 0x80)
		;
	return (ProtobufCBinaryData){length - prefix, (uint8_t *)(uintptr_t)(at + prefix)};
}

/* Note the records; what is before and after them is copied together. */
static const char *find_records(const uint8_t *packet, size_t length,
	struct recorder_request *request, uint8_t ret_rest[REST_MAX], size_t *ret_rest_length)
{
	const uint8_t *end = packet + length;
	size_t rest = 0, value;
	bool after = false;

	for (const uint8_t *at = packet; at < end; at += 1 + value) {
		ProtobufCBinaryData *record = &request->records[request->count];

		value = value_length(at + 1, end, *at & 7);
		/* Numbers up to 15: a tag of one byte. */
		if (value == 0 || *at & 0x80)
			return "its form";
		if (*at != RECORDS_TAG) {
			if (rest + 1 + value > REST_MAX)
				return "its length";
			memcpy(ret_rest + rest, at, 1 + value);
			rest += 1 + value;
			after = request->count > 0;
			continue;
		}
		if (after)
			return "records in several places";
		if (request->count == RECORDER_BATCH_MAX)
			return "too many records at once";
		*record = record_at(at + 1, value);
		if (record->len == 0 || record->len > RECORDER_RECORD_MAX)
			return "a record of no good length";
		request->count++;
	}
	*ret_rest_length = rest;
	return NULL;
}

int recorder_request_read(const uint8_t *packet, size_t length,
	struct recorder_request *ret_request, struct error *err)
{
	uint8_t rest[REST_MAX];
	size_t rest_length = 0;
	const char *wrong;

	ret_request->parts = NULL;
	ret_request->count = 0;
	if (length == 0 || length > RECORDER_PACKET_MAX)
		return malformed(err, "its length");
	wrong = find_records(packet, length, ret_request, rest, &rest_length);
	if (wrong)
		return malformed(err, wrong);
	ret_request->parts =
		message_read(&berm__wire__recorder_request__descriptor, rest, rest_length, BOUNDS);
	if (!ret_request->parts)
		return malformed(err, "its form");
	wrong = wrong_request(ret_request);
	if (wrong) {
		malformed(err, wrong);
		recorder_request_free(ret_request);
		return -EPROTO;
	}
	return 0;
}

void recorder_request_free(struct recorder_request *request)
{
	if (request->parts)
		berm__wire__recorder_request__free_unpacked(request->parts, NULL);
	request->parts = NULL;
	request->count = 0;
}

int recorder_record_read(const ProtobufCBinaryData *bytes, bool by_act,
	struct record_part *ret_part, enum record_ring *ret_ring, struct error *err)
{
	struct record_part part = {0};

	/* What stands in the log must have the one form that verifiers take: no unknown field,
	 * however deep. */
	if (!record_part_read(bytes->data, bytes->len, &part))
		return malformed(err, "a record is not canonical");
	if (!recorder_body_is_allowed((Berm__Wire__Record__BodyCase)part.body, by_act, ret_ring))
		return malformed(err, by_act ? "a record that only a run makes"
					     : "a record that a run does not make");
	*ret_part = part;
	return 0;
}

int recorder_reply_read(const uint8_t *packet, size_t length, struct recorder_reply *ret_reply)
{
	Berm__Wire__RecorderReply *reply = NULL;

	if (length > 0 && length <= RECORDER_REPLY_MAX)
		reply = message_read(
			&berm__wire__recorder_reply__descriptor, packet, length, BOUNDS);
	if (!reply)
		return -EPROTO;
	*ret_reply = (struct recorder_reply){.begun = reply->begun,
		.durable = reply->durable,
		/* An errno that is none would read as success, or as no error at all. */
		.error = reply->error == 0 ? 0 : -EIO};
	if (reply->error > 0 && reply->error < 4096)
		ret_reply->error = -reply->error;
	snprintf(ret_reply->reason, sizeof(ret_reply->reason), "%s", reply->reason);
	if (reply->version != RECORDER_VERSION && !reply->error) {
		ret_reply->error = -EPROTO;
		snprintf(ret_reply->reason, sizeof(ret_reply->reason),
			"the recorder speaks another version of the protocol");
	}
	berm__wire__recorder_reply__free_unpacked(reply, NULL);
	return 0;
}

size_t recorder_reply_write(
	const struct recorder_reply *reply, uint8_t ret_packet[RECORDER_REPLY_MAX])
{
	Berm__Wire__RecorderReply message;
	char reason[ERROR_TEXT_MAX];

	berm__wire__recorder_reply__init(&message);
	snprintf(reason, sizeof(reason), "%s", reply->reason);
	message.version = RECORDER_VERSION;
	message.begun = reply->begun;
	message.durable = reply->durable;
	message.error = -reply->error;
	message.reason = reason;
	return berm__wire__recorder_reply__pack(&message, ret_packet);
}
