/* SPDX-License-Identifier: Apache-2.0 */
#include "record/verify.h"

#include "record/verify-internal.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>

/* More than any head takes as a frame. */
#define HEAD_FRAME_MAX 8192
/* Times, where somebody writes. */
#define READ_AGAIN 3
#define LOOK_AGAIN 100

struct reason_words {
	const char *word;
	const char *text;
};

/* clang-format off */
static const struct reason_words reasons[VERIFY_REASON_COUNT] = {
	[VERIFY_GOOD]            = {"good", "everything is as it was recorded"},
	[VERIFY_NO_LOG]          = {"no_log", "there is no log here"},
	[VERIFY_SEGMENT_MISSING] = {"segment_missing", "this segment is not there"},
	[VERIFY_SEGMENT_HEADER]  = {"segment_header", "the file does not begin as this segment does"},
	[VERIFY_FOREIGN]         = {"foreign", "it belongs to another log"},
	[VERIFY_FRAME]           = {"frame", "these bytes are no record"},
	[VERIFY_CUT]             = {"cut", "the segment ends within this record"},
	[VERIFY_HASH]            = {"hash", "the record was changed, or another one stood before it"},
	[VERIFY_RECORD]          = {"record", "the record is not in its one canonical form"},
	[VERIFY_SEQUENCE]        = {"sequence", "the record does not have the number that comes next"},
	[VERIFY_CLOCK]           = {"clock", "the boot clock went back"},
	[VERIFY_KIND]            = {"kind", "another kind of record must stand here"},
	[VERIFY_HEAD_KEY]        = {"head_key", "the segment's head is not signed with the key that must sign it"},
	[VERIFY_HEAD]            = {"head", "the segment's head does not follow from what is before it"},
	[VERIFY_SEAL_KEY]        = {"seal_key", "the seal is not signed with the key that must sign it"},
	[VERIFY_SEAL]            = {"seal", "the seal does not tell of the records before it"},
	[VERIFY_NOT_SEALED]      = {"not_sealed", "there are more records without a seal than the recorder ever leaves"},
	[VERIFY_NOT_CLOSED]      = {"not_closed", "the log has no closing seal at its end and nobody is writing it"},
	[VERIFY_ENDS_EARLY]      = {"ends_early", "the log ends before a record that was anchored"},
	[VERIFY_ANCHOR]          = {"anchor", "another record was anchored under this number"},
	[VERIFY_REMOVED]         = {"removed", "the segment's records are gone and no retention record says so"},
};
/* clang-format on */

const char *verify_reason_word(enum verify_reason reason)
{
	return reasons[reason].word;
}

const char *verify_reason_text(enum verify_reason reason)
{
	return reasons[reason].text;
}

static void fail(struct verifier *v, enum verify_reason reason, uint64_t offset)
{
	v->failed = true;
	v->result.reason = reason;
	v->result.segment = v->segment;
	v->result.sequence = v->sequence + 1;
	v->result.offset = offset;
}

/* The header and the head. */
static int begin_segment(struct verifier *v, struct segment_reader *r)
{
	enum verify_reason reason = VERIFY_CUT;
	struct segment_header header;
	enum frame_status status;
	struct frame frame;
	int result = segment_reader_fill(r);

	if (result < 0)
		return result;
	if (r->filled < SEGMENT_HEADER_BYTES || !segment_header_read(r->window, &header) ||
		header.segment != v->segment) {
		reason = VERIFY_SEGMENT_HEADER;
	} else if (memcmp(header.log_id, v->options->pin->log_id, LOG_ID_BYTES) != 0) {
		reason = VERIFY_FOREIGN;
	} else {
		r->at = SEGMENT_HEADER_BYTES;
		result = segment_reader_frame(r, &frame, &status);
		if (result < 0)
			return result;
		if (status == FRAME_BAD)
			reason = VERIFY_FRAME;
		if (status == FRAME_WHOLE)
			reason = verifier_head(v, &frame, header.previous_hash);
		if (reason == VERIFY_GOOD)
			r->at += frame.length;
	}
	if (reason != VERIFY_GOOD)
		fail(v, reason, r->at);
	return 0;
}

