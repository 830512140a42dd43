/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-wire.h"

#include "daemon/run-id.h"
#include "record/canonical.h"
#include "wire/effects.h"

#include <string.h>

/* What the log says about itself (heads, seals, losses …) is the recorder's alone. */
static const struct {
	Berm__Wire__Record__BodyCase body;
	enum record_ring ring;
} bodies[] = {
	{BERM__WIRE__RECORD__BODY_RUN_START, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_RUN_END, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_DENIAL, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_TRIP, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_POSTURE_CHANGE, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_PHASE_CHANGE, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_APPROVAL, RECORD_RING_DECISIONS},
	{BERM__WIRE__RECORD__BODY_EXEC, RECORD_RING_ACTIVITY},
	{BERM__WIRE__RECORD__BODY_FILE, RECORD_RING_ACTIVITY},
	{BERM__WIRE__RECORD__BODY_NETWORK, RECORD_RING_ACTIVITY},
};

bool recorder_body_is_allowed(Berm__Wire__Record__BodyCase body, enum record_ring *ret_ring)
{
	for (size_t i = 0; i < array_size(bodies); i++) {
		if (bodies[i].body == body) {
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

static const char *wrong_request(const Berm__Wire__RecorderRequest *r)
{
	bool tells = r->lost || r->n_records > 0;

	if (has_unknown(&r->base))
		return "an unknown field";
	if (r->version != RECORDER_VERSION)
		return "another version of the protocol; end the runs of the other berm first";
	if (r->n_records > RECORDER_BATCH_MAX)
		return "too many records at once";
	if (tells != (r->number > 0) || r->number > RECORDER_NUMBER_MAX)
		return "records without a number, or a number without records";
	if (r->close && !r->end)
		return "a close without an end";
	for (size_t i = 0; i < r->n_records; i++)
		if (r->records[i].len == 0 || r->records[i].len > RECORDER_RECORD_MAX)
			return "a record of no good length";
	if (r->begin && wrong_begin(r->begin))
		return wrong_begin(r->begin);
	return r->lost ? wrong_lost(r->lost) : NULL;
}

int recorder_request_read(const uint8_t *packet, size_t length,
	Berm__Wire__RecorderRequest **ret_request, struct error *err)
{
	Berm__Wire__RecorderRequest *request = NULL;
	const char *wrong;

	if (length == 0 || length > RECORDER_PACKET_MAX)
		return malformed(err, "its length");
	request = berm__wire__recorder_request__unpack(NULL, length, packet);
	if (!request)
		return malformed(err, "its form");
	wrong = wrong_request(request);
	if (wrong) {
		malformed(err, wrong);
		recorder_request_free(request);
		return -EPROTO;
	}
	*ret_request = request;
	return 0;
}

void recorder_request_free(Berm__Wire__RecorderRequest *request)
{
	if (request)
		berm__wire__recorder_request__free_unpacked(request, NULL);
}

int recorder_record_read(const ProtobufCBinaryData *bytes, Berm__Wire__Record **ret_record,
	enum record_ring *ret_ring, struct error *err)
{
	Berm__Wire__Record *record;

	/* What is packed again must be the one form that verifiers take: no unknown field, however
	 * deep. */
	if (!canonical_is(&berm__wire__record__descriptor, bytes->data, bytes->len))
		return malformed(err, "a record is not canonical");
	record = berm__wire__record__unpack(NULL, bytes->len, bytes->data);
	if (!record)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a record");
	if (!recorder_body_is_allowed(record->body_case, ret_ring)) {
		berm__wire__record__free_unpacked(record, NULL);
		return malformed(err, "a record that a run does not make");
	}
	*ret_record = record;
	return 0;
}

int recorder_reply_read(const uint8_t *packet, size_t length, struct recorder_reply *ret_reply)
{
	Berm__Wire__RecorderReply *reply = NULL;

	if (length > 0 && length <= RECORDER_REPLY_MAX)
		reply = berm__wire__recorder_reply__unpack(NULL, length, packet);
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
