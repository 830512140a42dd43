/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A log made by the recorder, as bytes to be changed. Include after log-world.h. */

#define SEGMENTS_MAX 1024
#define FRAMES_MAX 4096

struct log_bytes {
	unsigned segments; /* numbers 1 to this */
	uint64_t size[SEGMENTS_MAX];
	uint8_t *bytes[SEGMENTS_MAX]; /* of the disk: change in place */
	uint64_t total;
};

static inline struct log_bytes log_bytes(const struct world *w)
{
	struct log_bytes log = {0};

	while (log.segments < SEGMENTS_MAX) {
		char name[SEGMENT_NAME_BYTES];
		unsigned i = log.segments;

		segment_name(i + 1, name);
		log.bytes[i] = fake_disk_bytes(w->disk, LOG_DIR, name, &log.size[i]);
		if (!log.bytes[i])
			break;
		log.total += log.size[i];
		log.segments++;
	}
	return log;
}

/* A log of about this many bytes: sessions of different boots with a close, several
 * segments, a few seals. */
static inline void make_log(struct world *w, struct fake_disk *disk, uint64_t bytes)
{
	unsigned n = 0;
	uint64_t written = 0;

	world_init(w, disk);
	w->options.segment_bytes = bytes / 3;
	for (unsigned session = 0; session < 3; session++) {
		struct recorder *r;
		struct record_run *run;

		assert_int_equal(recorder_open(&w->options, &r, NULL), 0);
		run = begin_run(r, "01JD7Z3K9QX8V5T2W4Y6R0S1PA");
		do {
			char path[64];

			snprintf(path, sizeof(path), "/srv/repo/src/module/file-%u.c", n++);
			assert_int_equal(append_file(r, run, path), 0);
			if (n % 20 == 0) {
				assert_int_equal(recorder_commit(r, NULL), 0);
				written = log_bytes(w).total;
			}
		} while (written <= bytes * (session + 1) / 3);
		assert_int_equal(recorder_close(r, NULL), 0);
		recorder_destroy(r);
		/* Each session is of another boot. */
		w->boot_ns = (session + 2) * SECOND;
		w->boot_id[0]++;
	}
}

/* Put bytes in the place of one segment. */
static inline void put_segment(
	const struct world *w, unsigned segment, const void *bytes, uint64_t size)
{
	char name[SEGMENT_NAME_BYTES];

	segment_name(segment, name);
	fake_disk_put(w->disk, LOG_DIR, name, bytes, size);
}

static inline void drop_segment(const struct world *w, unsigned segment)
{
	char name[SEGMENT_NAME_BYTES];

	segment_name(segment, name);
	fake_disk_drop(w->disk, LOG_DIR, name);
}

/* The frames of one segment; returns how many. */
static inline unsigned frames_of(const uint8_t *bytes, uint64_t size, struct frame *ret_frames)
{
	uint64_t at = SEGMENT_HEADER_BYTES;
	unsigned count = 0;

	while (at < size) {
		assert_int_equal(
			frame_read(bytes + at, size - at, &ret_frames[count]), FRAME_WHOLE);
		at += ret_frames[count++].length;
		assert_true(count < FRAMES_MAX);
	}
	return count;
}
