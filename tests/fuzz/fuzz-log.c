/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "fake-disk.h"
#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

/* A log that was changed. Input: first byte 0 the rest is the only segment; otherwise changes to a
 * good log, five bytes each: kind, place (3), value. The verifier never says PASS but for the log
 * as it was, and the recorder that takes it up ends, one way or the other. */

enum { LOG_DIR, KEY_DIR, ANCHOR_DIR };

static struct fake_disk *good;
static struct log_pin pin;
static struct log_head head;

static void fixed_clock(void *context, struct record_time *ret_time)
{
	uint64_t *now = context;

	*now += 1000;
	*ret_time = (struct record_time){.wall_ns = (int64_t)*now, .boot_ns = *now};
}

static uint64_t now_ns = 1000000000;

static struct recorder_options options_on(struct fake_disk *disk)
{
	return (struct recorder_options){.storage = fake_disk_storage(disk),
		.log_dir = LOG_DIR,
		.key_dir = KEY_DIR,
		.create = true,
		.segment_bytes = 1500,
		.queue_bytes = 1 << 20,
		.clock = fixed_clock,
		.clock_context = &now_ns};
}

static void make_good(void)
{
	struct recorder_options options;
	uint64_t size;
	uint8_t *bytes;

	good = fake_disk_create();
	options = options_on(good);
	for (unsigned session = 0; session < 3; session++) {
		Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
		Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;
		struct recorder *r;
		int error = recorder_open(&options, &r, NULL);

		assert(error == 0);
		record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
		record.trip = &trip;
		for (unsigned i = 0; i < 5; i++) {
			error = recorder_append(r, NULL, RECORD_RING_DECISIONS, &record);
			assert(error == 0);
			error = recorder_commit(r, NULL);
			assert(error == 0);
		}
		error = recorder_close(r, NULL);
		assert(error == 0);
		recorder_head(r, &head);
		recorder_destroy(r);
	}
	bytes = fake_disk_bytes(good, KEY_DIR, KEYS_PIN_FILE, &size);
	assert(bytes && log_pin_parse((const char *)bytes, size, &pin, NULL) == 0);
}

static struct verify_result judge(struct fake_disk *disk, const struct log_head *anchor, bool live)
{
	struct verify_options options = {.storage = fake_disk_storage(disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = anchor,
		.live = live};
	struct verify_result result;
	int error = verify_log(&options, &result, NULL);

	assert(error == 0);
	return result;
}

static void change(struct fake_disk *disk, const uint8_t *data, size_t size)
{
	for (; size >= 5; data += 5, size -= 5) {
		uint64_t place = data[1] | (uint64_t)data[2] << 8, length = 0;
		char name[SEGMENT_NAME_BYTES];
		uint8_t *bytes;

		segment_name(1 + data[3] % 4, name);
		bytes = fake_disk_bytes(disk, LOG_DIR, name, &length);
		if (!bytes || length == 0)
			continue;
		place %= length;
		switch (data[0] % 3) {
		case 0:
			bytes[place] ^= data[4];
			break;
		case 1: {
			uint8_t copy[4096];

			if (place > sizeof(copy))
				place = sizeof(copy);
			memcpy(copy, bytes, place);
			fake_disk_put(disk, LOG_DIR, name, copy, place);
			break;
		}
		case 2:
			if (data[4] & 1)
				fake_disk_drop(disk, LOG_DIR, name);
			else
				memmove(bytes + place, bytes, length - place);
			break;
		}
	}
}

static bool same(struct fake_disk *disk)
{
	for (uint64_t i = 1; i < 16; i++) {
		char name[SEGMENT_NAME_BYTES];
		uint64_t a_size = 0, b_size = 0;
		uint8_t *a, *b;

		segment_name(i, name);
		a = fake_disk_bytes(good, LOG_DIR, name, &a_size);
		b = fake_disk_bytes(disk, LOG_DIR, name, &b_size);
		if ((a != NULL) != (b != NULL) || a_size != b_size ||
			(a && memcmp(a, b, a_size) != 0))
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recorder_options options;
	struct fake_disk *disk;
	struct recorder *r;

	if (!good)
		make_good();
	disk = fake_disk_copy(good);
	if (size > 0 && data[0] == 0) {
		for (uint64_t i = 1; i < 16; i++) {
			char name[SEGMENT_NAME_BYTES];
			uint64_t ignored;

			segment_name(i, name);
			if (fake_disk_bytes(disk, LOG_DIR, name, &ignored))
				fake_disk_drop(disk, LOG_DIR, name);
		}
		fake_disk_put(disk, LOG_DIR, "0000000001.seg", data + 1, size - 1);
	} else if (size > 0) {
		change(disk, data + 1, size - 1);
	}
	assert(judge(disk, &head, false).pass == same(disk));
	assert(judge(disk, &head, true).pass == same(disk));
	(void)judge(disk, NULL, true);
	options = options_on(disk);
	if (recorder_open(&options, &r, NULL) == 0) {
		(void)!recorder_close(r, NULL);
		recorder_destroy(r);
	}
	fake_disk_destroy(disk);
	return 0;
}
