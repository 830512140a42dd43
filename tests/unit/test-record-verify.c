/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-bytes.h"

/* Logs changed by somebody who holds no key. Each test counts what it tried and what was noticed;
 * each begins with the log as it was, which passes. RECORD_ALL=1 tries every bit and every byte. */

#define LOG_BYTES 65536

static struct world w;

static bool tries_all(void)
{
	return getenv("RECORD_ALL") != NULL;
}

static int make(void **state)
{
	(void)state;
	make_log(&w, fake_disk_create(), LOG_BYTES);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	fake_disk_destroy(w.disk);
	return 0;
}

static struct log_bytes whole_log(void)
{
	struct log_bytes log = log_bytes(&w);

	assert_passes(world_verify(&w, false));
	assert_true(log.total >= LOG_BYTES && log.segments >= 3);
	return log;
}

static struct verify_result verify_with(const struct log_head *anchor, bool live)
{
	struct log_pin pin = world_pin(&w);
	struct verify_options options = {.storage = fake_disk_storage(w.disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = anchor,
		.live = live};
	struct verify_result result;

	assert_int_equal(verify_log(&options, &result, NULL), 0);
	return result;
}

static void a_flipped_bit_fails_and_names_its_record(void **state)
{
	struct log_bytes log = whole_log();
	unsigned tried = 0, named = 0, step = tries_all() ? 1 : 173;

	(void)state;
	for (unsigned i = 0; i < log.segments; i++)
		for (uint64_t bit = 0; bit < log.size[i] * 8; bit += step) {
			struct verify_result result;

			log.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			result = world_verify(&w, false);
			log.bytes[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(result.pass);
			/* The segment at whose end it is, where its head or header is hit. */
			assert_true(result.segment == i + 1);
			/* The hash before the first record is in the header. */
			named += result.offset <= (bit / 8 < 64 ? 64 : bit / 8) &&
				 bit / 8 < result.offset + 512;
			tried++;
		}
	assert_int_equal(named, tried);
	assert_passes(world_verify(&w, false));
	print_message("# %u of %u bit flips in %llu bytes noticed, in the right place\n", tried,
		tried, (unsigned long long)log.total);
}

/* The log as it is when all after `keep` bytes of segment i is gone. */
static struct verify_result cut(const struct log_bytes *copy, unsigned i, uint64_t keep,
	const struct log_head *anchor, bool live)
{
	put_segment(&w, i + 1, copy->bytes[i], keep);
	return verify_with(anchor, live);
}

static struct log_bytes copy_of(const struct log_bytes *log)
{
	struct log_bytes copy = *log;

	for (unsigned i = 0; i < log->segments; i++) {
		copy.bytes[i] = malloc(log->size[i]);
		assert_non_null(copy.bytes[i]);
		memcpy(copy.bytes[i], log->bytes[i], log->size[i]);
	}
	return copy;
}

static void put_back(struct log_bytes *copy)
{
	for (unsigned i = 0; i < copy->segments; i++) {
		put_segment(&w, i + 1, copy->bytes[i], copy->size[i]);
		free(copy->bytes[i]);
	}
	assert_passes(world_verify(&w, false));
}

static void a_cut_at_any_byte_fails(void **state)
{
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned tried = 0, unanchored = 0, step = tries_all() ? 1 : 131;
	struct log_pin pin = world_pin(&w);
	struct log_head head;

	(void)state;
	assert_true(world_head(&w, &pin, &head));
	for (unsigned i = copy.segments; i-- > 0; drop_segment(&w, i + 1))
		for (uint64_t keep = 0; keep < copy.size[i]; keep += step) {
			assert_false(cut(&copy, i, keep, &head, false).pass);
			assert_false(cut(&copy, i, keep, &head, true).pass);
			unanchored += cut(&copy, i, keep, NULL, false).pass;
			tried++;
		}
	put_back(&copy);
	print_message("# %u of %u cuts at a byte noticed with an anchor; without one %u pass\n",
		tried, tried, unanchored);
}

static void a_cut_at_any_record_fails_with_an_anchor(void **state)
{
	static struct frame frames[FRAMES_MAX];
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned tried = 0, unanchored = 0;
	struct log_pin pin = world_pin(&w);
	struct log_head head;

	(void)state;
	assert_true(world_head(&w, &pin, &head));
	for (unsigned i = copy.segments; i-- > 0; drop_segment(&w, i + 1)) {
		unsigned count = frames_of(copy.bytes[i], copy.size[i], frames);

		for (unsigned f = 0; f < count; f++) {
			uint64_t keep = (uint64_t)(frames[f].start - copy.bytes[i]);

			assert_false(cut(&copy, i, keep, &head, false).pass);
			assert_false(cut(&copy, i, keep, &head, true).pass);
			unanchored += cut(&copy, i, keep, NULL, false).pass;
			tried++;
		}
	}
	put_back(&copy);
	/* Two sessions were closed before the last one: that is all that an anchor adds here. */
	assert_int_equal(unanchored, 2);
	print_message("# %u of %u cuts at a record noticed with an anchor; without one %u pass\n",
		tried, tried, unanchored);
}

/* Segments that stay while an earlier one is cut. */
static void a_cut_in_the_middle_fails(void **state)
{
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i + 1 < copy.segments; i++) {
		for (uint64_t keep = 0; keep < copy.size[i]; keep += 211) {
			assert_false(cut(&copy, i, keep, NULL, true).pass);
			tried++;
		}
		put_segment(&w, i + 1, copy.bytes[i], copy.size[i]);
	}
	put_back(&copy);
	print_message("# %u of %u cuts with later segments noticed\n", tried, tried);
}

static void bytes_added_at_the_end_fail(void **state)
{
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned i = copy.segments - 1;
	uint8_t *longer = malloc(copy.size[i] + 4096);

	(void)state;
	assert_non_null(longer);
	for (unsigned more = 1; more <= 4096; more *= 2) {
		memcpy(longer, copy.bytes[i], copy.size[i]);
		memset(longer + copy.size[i], more & 2 ? 0 : 0x5A, more);
		put_segment(&w, i + 1, longer, copy.size[i] + more);
		assert_false(world_verify(&w, false).pass);
	}
	free(longer);
	put_back(&copy);
}

/* Frames in another order: how many to take from where. */
static struct verify_result shuffle(const struct log_bytes *copy, unsigned i,
	const struct frame *frames, const unsigned *order, unsigned count)
{
	uint8_t *made = malloc(copy->size[i] * 2);
	uint64_t at = SEGMENT_HEADER_BYTES;
	struct verify_result result;

	assert_non_null(made);
	memcpy(made, copy->bytes[i], SEGMENT_HEADER_BYTES);
	for (unsigned f = 0; f < count; f++) {
		memcpy(made + at, frames[order[f]].start, frames[order[f]].length);
		at += frames[order[f]].length;
	}
	put_segment(&w, i + 1, made, at);
	free(made);
	result = world_verify(&w, false);
	return result;
}

static void records_moved_doubled_or_left_out_fail(void **state)
{
	static struct frame frames[FRAMES_MAX];
	static unsigned order[FRAMES_MAX];
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i < copy.segments; i++) {
		unsigned count = frames_of(copy.bytes[i], copy.size[i], frames);

		for (unsigned f = 0; f + 1 < count; f++) {
			for (unsigned n = 0; n < count; n++)
				order[n] = n == f ? f + 1 : n == f + 1 ? f : n;
			assert_false(shuffle(&copy, i, frames, order, count).pass);
			for (unsigned n = 0; n <= count; n++)
				order[n] = n <= f ? n : n - 1;
			assert_false(shuffle(&copy, i, frames, order, count + 1).pass);
			for (unsigned n = 0; n < count - 1; n++)
				order[n] = n < f ? n : n + 1;
			assert_false(shuffle(&copy, i, frames, order, count - 1).pass);
			tried += 3;
		}
		put_segment(&w, i + 1, copy.bytes[i], copy.size[i]);
	}
	put_back(&copy);
	print_message("# %u of %u records moved, doubled or left out noticed\n", tried, tried);
}

