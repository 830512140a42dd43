/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-server-internal.h"

#include "base/failpoint.h"

#include <string.h>

/* The run's berm is gone without a word: the log says so in its place. */
static void tell_end(struct recorder_server *s, struct client *client)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd end = BERM__WIRE__RUN_END__INIT;
	char outcome[] = "killed", reason[] = "berm ended without a receipt";

	end.outcome = outcome;
	end.reason = reason;
	end.has_lost = true;
	end.lost = recorder_run_lost(client->run);
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &end;
	(void)!recorder_append(s->options.recorder, client->run, RECORD_RING_DECISIONS, &record);
}

void server_end_run(struct recorder_server *s, struct client *client)
{
	if (!client->run)
		return;
	if (!client->has_end && !client->is_act)
		tell_end(s, client);
	failpoint("server.run-ended");
	recorder_run_end(s->options.recorder, client->run);
	client->run = NULL;
}

static int begin(struct recorder_server *s, struct client *client,
	const Berm__Wire__RecorderBegin *asked, struct error *err)
{
	const struct record_run_info info = {
		.agent_id = asked->agent[0] ? asked->agent : NULL,
		.run = asked->run,
		.group = asked->group[0] ? asked->group : NULL,
		.profile_digest = asked->profile_digest.len ? asked->profile_digest.data : NULL,
		.enforcement = asked->enforcement,
		.sequence = asked->told,
	};
	int r;

	if (client->begun)
		return error_set(err, -EPROTO, ERROR_INPUT, "this run has begun already");
	for (unsigned i = 0; i < s->highest; i++)
		if (s->clients[i].run && strcmp(s->clients[i].run_id, asked->run) == 0)
			return error_set(err, -EEXIST, ERROR_REFUSED,
				"somebody else records the run %s", asked->run);
	r = recorder_run_begin(s->options.recorder, &info, &client->run, err);
	if (r < 0)
		return error_set(err, r == -EAGAIN ? -EUSERS : r, ERROR_INTERNAL, "%s", err->text);
	snprintf(client->run_id, sizeof(client->run_id), "%s", asked->run);
	recorder_run_phase(client->run, asked->phase);
	client->begun = true;
	client->is_act = asked->act;
	client->number = client->committed = client->durable = asked->told;
	server_answer(client, &(struct recorder_reply){.begun = true});
	return 0;
}

/* A record with something that the recorder knows better than the run, or has to know. */
static int append_known(struct recorder_server *s, struct client *client, enum record_ring ring,
	const struct record_part *part, struct error *err)
{
	Berm__Wire__Record *record = berm__wire__record__unpack(NULL, part->length, part->bytes);
	int r;

	if (!record)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory for a record");
	if (part->body == BERM__WIRE__RECORD__BODY_RUN_END) {
		client->has_end = true;
		record->run_end->has_lost = true;
		record->run_end->lost = recorder_run_lost(client->run);
	}
	r = recorder_append(s->options.recorder, client->run, ring, record);
	if (part->body == BERM__WIRE__RECORD__BODY_PHASE_CHANGE)
		recorder_run_phase(client->run, record->phase_change->after);
	berm__wire__record__free_unpacked(record, NULL);
	return r;
}

static int append(struct recorder_server *s, struct client *client,
	const ProtobufCBinaryData *bytes, struct error *err)
{
	enum record_ring ring = RECORD_RING_DECISIONS;
	struct record_part part = {0};
	int r = recorder_record_read(bytes, client->is_act, &part, &ring, err);

	if (r < 0)
		return r;
	if (client->has_end)
		return error_set(err, -EPROTO, ERROR_INPUT, "a record after the run's receipt");
	if (part.body == BERM__WIRE__RECORD__BODY_RUN_END ||
		part.body == BERM__WIRE__RECORD__BODY_PHASE_CHANGE)
		r = append_known(s, client, ring, &part, err);
	else
		r = recorder_append_part(s->options.recorder, client->run, ring, &part);
	if (r == -ENOMEM)
		return r;
	client->number++;
	/* No room or too large: counted by the recorder, and declared before the next one. A
	 * recorder that failed says so when it commits. */
	return r == -EIO ? error_set(err, r, ERROR_INTERNAL, "the recorder has failed") : 0;
}

static int take_told(struct recorder_server *s, struct client *client,
	const struct recorder_request *told, struct error *err)
{
	const Berm__Wire__RecorderRequest *request = told->parts;
	int r = 0;

	if (!client->run)
		return error_set(err, -EPROTO, ERROR_INPUT, "records of no run");
	if (request->number != client->number + 1)
		return error_set(err, -EPROTO, ERROR_INPUT, "records that do not follow");
	if (request->lost) {
		const Berm__Wire__RecorderLost *lost = request->lost;

		recorder_lost(s->options.recorder, client->run, (enum record_ring)lost->ring,
			(Berm__Wire__LossSource)lost->source, lost->count);
		client->number += lost->count;
		if (client->number > RECORDER_NUMBER_MAX)
			return error_set(err, -EPROTO, ERROR_INPUT, "a number out of range");
	}
	for (size_t i = 0; i < told->count && r == 0; i++)
		r = append(s, client, &told->records[i], err);
	return r;
}

int server_take(struct recorder_server *s, struct client *client,
	const struct recorder_request *told, struct error *err)
{
	const Berm__Wire__RecorderRequest *request = told->parts;
	int r = 0;

	if (client->ended)
		return error_set(err, -EPROTO, ERROR_INPUT, "a request after the end");
	if (request->begin)
		r = begin(s, client, request->begin, err);
	if (r == 0 && request->number)
		r = take_told(s, client, told, err);
	if (r < 0)
		return r;
	client->waits |= request->flush || request->end;
	if (request->end) {
		server_end_run(s, client);
		client->ended = true;
	}
	s->close_asked |= request->close;
	return 0;
}
