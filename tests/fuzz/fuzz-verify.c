/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "fake-disk.h"
#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include <sodium.h>

/* The verifier alone, on a log that has everything: segments that were rotated, abandoned with
 * records behind their end, and cut down to their heads; closed and opened again; a live end.
 * Input: first byte bit 0: live, bit 1: with the anchor, bit 2: the hashes are computed anew, as
 * whoever can write the log would; then changes, six bytes each: kind, segment, place (2), length,
 * value. Where it says PASS, it has told exactly the records that were recorded, or where the log
 * is live and there is no anchor, the first of them.
 *
 * Signatures are stood in for by keyed hashes, which take a hundredth of the time: what is looked
 * for is a wrong turn of the reader. fuzz-log uses the real ones. */

enum { LOG_DIR, KEY_DIR, ANCHOR_DIR };

#define SEGMENTS 8
#define SEGMENT_MAX 16384
#define RECORDS_MAX 512

int crypto_sign_seed_keypair(unsigned char *pk, unsigned char *sk, const unsigned char *seed)
{
	crypto_generichash(pk, 32, seed, 32, NULL, 0);
	memcpy(sk, seed, 32);
	memcpy(sk + 32, pk, 32);
	return 0;
}

int crypto_sign_detached(unsigned char *sig, unsigned long long *ret_length, const unsigned char *m,
	unsigned long long length, const unsigned char *sk)
{
	(void)ret_length;
	return crypto_generichash(sig, 64, m, length, sk + 32, 32);
}

int crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
	unsigned long long length, const unsigned char *pk)
{
	unsigned char right[64];

	crypto_generichash(right, 64, m, length, pk, 32);
	return memcmp(right, sig, 64) == 0 ? 0 : -1;
}

struct image {
	uint64_t size;
	uint8_t bytes[SEGMENT_MAX];
};

/* Segments by number less one; size 0: not there. */
static struct image good[SEGMENTS], changed[SEGMENTS];
static uint8_t told_good[RECORDS_MAX][CHAIN_HASH_BYTES];
static unsigned told_count;
static struct log_pin pin;
static struct log_head head;

static int image_open(void *context, int dir, const char *name, int flags, unsigned mode)
{
	uint64_t number = segment_number(name);

	(void)context, (void)dir, (void)flags, (void)mode;
	return number == 0 || number > SEGMENTS || changed[number - 1].size == 0 ? -ENOENT
										 : (int)number;
}

static void image_close(void *context, int file)
{
	(void)context, (void)file;
}

static int image_stat(void *context, int file, struct storage_stat *ret_stat)
{
	(void)context;
	*ret_stat = (struct storage_stat){.size = changed[file - 1].size, .links = 1};
	return 0;
}

static ssize_t image_read(void *context, int file, void *data, size_t length, uint64_t offset)
{
	const struct image *image = &changed[file - 1];

	(void)context;
	if (offset >= image->size)
		return 0;
	if (length > image->size - offset)
		length = image->size - offset;
	memcpy(data, image->bytes + offset, length);
	return (ssize_t)length;
}