/* Any record in the place of, or before, any other one: of another session, boot or segment. */
static void records_from_elsewhere_fail(void **state)
{
	static struct frame frames[FRAMES_MAX], others[FRAMES_MAX];
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	unsigned tried = 0, rounds = tries_all() ? 50000 : 500;

	(void)state;
	random_seed(31);
	while (tried < rounds) {
		unsigned i = (unsigned)random_below(copy.segments);
		unsigned j = (unsigned)random_below(copy.segments);
		unsigned count = frames_of(copy.bytes[i], copy.size[i], frames);
		unsigned other_count = frames_of(copy.bytes[j], copy.size[j], others);
		const struct frame *at = &frames[random_below(count)];
		const struct frame *other = &others[random_below(other_count)];
		uint64_t before = (uint64_t)(at->start - copy.bytes[i]);
		uint64_t skipped = random_below(2) ? at->length : 0;
		uint64_t rest = copy.size[i] - before - skipped;
		uint8_t *made;

		if (other->start == at->start && skipped)
			continue;
		made = malloc(copy.size[i] + other->length);
		assert_non_null(made);
		memcpy(made, copy.bytes[i], before);
		memcpy(made + before, other->start, other->length);
		memcpy(made + before + other->length, at->start + skipped, rest);
		put_segment(&w, i + 1, made, before + other->length + rest);
		free(made);
		assert_false(world_verify(&w, false).pass);
		assert_false(world_verify(&w, true).pass);
		put_segment(&w, i + 1, copy.bytes[i], copy.size[i]);
		tried++;
	}
	put_back(&copy);
	print_message("# %u of %u records from elsewhere noticed\n", tried, tried);
}

