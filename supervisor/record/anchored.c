/* SPDX-License-Identifier: Apache-2.0 */
#include "record/reader.h"
#include "record/recover-internal.h"

#include <fcntl.h>
#include <string.h>

/* Whether the log goes on from what was anchored. The recorder publishes only what follows from it,
 * since a later head takes its place: else a log that was put back, or made anew with keys of an
 * earlier day, would be anchored over the one that it replaces. */

struct walk {
	struct recorder *recorder;
	const struct log_head *head;
	uint8_t *window;
	bool met; /* the anchored record is behind */
};

/* The hash that segment `number` ends with: the one that the next one begins with. */
static int end_hash(const struct walk *w, uint64_t number, uint8_t ret_hash[CHAIN_HASH_BYTES])
{
	const struct storage *s = w->recorder->options.storage;
	const struct log_position *sealed = keys_position(w->recorder->keys);
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	struct segment_header header;
	char name[SEGMENT_NAME_BYTES];
	ssize_t n;
	int file;

	memcpy(ret_hash, sealed->hash, CHAIN_HASH_BYTES);
	if (number == sealed->segment)
		return 0;
	segment_name(number + 1, name);
	file = s->ops->open(s->context, w->recorder->options.log_dir, name, O_RDONLY, 0);
	if (file < 0)
		return file;
	n = s->ops->read(s->context, file, bytes, sizeof(bytes), 0);
	s->ops->close(s->context, file);
	if (n < 0)
		return (int)n;
	if (n < SEGMENT_HEADER_BYTES || !segment_header_read(bytes, &header))
		return -EBADMSG;
	memcpy(ret_hash, header.previous_hash, CHAIN_HASH_BYTES);
	return 0;
}

/* The anchored record first, then each record's hash, until the one that the segment ends with. */
static int walk_frames(struct walk *w, struct segment_reader *reader, const uint8_t *end)
{
	const uint8_t *log_id = keys_log_id(w->recorder->keys);
	enum frame_status status;
	struct frame frame;

	for (;;) {
		int error = segment_reader_frame(reader, &frame, &status);

		if (error < 0)
			return error;
		if (status != FRAME_WHOLE || (w->met && !frame_hash_matches(log_id, &frame)))
			return -EBADMSG;
		reader->at += frame.length;
		w->met = w->met || memcmp(frame.hash, w->head->hash, CHAIN_HASH_BYTES) == 0;
		if (w->met && memcmp(frame.hash, end, CHAIN_HASH_BYTES) == 0)
			return 0;
	}
}

static int walk_segment(struct walk *w, uint64_t number)
{
	const struct storage *s = w->recorder->options.storage;
	struct segment_reader reader = {.storage = s, .window = w->window};
	uint8_t end[CHAIN_HASH_BYTES];
	char name[SEGMENT_NAME_BYTES];
	struct storage_stat st;
	int error = end_hash(w, number, end);

	if (error < 0)
		return error;
	/* What was anchored is the last of this segment: as good as always. */
	if (!w->met && memcmp(end, w->head->hash, CHAIN_HASH_BYTES) == 0) {
		w->met = true;
		return 0;
	}
	segment_name(number, name);
	reader.file = s->ops->open(s->context, w->recorder->options.log_dir, name, O_RDONLY, 0);
	if (reader.file < 0)
		return reader.file;
	error = s->ops->stat(s->context, reader.file, &st);
	reader.size = st.size;
	if (error == 0)
		error = segment_reader_fill(&reader);
	reader.at = SEGMENT_HEADER_BYTES;
	if (error == 0 && reader.filled < SEGMENT_HEADER_BYTES)
		error = -EBADMSG;
	if (error == 0)
		error = walk_frames(w, &reader, end);
	s->ops->close(s->context, reader.file);
	return error;
}

/* From the anchored record to the sealed end, hash by hash. */
static int walk(struct recorder *r, const struct log_head *head)
{
	const struct log_position *sealed = keys_position(r->keys);
	autofree uint8_t *window = malloc(SEGMENT_WINDOW_BYTES);
	struct walk w = {.recorder = r, .head = head, .window = window};
	int error = window ? 0 : -ENOMEM;

	if (head->segment > sealed->segment)
		return -EBADMSG;
	for (uint64_t i = head->segment; i <= sealed->segment && error == 0; i++)
		error = walk_segment(&w, i);
	return error;
}

int found_check_anchor(struct recorder *r, const struct found *f, struct error *err)
{
	const struct anchor *anchor = r->options.anchor;
	const struct log_position *sealed = keys_position(r->keys), *same = NULL;
	struct log_head head;
	int error;

	if (!anchor)
		return 0;
	error = anchor->latest(anchor->context, keys_log_id(r->keys), &head, err);
	r->anchor_linked = error == -ENOENT;
	r->anchor_error = r->anchor_linked ? 0 : error;
	if (r->anchor_linked || (error < 0 && !r->options.anchor_required))
		return 0;
	if (error < 0)
		return error;
	if (head.sequence == sealed->sequence)
		same = sealed;
	else if (f->has_seal && head.sequence == f->seal.sequence)
		same = &f->seal;
	if (same)
		error = same->segment == head.segment &&
					memcmp(same->hash, head.hash, CHAIN_HASH_BYTES) == 0
				? 0
				: -EBADMSG;
	else
		error = head.sequence < sealed->sequence ? walk(r, &head) : -EBADMSG;
	if (error == -ENOMEM)
		return error_set(err, error, ERROR_INTERNAL, "no memory to read the log");
	if (error < 0)
		return error_set(err, -ESTALE, ERROR_REFUSED,
			"what was anchored, record %llu, is not in this log: log and key are an "
			"older "
			"copy, or another one (%s)",
			(unsigned long long)head.sequence, strerror(-error));
	r->anchor_linked = true;
	return 0;
}