/* Where the next segment's head says that this one was abandoned, read no further than it says:
 * what follows is under no seal and never will be, so anybody may have written it. */
static void leave_abandoned(struct verifier *v, struct segment_reader *r)
{
	const struct storage *s = v->options->storage;
	uint8_t bytes[SEGMENT_HEADER_BYTES + HEAD_FRAME_MAX];
	char name[SEGMENT_NAME_BYTES];
	struct frame frame;
	uint64_t end;
	ssize_t n;
	int file;

	segment_name(v->segment + 1, name);
	file = s->ops->open(s->context, v->options->dir, name, O_RDONLY, 0);
	/* Told when it is that segment's turn. */
	if (file < 0)
		return;
	n = s->ops->read(s->context, file, bytes, sizeof(bytes), 0);
	s->ops->close(s->context, file);
	if (n < SEGMENT_HEADER_BYTES ||
		frame_read(bytes + SEGMENT_HEADER_BYTES, (size_t)n - SEGMENT_HEADER_BYTES,
			&frame) != FRAME_WHOLE ||
		!verifier_abandons(v, &frame, &end) || end < segment_reader_offset(r) ||
		end >= r->size)
		return;
	v->result.abandoned_bytes += r->size - end;
	r->size = end;
	if (r->filled > end - r->start)
		r->filled = end - r->start;
}

/* The rest; what is wrong is left in v->result. */
static int rest_of_segment(struct verifier *v, struct segment_reader *r, bool last)
{
	for (;;) {
		enum verify_reason reason;
		enum frame_status status;
		struct frame frame;
		int told = 0, result = segment_reader_frame(r, &frame, &status);

		if (result < 0)
			return result;
		if (segment_reader_offset(r) == r->size)
			return 0;
		if (status == FRAME_SHORT && last && v->options->live) {
			v->result.torn_bytes = r->size - segment_reader_offset(r);
			return 0;
		}
		reason = status == FRAME_SHORT ? VERIFY_CUT
			 : status == FRAME_BAD
				 ? VERIFY_FRAME
				 : verifier_frame(v, &frame, segment_reader_offset(r), &told);
		if (reason != VERIFY_GOOD) {
			fail(v, reason, segment_reader_offset(r));
			return 0;
		}
		if (told < 0)
			return told;
		r->at += frame.length;
	}
}

/* *ret_shrank: somebody made the file shorter meanwhile. */
static int verify_segment(struct verifier *v, bool last, bool *ret_shrank)
{
	const struct storage *s = v->options->storage;
	struct segment_reader r = {.storage = s, .window = v->window};
	char name[SEGMENT_NAME_BYTES];
	struct storage_stat st = {0}, now;
	int result;

	segment_name(v->segment, name);
	r.file = s->ops->open(s->context, v->options->dir, name, O_RDONLY, 0);
	if (r.file == -ENOENT)
		fail(v, VERIFY_SEGMENT_MISSING, 0);
	if (storage_is_no_file(r.file))
		fail(v, VERIFY_SEGMENT_HEADER, 0);
	if (r.file < 0)
		return v->failed ? 0 : r.file;
	result = s->ops->stat(s->context, r.file, &st);
	if (storage_is_no_file(result)) {
		fail(v, VERIFY_SEGMENT_HEADER, 0);
		result = 0;
	}
	r.size = st.size;
	if (result == 0 && !v->failed)
		result = begin_segment(v, &r);
	if (result == 0 && !v->failed && !last)
		leave_abandoned(v, &r);
	if (result == 0 && !v->failed) {
		v->result.segments++;
		result = rest_of_segment(v, &r, last);
		v->segment_size = r.size;
	}
	*ret_shrank = false;
	if (result == 0 && v->options->live && s->ops->stat(s->context, r.file, &now) == 0)
		*ret_shrank = now.size < st.size;
	s->ops->close(s->context, r.file);
	return result;
}