static void segments_missing_or_exchanged_fail(void **state)
{
	struct log_bytes log = whole_log(), copy = copy_of(&log);

	(void)state;
	for (unsigned i = 0; i < copy.segments; i++) {
		drop_segment(&w, i + 1);
		assert_false(world_verify(&w, false).pass);
		assert_false(world_verify(&w, true).pass);
		put_segment(&w, i + 1, copy.bytes[(i + 1) % copy.segments],
			copy.size[(i + 1) % copy.segments]);
		assert_false(world_verify(&w, false).pass);
		put_segment(&w, i + 1, copy.bytes[i], copy.size[i]);
	}
	put_back(&copy);
}

/* The same number of a log that another host wrote, and of another log of this one. */
static void a_segment_of_another_log_fails(void **state)
{
	struct log_bytes log = whole_log(), copy = copy_of(&log);
	struct log_pin other_pin, pin = world_pin(&w);
	struct world other;
	struct log_bytes foreign;

	(void)state;
	make_log(&other, fake_disk_create(), LOG_BYTES);
	foreign = log_bytes(&other);
	other_pin = world_pin(&other);
	for (unsigned i = 0; i < copy.segments; i++) {
		struct verify_result result;

		put_segment(&w, i + 1, foreign.bytes[i], foreign.size[i]);
		result = world_verify(&w, false);
		assert_int_equal(result.reason, VERIFY_FOREIGN);
		/* And with the name of this log in its header. */
		memcpy(log_bytes(&w).bytes[i] + 8, pin.log_id, LOG_ID_BYTES);
		assert_false(world_verify(&w, false).pass);
		put_segment(&w, i + 1, copy.bytes[i], copy.size[i]);
	}
	/* The whole of it, under the key of this one. */
	for (unsigned i = 0; i < foreign.segments; i++)
		put_segment(&w, i + 1, foreign.bytes[i], foreign.size[i]);
	assert_false(world_verify(&w, false).pass);
	assert_memory_not_equal(other_pin.public_key, pin.public_key, PUBLIC_KEY_BYTES);
	for (unsigned i = copy.segments; i < foreign.segments; i++)
		drop_segment(&w, i + 1);
	put_back(&copy);
	fake_disk_destroy(other.disk);
}

/* Another number that means the same: s and s + L. The hash behind the signature is right. */
static void a_signature_has_one_form(void **state)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
		0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	struct log_bytes log = whole_log();
	unsigned last = log.segments - 1;
	uint8_t *end = log.bytes[last] + log.size[last], *signature = end - 32 - 64;
	static struct frame frames[FRAMES_MAX];
	unsigned count = frames_of(log.bytes[last], log.size[last], frames), carry = 0;
	struct log_pin pin = world_pin(&w);

	(void)state;
	assert_true(frames[count - 1].kind == FRAME_SIGNED);
	for (unsigned i = 0; i < 32; i++) {
		carry += signature[32 + i] + order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	chain_hash(pin.log_id, frames[count - 1].start - CHAIN_HASH_BYTES, frames[count - 1].length,
		end - CHAIN_HASH_BYTES);
	assert_int_equal(verify_with(NULL, false).reason, VERIFY_SEAL_KEY);
}

