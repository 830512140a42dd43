/* SPDX-License-Identifier: Apache-2.0 */
#include "record/cursor.h"

#include "record/unpack.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#define HEAD_ROOM 2048 /* a segment's header and its head, which is some 300 bytes */

struct found {
	uint64_t after, first, last;
};

static int find(void *data, const char *name)
{
	struct found *f = data;
	uint64_t number = segment_number(name);

	if (number > f->after && (f->first == 0 || number < f->first))
		f->first = number;
	if (number > f->last)
		f->last = number;
	return 0;
}

int cursor_segments(const struct storage *s, int dir, uint64_t after, uint64_t *ret_first,
	uint64_t *ret_last, struct error *err)
{
	struct found f = {.after = after};
	int r = s->ops->list(s->context, dir, find, &f);

	if (r < 0)
		return error_set(err, r, ERROR_INTERNAL, "list the log: %s", strerror(-r));
	*ret_first = f.first;
	*ret_last = f.last;
	return 0;
}

int cursor_open(const struct storage *s, int dir, struct cursor *ret_cursor, struct error *err)
{
	uint8_t *window = malloc(SEGMENT_WINDOW_BYTES);

	if (!window || sodium_init() < 0) {
		free(window);
		return error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to read the log");
	}
	*ret_cursor = (struct cursor){.storage = s,
		.dir = dir,
		.bound = UINT64_MAX,
		.reader = {.storage = s, .file = -1, .window = window}};
	return 0;
}

static void leave_segment(struct cursor *c)
{
	if (c->reader.file >= 0)
		c->storage->ops->close(c->storage->context, c->reader.file);
	c->reader.file = -1;
}

void cursor_close(struct cursor *c)
{
	if (!c->storage)
		return;
	leave_segment(c);
	free(c->reader.window);
	*c = (struct cursor){0};
}

static int failed(int r, uint64_t segment, struct error *err)
{
	return error_set(err, r, ERROR_INTERNAL, "read segment %llu: %s",
		(unsigned long long)segment, strerror(-r));
}

/* Where the next segment says that this one ends; UINT64_MAX where it does not say. */
static uint64_t read_bound(const struct cursor *c, uint64_t segment)
{
	const struct storage *s = c->storage;
	uint8_t bytes[HEAD_ROOM];
	char name[SEGMENT_NAME_BYTES];
	Berm__Wire__SegmentHead *head;
	struct record_view view;
	struct unpack_room room;
	struct frame frame;
	ssize_t n;
	int file;

	segment_name(segment + 1, name);
	file = s->ops->open(s->context, c->dir, name, O_RDONLY, 0);
	if (file < 0)
		return UINT64_MAX;
	n = s->ops->read(s->context, file, bytes, sizeof(bytes), 0);
	s->ops->close(s->context, file);
	if (n < SEGMENT_HEADER_BYTES ||
		frame_read(bytes + SEGMENT_HEADER_BYTES, (size_t)n - SEGMENT_HEADER_BYTES,
			&frame) != FRAME_WHOLE ||
		!record_view_read(frame.record, frame.record_length, &view) ||
		view.body != BERM__WIRE__RECORD__BODY_SEGMENT_HEAD)
		return UINT64_MAX;
	head = unpack_small(
		&room, &berm__wire__segment_head__descriptor, view.body_bytes, view.body_length);
	return head && head->has_abandoned && head->abandoned && head->has_previous_end
		       ? head->previous_end
		       : UINT64_MAX;
}

static int look_at_size(struct cursor *c)
{
	struct storage_stat st;
	int r = c->storage->ops->stat(c->storage->context, c->reader.file, &st);

	if (r < 0)
		return r;
	c->reader.size = st.size < c->bound ? st.size : c->bound;
	/* Cut shorter than what was read of it already. */
	if (c->reader.size < c->reader.start + c->reader.at)
		c->reader.size = c->reader.start + c->reader.at;
	return 0;
}

/* Its first bytes are in the window. *ret_good: they are this segment's. */
static bool begins_right(struct cursor *c)
{
	struct segment_header header;

	if (c->reader.filled < SEGMENT_HEADER_BYTES ||
		!segment_header_read(c->reader.window, &header) || header.segment != c->segment)
		return false;
	memcpy(c->log_id, header.log_id, LOG_ID_BYTES);
	/* Behind a segment of which only the head is left, another hash is right. */
	return !c->has_hash || c->head_only ||
	       memcmp(header.previous_hash, c->hash, CHAIN_HASH_BYTES) == 0;
}

/* Open a segment; *ret_right is false where it does not begin as it should: what stands in it is
 * given all the same, where that can be read. */
