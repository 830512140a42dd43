/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Frames with right hashes and no signature, as whoever can write the log can make them. Include
 * after log-bytes.h. */

#define FORGED_TAIL_MAX (1 << 20)

/* The last record of segment i (from 0), and the hash that it ends with. */
static inline struct record_view last_view(const struct log_bytes *log, unsigned i)
{
	static struct frame frames[FRAMES_MAX];
	unsigned count = frames_of(log->bytes[i], log->size[i], frames);
	struct record_view view;

	assert_true(count > 0);
	assert_true(
		record_view_read(frames[count - 1].record, frames[count - 1].record_length, &view));
	return view;
}

/* Put `count` records of this body behind the end of segment i. The envelope is filled in. */
static inline void forge_tail(
	const struct world *on, unsigned i, Berm__Wire__Record *record, unsigned count)
{
	struct log_bytes log = log_bytes(on);
	struct record_view view = last_view(&log, i);
	struct log_pin pin = world_pin(on);
	uint8_t *made = malloc(log.size[i] + FORGED_TAIL_MAX);
	uint64_t at = log.size[i];

	assert_non_null(made);
	memcpy(made, log.bytes[i], at);
	record->has_sequence = record->has_timestamp = record->has_boot_ns = true;
	record->timestamp = view.timestamp;
	record->boot_ns = view.boot_ns;
	for (unsigned n = 1; n <= count; n++) {
		size_t length;

		record->sequence = view.sequence + n;
		length = berm__wire__record__pack(record, made + at + FRAME_HEADER_BYTES);
		frame_write_header(made + at, FRAME_RECORD, length);
		length += FRAME_HEADER_BYTES;
		chain_hash(pin.log_id, made + at - CHAIN_HASH_BYTES, CHAIN_HASH_BYTES + length,
			made + at + length);
		at += length + CHAIN_HASH_BYTES;
		assert_true(at + 4096 < log.size[i] + FORGED_TAIL_MAX);
	}
	put_segment(on, i + 1, made, at);
	free(made);
}

static inline void forge_files(const struct world *on, unsigned i, const char *path, unsigned count)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;

	file.has_path = true;
	file.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)(uintptr_t)path};
	record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	record.file = &file;
	forge_tail(on, i, &record, count);
}

static inline void forge_retention(const struct world *on, unsigned i, uint64_t through)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Retention retention = BERM__WIRE__RETENTION__INIT;
	char rule[] = "age";

	retention.has_removed_through = true;
	retention.removed_through = through;
	retention.rule = rule;
	record.body_case = BERM__WIRE__RECORD__BODY_RETENTION;
	record.retention = &retention;
	forge_tail(on, i, &record, 1);
}

/* Leave of segment i no more than its head. */
static inline void cut_to_head(const struct world *on, unsigned i)
{
	struct log_bytes log = log_bytes(on);
	struct frame head;
	uint8_t *copy;

	assert_int_equal(frame_read(log.bytes[i] + SEGMENT_HEADER_BYTES,
				 log.size[i] - SEGMENT_HEADER_BYTES, &head),
		FRAME_WHOLE);
	copy = malloc(SEGMENT_HEADER_BYTES + head.length);
	assert_non_null(copy);
	memcpy(copy, log.bytes[i], SEGMENT_HEADER_BYTES + head.length);
	put_segment(on, i + 1, copy, SEGMENT_HEADER_BYTES + head.length);
	free(copy);
}
