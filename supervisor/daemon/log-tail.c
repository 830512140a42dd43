/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log-tail.h"

#include <fcntl.h>
#include <string.h>

int log_tail_init(
	struct log_tail *tail, int dir, uint64_t segment, uint64_t offset, struct error *err)
{
	*tail = (struct log_tail){.dir = dir, .segment = segment, .offset = offset};
	if (offset < SEGMENT_HEADER_BYTES)
		tail->offset = SEGMENT_HEADER_BYTES;
	tail->window = malloc(SEGMENT_WINDOW_BYTES);
	return tail->window ? 0
			    : error_set(err, -ENOMEM, ERROR_INTERNAL, "no memory to read a log");
}

void log_tail_finish(struct log_tail *tail)
{
	own_free(&tail->window);
}

static int newest(void *data, const char *name)
{
	uint64_t *most = data, number = segment_number(name);

	if (number > *most)
		*most = number;
	return 0;
}

struct reading {
	struct log_tail *tail;
	struct segment_reader reader;
	struct segment_header header;
	unsigned most, count;
	log_tail_told told;
	void *context;
};

/* False where the frame is not whole yet, or not what its hash says. */
static bool tell_frame(struct reading *r, const struct frame *frame)
{
	const struct export_place place = {
		.previous_hash = frame->start - CHAIN_HASH_BYTES, .hash = frame->hash};
	Berm__Wire__Record *record;

	if (!frame_hash_matches(r->header.log_id, frame))
		return false;
	record = berm__wire__record__unpack(NULL, frame->record_length, frame->record);
	/* Its hash is right and its content is not: no recorder of this version wrote it. */
	if (record)
		r->told(r->context, record, &place);
	if (record)
		berm__wire__record__free_unpacked(record, NULL);
	return true;
}

static int read_frames(struct reading *r)
{
	enum frame_status status;
	struct frame frame;
	int result = 0;

	while (result == 0 && r->count < r->most) {
		result = segment_reader_frame(&r->reader, &frame, &status);
		if (result < 0 || status != FRAME_WHOLE || !tell_frame(r, &frame))
			break;
		r->reader.at += frame.length;
		r->tail->offset = segment_reader_offset(&r->reader);
		r->count++;
	}
	return result;
}

/* -ENOENT: there is no such segment. */
static int read_segment(struct reading *r)
{
	const struct storage *s = &storage_system;
	struct log_tail *tail = r->tail;
	uint8_t header[SEGMENT_HEADER_BYTES];
	char name[SEGMENT_NAME_BYTES];
	struct storage_stat st;
	int file, result;

	segment_name(tail->segment, name);
	file = s->ops->open(s->context, tail->dir, name, O_RDONLY, 0);
	if (file < 0)
		return file;
	result = s->ops->stat(s->context, file, &st);
	if (result == 0 && st.size > tail->offset &&
		s->ops->read(s->context, file, header, sizeof(header), 0) == sizeof(header) &&
		segment_header_read(header, &r->header)) {
		r->reader = (struct segment_reader){.storage = s,
			.file = file,
			.window = tail->window,
			.size = st.size,
			.start = tail->offset - CHAIN_HASH_BYTES};
		result = segment_reader_fill(&r->reader);
		r->reader.at = CHAIN_HASH_BYTES;
		if (result == 0 && r->reader.filled > CHAIN_HASH_BYTES)
			result = read_frames(r);
	}
	s->ops->close(s->context, file);
	return result;
}

static bool is_there(const struct log_tail *tail, uint64_t segment)
{
	char name[SEGMENT_NAME_BYTES];

	segment_name(segment, name);
	return faccessat(tail->dir, name, F_OK, AT_EACCESS) == 0;
}

int log_tail_read(struct log_tail *tail, unsigned most, log_tail_told told, void *context)
{
	struct reading r = {.tail = tail, .most = most, .told = told, .context = context};

	if (tail->segment == 0) {
		int result = storage_system.ops->list(
			storage_system.context, tail->dir, newest, &tail->segment);

		if (result < 0 || tail->segment == 0)
			return result;
	}
	while (r.count < most) {
		unsigned before = r.count;
		/* Asked before reading: what is there of this one then is all that it will be. */
		bool more = is_there(tail, tail->segment + 1);
		int result = read_segment(&r);

		if (result < 0 && result != -ENOENT)
			return result;
		if (!more)
			break;
		if (r.count == before || r.count < most) {
			tail->segment++;
			tail->offset = SEGMENT_HEADER_BYTES;
		}
	}
	return (int)r.count;
}