static int enter_segment(struct cursor *c, uint64_t segment, bool *ret_right)
{
	char name[SEGMENT_NAME_BYTES];
	int r;

	segment_name(segment, name);
	r = c->storage->ops->open(c->storage->context, c->dir, name, O_RDONLY, 0);
	if (r < 0)
		return r;
	c->reader.file = r;
	c->segment = segment;
	c->broken = 0;
	c->reader.start = 0;
	c->reader.filled = c->reader.at = 0;
	c->bound = read_bound(c, segment);
	r = look_at_size(c);
	if (r == 0)
		r = segment_reader_fill(&c->reader);
	if (r < 0)
		return r;
	*ret_right = begins_right(c);
	c->head_only = true;
	c->reader.at =
		c->reader.filled < SEGMENT_HEADER_BYTES ? c->reader.filled : SEGMENT_HEADER_BYTES;
	return 0;
}

/* Into the next segment that is there. *ret_step: CURSOR_RECORD where there may be one, else what
 * the caller is to be told. */
static int next_segment(struct cursor *c, enum cursor_step *ret_step, struct error *err)
{
	uint64_t before = c->segment, first = 0, last = 0;
	bool right = false;
	int r = cursor_segments(c->storage, c->dir, before, &first, &last, err);

	if (r < 0)
		return r;
	*ret_step = CURSOR_END;
	if (first == 0 || (c->stop && first > c->stop))
		return 0;
	leave_segment(c);
	r = enter_segment(c, first, &right);
	if (r < 0)
		return failed(r, first, err);
	*ret_step = right && first == before + 1 ? CURSOR_RECORD : CURSOR_BREAK;
	return 0;
}

void cursor_seek(struct cursor *c, const struct cursor_place *place)
{
	bool right;

	leave_segment(c);
	c->has_hash = false;
	c->segment = place->segment - 1;
	if (place->offset <= SEGMENT_HEADER_BYTES || enter_segment(c, place->segment, &right) < 0)
		return;
	c->reader.start = place->offset - CHAIN_HASH_BYTES;
	c->reader.filled = c->reader.at = 0;
	/* The hash before it comes into the window with it. */
	if (segment_reader_fill(&c->reader) == 0 && c->reader.filled >= CHAIN_HASH_BYTES)
		c->reader.at = CHAIN_HASH_BYTES;
	c->head_only = false;
}

/* A whole frame stands next: give it, or tell of a break where no record is in it. */
static enum cursor_step take(
	struct cursor *c, const struct frame *frame, struct cursor_record *ret_record)
{
	struct cursor_record found = {.frame = *frame,
		.at = {.segment = c->segment, .offset = segment_reader_offset(&c->reader)}};

	c->reader.at += frame->length;
	c->head_only = found.at.offset == SEGMENT_HEADER_BYTES;
	found.linked = frame_hash_matches(c->log_id, frame);
	memcpy(c->hash, frame->hash, CHAIN_HASH_BYTES);
	c->has_hash = true;
	if (!record_view_read(frame->record, frame->record_length, &found.view))
		return CURSOR_BREAK;
	*ret_record = found;
	return CURSOR_RECORD;
}

/* No whole frame stands next: the writer may have written on, or gone on to the next segment.
 * *ret_step: CURSOR_RECORD where it is to be tried again. */
static int at_the_end(struct cursor *c, bool bad, enum cursor_step *ret_step, struct error *err)
{
	uint64_t at = segment_reader_offset(&c->reader), first = 0, last = 0;
	struct frame frame;
	int r = cursor_segments(c->storage, c->dir, c->segment, &first, &last, err);

	if (r < 0)
		return r;
	/* Looked at in this order, what was written before the next segment began is not missed. */
	if (first)
		c->bound = read_bound(c, c->segment);
	c->reader.filled = c->reader.at;
	r = look_at_size(c);
	if (r == 0)
		r = segment_reader_fill(&c->reader);
	if (r < 0)
		return failed(r, c->segment, err);
	*ret_step = CURSOR_RECORD;
	if (frame_read(c->reader.window + c->reader.at, c->reader.filled - c->reader.at, &frame) ==
		FRAME_WHOLE)
		return 0;
	if ((bad || (first && cursor_torn(c))) && c->broken != at) {
		c->broken = at;
		*ret_step = CURSOR_BREAK;
		return 0;
	}
	*ret_step = CURSOR_END;
	return first ? next_segment(c, ret_step, err) : 0;
}

int cursor_next(struct cursor *c, struct cursor_record *ret_record, enum cursor_step *ret_step,
	struct error *err)
{
	enum cursor_step step = CURSOR_RECORD;
	int r = 0;

	if (c->reader.file < 0)
		r = next_segment(c, &step, err);
	while (r == 0 && step == CURSOR_RECORD) {
		enum frame_status status;
		struct frame frame;

		r = segment_reader_frame(&c->reader, &frame, &status);
		if (r < 0)
			return failed(r, c->segment, err);
		if (status == FRAME_WHOLE) {
			*ret_step = take(c, &frame, ret_record);
			return 0;
		}
		r = at_the_end(c, status == FRAME_BAD, &step, err);
	}
	if (r == 0)
		*ret_step = step;
	return r;
}

uint64_t cursor_torn(const struct cursor *c)
{
	return c->reader.file < 0 ? 0 : c->reader.size - segment_reader_offset(&c->reader);
}
