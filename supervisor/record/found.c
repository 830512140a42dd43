/* SPDX-License-Identifier: Apache-2.0 */
#include "record/canonical.h"
#include "record/reader.h"
#include "record/recover-internal.h"
#include "record/unpack.h"

#include <fcntl.h>
#include <string.h>

/* A seal of the present key that names the next one. */
static bool is_next_seal(const struct recorder *r, const struct frame *frame,
	const struct record_view *view, uint64_t *ret_reason)
{
	struct unpack_room room;
	Berm__Wire__Seal *seal;
	uint8_t key[PUBLIC_KEY_BYTES], next[PUBLIC_KEY_BYTES];
	bool is;

	keys_public(r->keys, SIGNED_SEAL, 0, key);
	keys_public(r->keys, SIGNED_SEAL, 1, next);
	if (view->body != BERM__WIRE__RECORD__BODY_SEAL ||
		!frame_is_signed_by(frame, SIGNED_SEAL, keys_log_id(r->keys), key))
		return false;
	seal = unpack_small(
		&room, &berm__wire__seal__descriptor, view->body_bytes, view->body_length);
	is = seal && seal->has_next_public_key && seal->next_public_key.len == sizeof(next) &&
	     memcmp(seal->next_public_key.data, next, sizeof(next)) == 0;
	*ret_reason = seal ? seal->reason : 0;
	return is;
}

/* A signed frame stands next. */
static bool take_seal(struct recorder *r, struct found *f, const struct frame *frame,
	const struct record_view *view)
{
	uint8_t next[PUBLIC_KEY_BYTES];
	uint64_t reason = 0;

	if (f->has_seal) {
		/* A second one is written only when the key file knows of the first. */
		keys_public(r->keys, SIGNED_SEAL, 1, next);
		f->is_behind = frame_is_signed_by(frame, SIGNED_SEAL, keys_log_id(r->keys), next);
		return false;
	}
	if (!is_next_seal(r, frame, view, &reason))
		return false;
	f->has_seal = true;
	f->has_retention = false;
	f->seal = (struct log_position){.segment = r->segment,
		.offset = f->at.offset + frame->length,
		.sequence = view->sequence,
		.reason = reason};
	memcpy(f->seal.hash, frame->hash, CHAIN_HASH_BYTES);
	f->at.unsealed = 0;
	f->at.reason = reason;
	return true;
}

/* What no verifier would let stand behind the last seal was not written by a recorder. */
static bool may_follow(const struct found *f, uint32_t body)
{
	bool opened = body == BERM__WIRE__RECORD__BODY_OPENED;

	switch (f->at.reason) {
	case BERM__WIRE__SEAL_REASON__SEAL_ROTATION:
		return false;
	case BERM__WIRE__SEAL_REASON__SEAL_CLOSE:
	case BERM__WIRE__SEAL_REASON__SEAL_TROUBLE:
		return opened;
	default:
		return body != BERM__WIRE__RECORD__BODY_SEAL &&
		       body != BERM__WIRE__RECORD__BODY_SEGMENT_HEAD &&
		       f->at.unsealed < f->seal_records + UNSEALED_SLACK;
	}
}

/* Take one more frame, or say that the log ends before it. */
static bool take(struct recorder *r, struct found *f, const struct frame *frame)
{
	struct record_view view;

	if (!frame_hash_matches(keys_log_id(r->keys), frame) ||
		!record_view_read(frame->record, frame->record_length, &view) ||
		view.sequence != f->at.sequence + 1)
		return false;
	if (view.boot_ns < f->at.boot_ns && view.body != BERM__WIRE__RECORD__BODY_OPENED)
		return false;
	if (frame->kind == FRAME_SIGNED) {
		if (!take_seal(r, f, frame, &view))
			return false;
	} else if (may_follow(f, view.body)) {
		/* It is always sealed together with what it says, before anything is removed. One
		 * that is not is no recorder's, and would make good what others removed. */
		if (view.body == BERM__WIRE__RECORD__BODY_RETENTION && !f->has_retention) {
			f->before_retention = f->at;
			f->has_retention = true;
		}
		f->at.unsealed++;
		f->at.reason = 0;
	} else {
		return false;
	}
	f->at.sequence = view.sequence;
	f->at.boot_ns = view.boot_ns;
	f->at.offset += frame->length;
	memcpy(f->at.hash, frame->hash, CHAIN_HASH_BYTES);
	return true;
}