static int image_list(void *context, int dir, int (*each)(void *data, const char *name), void *data)
{
	(void)context, (void)dir;
	for (uint64_t i = 1; i <= SEGMENTS; i++) {
		char name[SEGMENT_NAME_BYTES];
		int r = 0;

		segment_name(i, name);
		if (changed[i - 1].size)
			r = each(data, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct storage_ops image_ops = {.open = image_open,
	.close = image_close,
	.stat = image_stat,
	.read = image_read,
	.list = image_list};
static const struct storage images = {.ops = &image_ops};

static uint64_t now_ns = 1000000000;

static void fixed_clock(void *context, struct record_time *ret_time)
{
	(void)context;
	now_ns += 1000;
	*ret_time = (struct record_time){.wall_ns = (int64_t)now_ns, .boot_ns = now_ns};
}

#define must(expression)                                                                           \
	do {                                                                                       \
		int must_ = (expression);                                                          \
		assert(must_ == 0);                                                                \
	} while (0)

static void write_some(struct recorder *r, unsigned count)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;

	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	for (unsigned i = 0; i < count; i++) {
		must(recorder_append(r, NULL, RECORD_RING_DECISIONS, &record));
		must(recorder_commit(r, NULL));
	}
}

static struct recorder *open_it(const struct recorder_options *options)
{
	struct recorder *r;

	must(recorder_open(options, &r, NULL));
	return r;
}

/* As it is left while a recorder writes. */
static void make_log(struct fake_disk *disk)
{
	struct anchor_directory directory = {.storage = fake_disk_storage(disk), .dir = ANCHOR_DIR};
	struct anchor anchor = anchor_directory(&directory);
	struct recorder_options options = {.storage = fake_disk_storage(disk),
		.log_dir = LOG_DIR,
		.key_dir = KEY_DIR,
		.anchor = &anchor,
		.create = true,
		.segment_bytes = 1200,
		.queue_bytes = 1 << 20,
		.clock = fixed_clock};
	struct recorder *r = open_it(&options);
	uint64_t size;
	uint8_t *bytes;

	write_some(r, 10);
	must(recorder_close(r, NULL));
	recorder_destroy(r);
	r = open_it(&options);
	write_some(r, 2);
	must(recorder_seal(r, NULL));
	write_some(r, 2);
	recorder_destroy(r);
	/* Its end cannot be written: it is left behind. */
	for (unsigned call = 4;; call++) {
		fake_disk_fault(disk, FAKE_FAULT_ONCE, call, EIO);
		assert(call < 8);
		if (recorder_open(&options, &r, NULL) == 0)
			break;
	}
	fake_disk_fault(disk, FAKE_FAULT_NONE, 0, 0);
	write_some(r, 6);
	must(recorder_remove(r, 1, "age", NULL));
	write_some(r, 2);
	recorder_destroy(r);
	r = open_it(&options);
	write_some(r, 2);
	bytes = fake_disk_bytes(disk, KEY_DIR, KEYS_PIN_FILE, &size);
	must(log_pin_parse((const char *)bytes, size, &pin, NULL));
	must(anchor.latest(anchor.context, pin.log_id, &head, NULL));
	recorder_destroy(r);
}

struct told {
	unsigned count;
	bool differs;
	bool fills;
};

static int tell(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct told *t = data;

	(void)segment, (void)view;
	if (t->fills) {
		assert(t->count < RECORDS_MAX);
		memcpy(told_good[t->count], frame->hash, CHAIN_HASH_BYTES);
	} else if (t->count >= told_count ||
		   memcmp(told_good[t->count], frame->hash, CHAIN_HASH_BYTES) != 0) {
		t->differs = true;
	}
	t->count++;
	return 0;
}

static struct verify_result judge(bool live, bool anchored, struct told *t)
{
	struct verify_options options = {.storage = &images,
		.pin = &pin,
		.anchor = anchored ? &head : NULL,
		.live = live,
		.each = tell,
		.data = t};
	struct verify_result result;

	must(verify_log(&options, &result, NULL));
	return result;
}

static void restore(void)
{
	for (unsigned i = 0; i < SEGMENTS; i++) {
		changed[i].size = good[i].size;
		memcpy(changed[i].bytes, good[i].bytes, good[i].size);
	}
}

static void prepare(void)
{
	struct fake_disk *disk = fake_disk_create();
	struct verify_result result;
	struct told t = {.fills = true};
	unsigned segments = 0;

	make_log(disk);
	for (unsigned i = 0; i < SEGMENTS; i++) {
		char name[SEGMENT_NAME_BYTES];
		uint8_t *bytes;

		segment_name(i + 1, name);
		bytes = fake_disk_bytes(disk, LOG_DIR, name, &good[i].size);
		assert(good[i].size <= SEGMENT_MAX);
		if (bytes)
			memcpy(good[i].bytes, bytes, good[i].size);
		segments += bytes != NULL;
	}
	fake_disk_destroy(disk);
	restore();
	result = judge(true, true, &t);
	assert(result.pass && result.abandoned_bytes > 0 && result.removed_segments > 0);
	assert(segments >= 4 && segments < SEGMENTS);
	told_count = t.count;
}

static void change(const uint8_t *c)
{
	struct image *image = &changed[c[1] % SEGMENTS],
		     *other = &changed[(c[1] + c[5]) % SEGMENTS];
	uint64_t place = c[2] | (uint64_t)c[3] << 8, length = c[4];

	place = image->size ? place % image->size : 0;
	if (length > image->size - place)
		length = image->size - place;
	switch (c[0] % 7) {
	case 0:
		if (length)
			image->bytes[place] ^= c[5];
		break;
	case 1:
		image->size = place;
		break;
	case 2: /* leave out */
		memmove(image->bytes + place, image->bytes + place + length,
			image->size - place - length);
		image->size -= length;
		break;
	case 3: /* double */
		if (image->size + length > SEGMENT_MAX)
			break;
		memmove(image->bytes + place + length, image->bytes + place, image->size - place);
		image->size += length;
		break;
	case 4: /* from another segment */
		if (place + length <= other->size)
			memcpy(image->bytes + place, other->bytes + place, length);
		break;
	case 5: /* another segment in this one's place */
		*image = *other;
		break;
	case 6:
		if (image->size + 1 < SEGMENT_MAX)
			image->bytes[image->size++] = c[5];
		break;
	}
}

/* Every hash that can be: of each segment behind the one before it, frame by frame. */
static void hash_anew(void)
{
	uint8_t hash[CHAIN_HASH_BYTES] = {0};

	for (unsigned i = 0; i < SEGMENTS; i++) {
		uint64_t at = SEGMENT_HEADER_BYTES;
		struct frame frame;

		if (changed[i].size < SEGMENT_HEADER_BYTES)
			continue;
		/* Only where it was not another one to begin with: behind a removed or abandoned
		 * segment the hash is not the last one of the file. */
		if (memcmp(changed[i].bytes + 32, good[i].bytes + 32, CHAIN_HASH_BYTES) != 0)
			memcpy(changed[i].bytes + 32, hash, CHAIN_HASH_BYTES);
		while (at < changed[i].size &&
			frame_read(changed[i].bytes + at, changed[i].size - at, &frame) ==
				FRAME_WHOLE) {
			chain_hash(pin.log_id, frame.start - CHAIN_HASH_BYTES, frame.length, hash);
			memcpy(changed[i].bytes + at + frame.length - CHAIN_HASH_BYTES, hash,
				CHAIN_HASH_BYTES);
			at += frame.length;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told t = {0};
	struct verify_result result;
	uint8_t flags;

	if (told_count == 0)
		prepare();
	if (size == 0)
		return 0;
	flags = data[0];
	restore();
	for (data++, size--; size >= 6; data += 6, size -= 6)
		change(data);
	if (flags & 4)
		hash_anew();
	result = judge(flags & 1, flags & 2, &t);
	if (!result.pass)
		return 0;
	/* The end of this log is open, so that who does not say live is told so. */
	assert(flags & 1);
	assert(result.reason == VERIFY_GOOD);
	assert(!t.differs || result.unsealed_records > 0);
	assert(!(flags & 2) || t.count >= told_count - 3);
	return 0;
}
