/* SPDX-License-Identifier: Apache-2.0 */
#include "record/unpack.h"
#include "record/verify-internal.h"

#include <string.h>

#define SEGMENT_HEAD BERM__WIRE__RECORD__BODY_SEGMENT_HEAD
#define SEAL BERM__WIRE__RECORD__BODY_SEAL
#define OPENED BERM__WIRE__RECORD__BODY_OPENED
#define RETENTION BERM__WIRE__RECORD__BODY_RETENTION

static bool is_bytes(protobuf_c_boolean has, const ProtobufCBinaryData *data, size_t length)
{
	return has && data->len == length;
}

/* What is right of the record itself: its hash and its form. */
static enum verify_reason look_at(
	struct verifier *v, const struct frame *frame, struct record_view *ret_view)
{
	if (!frame_hash_matches(v->options->pin->log_id, frame))
		return VERIFY_HASH;
	if (!record_view_read(frame->record, frame->record_length, ret_view))
		return VERIFY_RECORD;
	return VERIFY_GOOD;
}

static enum verify_reason check_anchor(struct verifier *v, const struct frame *frame)
{
	const struct log_head *anchor = v->options->anchor;

	if (!anchor || v->sequence != anchor->sequence)
		return VERIFY_GOOD;
	if (v->segment != anchor->segment ||
		memcmp(frame->hash, anchor->hash, CHAIN_HASH_BYTES) != 0)
		return VERIFY_ANCHOR;
	v->result.anchored = true;
	return VERIFY_GOOD;
}

static void count(struct verifier *v, const struct frame *frame, const struct record_view *view)
{
	v->sequence = view->sequence;
	v->boot_ns = view->boot_ns;
	memcpy(v->hash, frame->hash, CHAIN_HASH_BYTES);
	v->result.records++;
	v->result.bytes += frame->length;
}

static int tell(struct verifier *v, const struct frame *frame, const struct record_view *view)
{
	const struct verify_options *o = v->options;

	/* What is read again is told once. */
	if (view->sequence <= v->told)
		return 0;
	v->told = view->sequence;
	return o->each ? o->each(o->data, v->segment, frame, view) : 0;
}

/* How this segment is joined to the one before it. */
static enum verify_reason check_joint(struct verifier *v, const Berm__Wire__SegmentHead *head,
	uint64_t sequence, const uint8_t *previous_hash)
{
	static const uint8_t zero[CHAIN_HASH_BYTES];
	const struct log_head *anchor = v->options->anchor;
	bool abandoned = head->has_abandoned && head->abandoned;
	bool same_end = head->previous_end == v->end.offset &&
			memcmp(previous_hash, v->end.hash, CHAIN_HASH_BYTES) == 0 &&
			sequence == v->end.sequence + 1;
	bool same_key = head->seal_epoch == v->seal_epoch &&
			memcmp(head->seal_public_key.data, v->seal_key, PUBLIC_KEY_BYTES) == 0;

	if (v->segment == 1)
		return head->previous_end == 0 && sequence == 1 && head->seal_epoch == 1 &&
				       !abandoned && memcmp(previous_hash, zero, sizeof(zero)) == 0
			       ? VERIFY_GOOD
			       : VERIFY_HEAD;
	/* But for abandoned ones, the one before must end with the seal that ends a segment. */
	if (same_end && same_key)
		return v->segment_size == v->end.offset && (abandoned || v->end.rotated)
			       ? VERIFY_GOOD
			       : VERIFY_HEAD;
	/* Only the head of the one before is left: whether that was allowed is seen at the end. */
	if (v->end.is_head && v->segment_size == v->end.offset && sequence > v->end.sequence &&
		head->previous_end > v->end.offset && head->seal_epoch >= v->seal_epoch) {
		v->stub = v->segment - 1;
		v->result.removed_segments++;
		if (anchor && anchor->segment == v->stub && anchor->sequence > v->end.sequence &&
			anchor->sequence < sequence)
			v->anchor_in_stub = true;
		return VERIFY_GOOD;
	}
	return VERIFY_HEAD;
}

static enum verify_reason check_head(struct verifier *v, const Berm__Wire__SegmentHead *head,
	uint64_t sequence, const uint8_t *previous_hash)
{
	enum verify_reason reason;

	if (!head->has_version || head->version != 1 ||
		!is_bytes(head->has_log_id, &head->log_id, LOG_ID_BYTES) || !head->has_segment ||
		!head->has_previous_end || !head->has_seal_epoch || !head->has_seal_records ||
		head->seal_records == 0 ||
		!is_bytes(head->has_seal_public_key, &head->seal_public_key, PUBLIC_KEY_BYTES) ||
		!is_bytes(head->has_next_head_public_key, &head->next_head_public_key,
			PUBLIC_KEY_BYTES))
		return VERIFY_HEAD;
	if (memcmp(head->log_id.data, v->options->pin->log_id, LOG_ID_BYTES) != 0)
		return VERIFY_FOREIGN;
	if (head->segment != v->segment)
		return VERIFY_HEAD;
	reason = check_joint(v, head, sequence, previous_hash);
	if (reason != VERIFY_GOOD)
		return reason;
	v->seal_epoch = head->seal_epoch;
	v->seal_records = head->seal_records;
	memcpy(v->seal_key, head->seal_public_key.data, PUBLIC_KEY_BYTES);
	memcpy(v->head_key, head->next_head_public_key.data, PUBLIC_KEY_BYTES);
	return VERIFY_GOOD;
}

static void set_end(
	struct verifier *v, const struct frame *frame, uint64_t offset, uint64_t sequence)
{
	v->end = (struct signed_end){.offset = offset + frame->length, .sequence = sequence};
	memcpy(v->end.hash, frame->hash, CHAIN_HASH_BYTES);
	v->since_seal = 0;
	v->result.closed = false;
	v->result.sealed_segment = v->segment;
	v->result.sealed_offset = v->end.offset;
	v->result.sealed_sequence = sequence;
}

