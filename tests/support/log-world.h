/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A log on a disk in memory, with its keys and its anchor, for one test file. Include after test.h.
 */

#include "fake-disk.h"
#include "random.h"
#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include <string.h>

enum { LOG_DIR, KEY_DIR, ANCHOR_DIR };

#define SECOND 1000000000ULL

struct world {
	struct fake_disk *disk;
	struct anchor_directory anchor_dir;
	struct anchor anchor;
	struct recorder_options options;
	uint64_t boot_ns;
	int64_t wall_ns;
	uint8_t boot_id[RECORD_ID_BYTES];
};

static inline void world_clock(void *context, struct record_time *ret_time)
{
	struct world *w = context;

	w->boot_ns += 1000;
	w->wall_ns += 1000;
	*ret_time = (struct record_time){.wall_ns = w->wall_ns, .boot_ns = w->boot_ns};
}

/* On this disk, which it does not take. */
static inline void world_init(struct world *w, struct fake_disk *disk)
{
	*w = (struct world){.disk = disk, .boot_ns = 1000 * SECOND, .wall_ns = 1700000000000000000};
	memset(w->boot_id, 7, sizeof(w->boot_id));
	w->anchor_dir =
		(struct anchor_directory){.storage = fake_disk_storage(disk), .dir = ANCHOR_DIR};
	w->anchor = anchor_directory(&w->anchor_dir);
	w->options = (struct recorder_options){.storage = fake_disk_storage(disk),
		.log_dir = LOG_DIR,
		.key_dir = KEY_DIR,
		.anchor = &w->anchor,
		.create = true,
		.queue_bytes = 1 << 20,
		.run_bytes = 1024,
		.boot_id = w->boot_id,
		.clock = world_clock,
		.clock_context = w};
}

/* One file record; its path tells which. */
static inline int append_file(struct recorder *r, struct record_run *run, const char *path)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	char operation[] = "open";

	file.operation = operation;
	file.has_path = file.has_inode = true;
	file.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)(uintptr_t)path};
	file.inode = 4711;
	record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	record.file = &file;
	return recorder_append(r, run, RECORD_RING_ACTIVITY, &record);
}

static inline struct record_run *begin_run(struct recorder *r, const char *name)
{
	struct record_run_info info = {.agent_id = "coder", .run = name, .group = "team"};
	struct record_run *run;

	assert_int_equal(recorder_run_begin(r, &info, &run, NULL), 0);
	return run;
}

static inline struct log_pin world_pin(const struct world *w)
{
	uint64_t size = 0;
	uint8_t *bytes = fake_disk_bytes(w->disk, KEY_DIR, KEYS_PIN_FILE, &size);
	struct log_pin pin;

	assert_non_null(bytes);
	assert_int_equal(log_pin_parse((const char *)bytes, size, &pin, NULL), 0);
	return pin;
}

static inline bool world_head(
	const struct world *w, const struct log_pin *pin, struct log_head *ret)
{
	return w->anchor.latest(w->anchor.context, pin->log_id, ret, NULL) == 0;
}

/* Verify with what is pinned and anchored here. */
static inline struct verify_result world_verify(const struct world *w, bool is_live)
{
	struct log_pin pin = world_pin(w);
	struct log_head head;
	struct verify_options options = {.storage = fake_disk_storage(w->disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = world_head(w, &pin, &head) ? &head : NULL,
		.live = is_live};
	struct verify_result result;

	assert_int_equal(verify_log(&options, &result, NULL), 0);
	return result;
}

#define assert_passes(result)                                                                      \
	do {                                                                                       \
		struct verify_result got = (result);                                               \
		if (!got.pass)                                                                     \
			print_error("%s: segment %llu record %llu offset %llu\n",                  \
				verify_reason_word(got.reason), (unsigned long long)got.segment,   \
				(unsigned long long)got.sequence, (unsigned long long)got.offset); \
		assert_true(got.pass);                                                             \
	} while (0)