/* From the sealed end on, as far as it goes. */
static int scan(struct recorder *r, struct found *f, uint8_t *window)
{
	const struct log_position *sealed = keys_position(r->keys);
	struct segment_reader reader = {.storage = r->options.storage,
		.file = r->segment_file,
		.window = window,
		.size = f->size,
		.start = sealed->offset - CHAIN_HASH_BYTES};
	enum frame_status status;
	struct frame frame;
	int error = segment_reader_fill(&reader);

	if (error < 0)
		return error;
	if (reader.filled < CHAIN_HASH_BYTES ||
		memcmp(window, sealed->hash, CHAIN_HASH_BYTES) != 0) {
		f->damage = "the sealed end is not where it was";
		return 0;
	}
	reader.at = CHAIN_HASH_BYTES;
	f->at.offset = sealed->offset;
	f->at.reason = sealed->reason;
	memcpy(f->at.hash, sealed->hash, CHAIN_HASH_BYTES);
	for (;;) {
		error = segment_reader_frame(&reader, &frame, &status);
		if (error < 0)
			return error;
		if (status != FRAME_WHOLE || !take(r, f, &frame))
			break;
		reader.at += frame.length;
	}
	if (f->has_retention)
		f->at = f->before_retention;
	return 0;
}

/* The header and the head. */
static void look_at_begin(struct recorder *r, struct found *f, const uint8_t *bytes, size_t length)
{
	struct segment_header header;
	struct unpack_room room;
	struct record_view view;
	struct frame frame;
	Berm__Wire__SegmentHead *head;

	f->seal_records = UINT32_MAX;
	if (length < SEGMENT_HEADER_BYTES || f->size < keys_position(r->keys)->offset) {
		f->damage = "the segment is shorter than it was sealed";
	} else if (!segment_header_read(bytes, &header) || header.segment != r->segment ||
		   memcmp(header.log_id, keys_log_id(r->keys), LOG_ID_BYTES) != 0) {
		f->damage = "the segment does not begin as it did";
	} else if (frame_read(bytes + SEGMENT_HEADER_BYTES, length - SEGMENT_HEADER_BYTES,
			   &frame) == FRAME_WHOLE &&
		   record_view_read(frame.record, frame.record_length, &view)) {
		f->has_begun = true;
		f->begun_wall_ns = view.timestamp;
		head = unpack_small(&room, &berm__wire__segment_head__descriptor, view.body_bytes,
			view.body_length);
		if (head && head->has_seal_records)
			f->seal_records = head->seal_records;
	}
}

static int look_at_segment(struct recorder *r, struct found *f, uint8_t *window)
{
	const struct storage *s = r->options.storage;
	struct storage_stat st;
	int error = s->ops->stat(s->context, r->segment_file, &st);
	ssize_t n;

	if (error < 0)
		return error;
	n = s->ops->read(s->context, r->segment_file, window, SEGMENT_WINDOW_BYTES, 0);
	if (n < 0)
		return (int)n;
	f->size = st.size;
	look_at_begin(r, f, window, (size_t)n);
	return f->damage ? 0 : scan(r, f, window);
}

int found_look(struct recorder *r, struct found *f, struct error *err)
{
	const struct storage *s = r->options.storage;
	const struct log_position *sealed = keys_position(r->keys);
	autofree uint8_t *window = malloc(SEGMENT_WINDOW_BYTES);
	char name[SEGMENT_NAME_BYTES];
	int error;

	if (!window)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to read the log");
	f->at.sequence = sealed->sequence;
	r->segment = sealed->segment;
	segment_name(sealed->segment, name);
	error = s->ops->open(s->context, r->options.log_dir, name, O_RDWR, 0);
	r->segment_file = error;
	if (error >= 0)
		error = look_at_segment(r, f, window);
	if (error == -ENOENT)
		f->damage = "the segment is not there";
	else if (storage_is_no_file(error))
		f->damage = "the segment is no file";
	else if (error < 0)
		return error_set(err, error, ERROR_INTERNAL, "read %s: %s", name, strerror(-error));
	if (f->is_behind)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"the key is older than the log: %s goes on behind it under later keys",
			name);
	return 0;
}