static int find_last(void *data, const char *name)
{
	uint64_t *last = data, number = segment_number(name);

	if (number > *last)
		*last = number;
	return 0;
}

/* All segments were read: what only the end can tell. */
static void conclude(struct verifier *v)
{
	const struct log_head *anchor = v->options->anchor;
	struct verify_result *r = &v->result;

	if (v->failed)
		return;
	r->segment = v->segment;
	r->sequence = v->sequence;
	r->offset = v->segment_size - r->torn_bytes;
	r->unsealed_records = v->since_seal;
	if (v->stub > v->removed_through) {
		r->reason = VERIFY_REMOVED;
		r->segment = v->stub;
	} else if (anchor && !r->anchored &&
		   !(v->anchor_in_stub && anchor->segment <= v->removed_through)) {
		r->reason = VERIFY_ENDS_EARLY;
	} else if (!r->closed && !v->options->live) {
		r->reason = VERIFY_NOT_CLOSED;
	} else {
		r->pass = true;
		r->beyond_anchor = anchor && r->anchored ? v->sequence - anchor->sequence : 0;
	}
}

static int list_log(const struct verify_options *o, uint64_t *ret_last, struct error *err)
{
	int r = o->storage->ops->list(o->storage->context, o->dir, find_last, ret_last);

	return r < 0 ? error_set(err, r, ERROR_INTERNAL, "list the log: %s", strerror(-r)) : 0;
}

static void go_back(struct verifier *v, const struct verifier *to)
{
	uint64_t told = v->told;

	*v = *to;
	v->told = told;
}

/* What this log lacks a writer may have put behind what was there when this began: the record that
 * says what was removed meanwhile, and the one that was anchored where its segment was. */
static bool wants_more(const struct verifier *v)
{
	const struct log_head *anchor = v->options->anchor;

	return v->options->live && (v->stub > v->removed_through ||
					   (anchor && !v->result.anchored && !v->anchor_in_stub));
}

/* Segment by segment. Under a writer one may change while it is read: its end was mended, or its
 * content removed. Then it is read again, and once more, so that what is wrong is wrong by itself.
 */
static int verify_segments(struct verifier *v, uint64_t last, struct error *err)
{
	struct verifier before = *v;
	unsigned again = 0, looked = 0;
	uint64_t seen = 0;

	while (!v->failed && v->segment < last) {
		bool shrank = false;
		int r;

		before = *v;
		v->segment++;
		r = verify_segment(v, v->segment == last, &shrank);
		if (r < 0)
			return error_set(err, r, ERROR_INTERNAL, "read segment %llu: %s",
				(unsigned long long)v->segment, strerror(-r));
		if (v->options->live && (v->failed || shrank) && again++ < READ_AGAIN) {
			go_back(v, &before);
			continue;
		}
		again = 0;
		if (v->failed || v->segment < last || !wants_more(v) || looked++ == LOOK_AGAIN ||
			v->sequence == seen)
			continue;
		seen = v->sequence;
		go_back(v, &before);
		r = list_log(v->options, &last, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int verify_log(
	const struct verify_options *options, struct verify_result *ret_result, struct error *err)
{
	struct verifier v = {.options = options};
	autofree uint8_t *window = NULL;
	const struct log_head *anchor = options->anchor;
	uint64_t last = 0;
	int r = list_log(options, &last, err);

	if (r < 0)
		return r;
	window = malloc(SEGMENT_WINDOW_BYTES);
	/* It also chooses the fast hash. */
	if (!window || sodium_init() < 0)
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to read the log");
	v.window = window;
	memcpy(v.head_key, options->pin->public_key, PUBLIC_KEY_BYTES);
	if (last == 0) {
		v.segment = 1;
		fail(&v, VERIFY_NO_LOG, 0);
	} else if (anchor && memcmp(anchor->log_id, options->pin->log_id, LOG_ID_BYTES) != 0) {
		v.segment = 1;
		fail(&v, VERIFY_FOREIGN, 0);
	}
	r = verify_segments(&v, last, err);
	if (r < 0)
		return r;
	conclude(&v);
	*ret_result = v.result;
	return 0;
}
