/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-client-internal.h"

#include <string.h>

/* What one packet may hold beside its records. */
#define PACKET_ROOM (RECORDER_PACKET_MAX - 4096U)
#define KEPT_OVERHEAD sizeof(struct kept)

static void push(struct recorder_client *c, struct kept *kept)
{
	kept->number = c->number + 1;
	c->number += kept->count;
	if (c->last)
		c->last->next = kept;
	else
		c->first = kept;
	c->last = kept;
	if (!c->unsent)
		c->unsent = kept;
}

void kept_add_lost(
	struct recorder_client *c, enum record_ring ring, unsigned source, uint64_t count)
{
	struct kept *last = c->last, *kept;

	if (count == 0)
		return;
	c->lost += count;
	/* One entry for a flood: the last one, where it was not sent yet. */
	if (last && c->unsent && last->source == source && last->ring == ring) {
		last->count += count;
		c->number += count;
		return;
	}
	kept = calloc(1, sizeof(*kept));
	/* Without memory for a few bytes nothing can be told; the recorder notices that a number is
	 * missing and refuses, which is the run's end or as the profile says. */
	if (!kept) {
		c->number += count;
		return;
	}
	kept->ring = ring;
	kept->source = source;
	kept->count = count;
	push(c, kept);
}

static bool has_room(const struct recorder_client *c, enum record_ring ring, size_t bytes)
{
	if (ring == RECORD_RING_ACTIVITY &&
		c->kept_activity_bytes + bytes > RECORDER_KEPT_ACTIVITY_BYTES)
		return false;
	return c->kept_bytes + bytes <= RECORDER_KEPT_BYTES;
}

bool kept_add(struct recorder_client *c, enum record_ring ring, const Berm__Wire__Record *record)
{
	size_t length = berm__wire__record__get_packed_size(record);
	struct kept *kept;

	if (length > RECORDER_RECORD_MAX) {
		kept_add_lost(c, ring, BERM__WIRE__LOSS_SOURCE__LOSS_TOO_LARGE, 1);
		return false;
	}
	kept = has_room(c, ring, length + KEPT_OVERHEAD) ? malloc(sizeof(*kept) + length) : NULL;
	if (!kept) {
		kept_add_lost(c, ring, BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE, 1);
		return false;
	}
	*kept = (struct kept){.ring = ring, .count = 1, .length = length};
	berm__wire__record__pack(record, kept->bytes);
	c->kept_bytes += length + KEPT_OVERHEAD;
	if (ring == RECORD_RING_ACTIVITY)
		c->kept_activity_bytes += length + KEPT_OVERHEAD;
	push(c, kept);
	return true;
}

static void drop_first(struct recorder_client *c)
{
	struct kept *kept = c->first;

	c->first = kept->next;
	if (!c->first)
		c->last = NULL;
	if (c->unsent == kept)
		c->unsent = kept->next;
	if (!kept->source) {
		c->kept_bytes -= kept->length + KEPT_OVERHEAD;
		if (kept->ring == RECORD_RING_ACTIVITY)
			c->kept_activity_bytes -= kept->length + KEPT_OVERHEAD;
	}
	free(kept);
}

void kept_release(struct recorder_client *c, uint64_t durable)
{
	/* Nothing that was not sent can be on the disk, whatever the other end says. */
	while (c->first && c->first != c->unsent &&
		c->first->number + c->first->count - 1 <= durable) {
		c->durable = c->first->number + c->first->count - 1;
		drop_first(c);
	}
}

void kept_free(struct recorder_client *c)
{
	while (c->first)
		drop_first(c);
}

static void fill_begin(const struct recorder_client *c, Berm__Wire__RecorderBegin *begin)
{
	static char empty[] = "";
	const struct record_run_info *info = &c->options.info;

	begin->run = (char *)(uintptr_t)info->run;
	begin->agent = info->agent_id ? (char *)(uintptr_t)info->agent_id : empty;
	begin->group = info->group ? (char *)(uintptr_t)info->group : empty;
	begin->enforcement = info->enforcement;
	begin->told = c->durable;
	begin->act = c->options.act;
	if (info->profile_digest)
		begin->profile_digest = (ProtobufCBinaryData){
			RECORDER_DIGEST_BYTES, (uint8_t *)(uintptr_t)info->profile_digest};
}

/* As many records as fit, in order; a loss can only be the first. */
static struct kept *fill_records(
	struct recorder_client *c, Berm__Wire__RecorderRequest *request, ProtobufCBinaryData *rows)
{
	struct kept *kept = c->unsent;
	size_t bytes = 0;

	while (kept && !kept->source && request->n_records < RECORDER_BATCH_MAX &&
		(request->n_records == 0 || bytes + kept->length + 8 <= PACKET_ROOM)) {
		rows[request->n_records++] = (ProtobufCBinaryData){kept->length, kept->bytes};
		bytes += kept->length + 8;
		kept = kept->next;
	}
	request->records = rows;
	return kept;
}

size_t kept_next_packet(struct recorder_client *c, struct kept **ret_next)
{
	ProtobufCBinaryData rows[RECORDER_BATCH_MAX];
	Berm__Wire__RecorderRequest request;
	Berm__Wire__RecorderBegin begin;
	Berm__Wire__RecorderLost lost;
	struct kept *next = c->unsent;

	berm__wire__recorder_request__init(&request);
	berm__wire__recorder_begin__init(&begin);
	berm__wire__recorder_lost__init(&lost);
	request.version = RECORDER_VERSION;
	if (!c->begin_sent) {
		fill_begin(c, &begin);
		request.begin = &begin;
	}
	if (next) {
		request.number = next->number;
		if (next->source) {
			lost.ring = next->ring;
			lost.source = next->source;
			lost.count = next->count;
			request.lost = &lost;
			next = next->next;
		} else {
			next = fill_records(c, &request, rows);
		}
	}
	if (c->ending && !next) {
		request.flush = request.end = true;
		request.close = c->close_too;
	}
	*ret_next = next;
	if (!request.begin && !request.number && (!request.end || c->end_sent))
		return 0;
	return berm__wire__recorder_request__pack(&request, c->packet);
}