enum verify_reason verifier_head(
	struct verifier *v, const struct frame *frame, const uint8_t *previous_hash)
{
	struct record_view view;
	struct unpack_room room;
	Berm__Wire__SegmentHead *head;
	enum verify_reason reason = look_at(v, frame, &view);

	if (reason != VERIFY_GOOD)
		return reason;
	if (view.body != SEGMENT_HEAD)
		return VERIFY_KIND;
	if (!frame_is_signed_by(frame, SIGNED_HEAD, v->options->pin->log_id, v->head_key))
		return VERIFY_HEAD_KEY;
	head = unpack_small(
		&room, &berm__wire__segment_head__descriptor, view.body_bytes, view.body_length);
	reason = head ? check_head(v, head, view.sequence, previous_hash) : VERIFY_RECORD;
	if (reason != VERIFY_GOOD)
		return reason;
	count(v, frame, &view);
	set_end(v, frame, SEGMENT_HEADER_BYTES, view.sequence);
	v->end.is_head = true;
	return check_anchor(v, frame);
}

bool verifier_abandons(const struct verifier *v, const struct frame *frame, uint64_t *ret_end)
{
	struct record_view view;
	struct unpack_room room;
	Berm__Wire__SegmentHead *head;

	if (!record_view_read(frame->record, frame->record_length, &view) ||
		view.body != SEGMENT_HEAD)
		return false;
	head = unpack_small(
		&room, &berm__wire__segment_head__descriptor, view.body_bytes, view.body_length);
	if (!head || !head->has_abandoned || !head->abandoned || !head->has_previous_end ||
		!frame_is_signed_by(frame, SIGNED_HEAD, v->options->pin->log_id, v->head_key))
		return false;
	*ret_end = head->previous_end;
	return true;
}

static enum verify_reason check_seal(struct verifier *v, const struct frame *frame,
	const struct record_view *view, uint64_t offset)
{
	struct unpack_room room;
	Berm__Wire__Seal *seal;
	bool fits;

	if (!frame_is_signed_by(frame, SIGNED_SEAL, v->options->pin->log_id, v->seal_key))
		return VERIFY_SEAL_KEY;
	seal = unpack_small(
		&room, &berm__wire__seal__descriptor, view->body_bytes, view->body_length);
	fits = seal && seal->has_epoch && seal->epoch == v->seal_epoch && seal->has_reason &&
	       seal->has_records && seal->records == v->since_seal &&
	       is_bytes(seal->has_next_public_key, &seal->next_public_key, PUBLIC_KEY_BYTES);
	if (fits) {
		memcpy(v->seal_key, seal->next_public_key.data, PUBLIC_KEY_BYTES);
		v->seal_epoch++;
		v->removed_through = v->removed_told;
		v->result.seals++;
		set_end(v, frame, offset, view->sequence);
		v->end.closing = seal->reason == BERM__WIRE__SEAL_REASON__SEAL_CLOSE ||
				 seal->reason == BERM__WIRE__SEAL_REASON__SEAL_TROUBLE;
		v->end.rotated = seal->reason == BERM__WIRE__SEAL_REASON__SEAL_ROTATION;
		v->result.closed = v->end.closing;
	}
	return fits ? VERIFY_GOOD : VERIFY_SEAL;
}

static enum verify_reason check_retention(struct verifier *v, const struct record_view *view)
{
	struct unpack_room room;
	Berm__Wire__Retention *retention = unpack_small(
		&room, &berm__wire__retention__descriptor, view->body_bytes, view->body_length);

	if (!retention)
		return VERIFY_RECORD;
	/* Never the segment that says so, and not before it is sealed. */
	if (retention->has_removed_through && retention->removed_through < v->segment &&
		retention->removed_through > v->removed_told)
		v->removed_told = retention->removed_through;
	return VERIFY_GOOD;
}

/* The place of a record in the order of things. */
static enum verify_reason check_order(
	const struct verifier *v, const struct frame *frame, const struct record_view *view)
{
	bool right_after_end = v->since_seal == 0;

	if (view->sequence != v->sequence + 1)
		return VERIFY_SEQUENCE;
	if ((frame->kind == FRAME_SIGNED) != (view->body == SEAL) || view->body == SEGMENT_HEAD)
		return VERIFY_KIND;
	if (right_after_end && v->end.rotated)
		return VERIFY_KIND;
	if (right_after_end && v->end.closing && view->body != OPENED)
		return VERIFY_KIND;
	/* Another boot begins another clock. */
	if (view->boot_ns < v->boot_ns && view->body != OPENED)
		return VERIFY_CLOCK;
	return VERIFY_GOOD;
}

enum verify_reason verifier_frame(
	struct verifier *v, const struct frame *frame, uint64_t offset, int *ret_told)
{
	struct record_view view;
	enum verify_reason reason = look_at(v, frame, &view);

	if (reason == VERIFY_GOOD)
		reason = check_order(v, frame, &view);
	if (reason != VERIFY_GOOD)
		return reason;
	if (view.body == SEAL) {
		reason = check_seal(v, frame, &view, offset);
		if (reason != VERIFY_GOOD)
			return reason;
	} else if (++v->since_seal > v->seal_records + UNSEALED_SLACK) {
		return VERIFY_NOT_SEALED;
	} else {
		v->result.closed = false;
		if (view.body == RETENTION)
			reason = check_retention(v, &view);
		if (reason != VERIFY_GOOD)
			return reason;
	}
	count(v, frame, &view);
	*ret_told = tell(v, frame, &view);
	return check_anchor(v, frame);
}