static void a_thousand_wrong_keys_fail(void **state)
{
	struct log_pin right = world_pin(&w);
	unsigned failed = 0;

	(void)state;
	whole_log();
	random_seed(7);
	for (unsigned i = 0; i < 1000; i++) {
		struct log_pin pin = right;
		struct verify_options options = {
			.storage = fake_disk_storage(w.disk), .dir = LOG_DIR, .pin = &pin};
		struct verify_result result;

		/* Near and far ones. */
		if (i < 256)
			pin.public_key[i / 8] ^= (uint8_t)(1 << i % 8);
		for (unsigned n = 0; i >= 256 && n < PUBLIC_KEY_BYTES; n++)
			pin.public_key[n] = (uint8_t)random_u64();
		assert_int_equal(verify_log(&options, &result, NULL), 0);
		failed += !result.pass && result.reason == VERIFY_HEAD_KEY;
	}
	assert_int_equal(failed, 1000);
	print_message("# %u of 1000 wrong keys refused\n", failed);
}

static void an_older_copy_fails(void **state)
{
	struct fake_disk *yesterday;
	struct verify_result result;
	struct recorder *r;
	struct error err;
	struct log_bytes older, log = whole_log(), copy = copy_of(&log);

	(void)state;
	yesterday = fake_disk_copy(w.disk);
	assert_int_equal(recorder_open(&w.options, &r, NULL), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(append_file(r, NULL, "/srv/evidence"), 0);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	assert_passes(world_verify(&w, false));

	older = copy;
	for (unsigned i = 0; i < older.segments; i++)
		put_segment(&w, i + 1, older.bytes[i], older.size[i]);
	result = world_verify(&w, false);
	assert_false(result.pass);
	assert_int_equal(result.reason, VERIFY_ENDS_EARLY);
	/* The recorder notices by its key, goes on in a new segment, and the fault stays visible.
	 */
	assert_int_equal(recorder_open(&w.options, &r, NULL), 0);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	assert_false(world_verify(&w, false).pass);
	for (unsigned i = 0; i < older.segments; i++)
		free(older.bytes[i]);

	/* The key as well: only the anchor knows, and the recorder will not go on. */
	{
		struct world back;
		uint64_t size;
		uint8_t *bytes;
		struct log_pin pin = world_pin(&w);
		char name[LOG_ID_BYTES * 2 + 8];
		struct log_head head;
		char line[LOG_LINE_BYTES];

		assert_true(world_head(&w, &pin, &head));
		world_init(&back, yesterday);
		assert_passes(world_verify(&back, false));
		log_head_format(&head, line);
		for (unsigned i = 0; i < LOG_ID_BYTES; i++)
			snprintf(name + i * 2, 3, "%02x", pin.log_id[i]);
		strcat(name, ".head");
		bytes = fake_disk_bytes(yesterday, ANCHOR_DIR, name, &size);
		assert_non_null(bytes);
		fake_disk_put(yesterday, ANCHOR_DIR, name, line, strlen(line));
		result = world_verify(&back, false);
		assert_int_equal(result.reason, VERIFY_ENDS_EARLY);
		assert_int_equal(recorder_open(&back.options, &r, &err), -ESTALE);
		fake_disk_destroy(yesterday);
	}
}

int main(void)
{
#define on_log(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		on_log(a_flipped_bit_fails_and_names_its_record),
		on_log(a_cut_at_any_byte_fails),
		on_log(a_cut_at_any_record_fails_with_an_anchor),
		on_log(a_cut_in_the_middle_fails),
		on_log(bytes_added_at_the_end_fail),
		on_log(records_moved_doubled_or_left_out_fail),
		on_log(records_from_elsewhere_fail),
		on_log(segments_missing_or_exchanged_fail),
		on_log(a_segment_of_another_log_fails),
		on_log(a_signature_has_one_form),
		on_log(a_thousand_wrong_keys_fail),
		on_log(an_older_copy_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
