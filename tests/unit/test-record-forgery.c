/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-bytes.h"

#include <sodium.h>

/* Logs made anew by somebody who can write every byte of them, computes every hash, and holds some
 * key: none, one of his own, or the recorder's present ones. Records are unpacked, changed,
 * numbered and packed again, so that nothing but signatures can tell. */

#define FORGED_MAX (1 << 20)

enum signer {
	SIGNS_NOT,     /* signatures are left as they were */
	SIGNS_ZERO,    /* bytes of zero */
	SIGNS_SMALL,   /* a sum of zero, under a key that is no more than a point of small order */
	SIGNS_OWN,     /* an own pair of keys, and heads and seals that name it */
	SIGNS_PRESENT, /* the keys in the key file, named likewise */
};

struct forger {
	const struct world *w;
	enum signer signer;
	struct keys *keys; /* SIGNS_PRESENT */
	uint8_t own_public[PUBLIC_KEY_BYTES];
	uint8_t own_secret[crypto_sign_SECRETKEYBYTES];
	uint64_t from; /* records before this number stay as they are */
	bool strip;    /* leave seals out */
	bool renumber;
	uint8_t hash[CHAIN_HASH_BYTES];
	uint64_t sequence;
	uint64_t since_seal;
	struct log_pin pin;
	uint8_t *made;
	uint64_t at;
};

static struct world w;

static int make(void **state)
{
	(void)state;
	make_log(&w, fake_disk_create(), 24000);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	fake_disk_destroy(w.disk);
	return 0;
}

static void name_own_key(struct forger *f, ProtobufCBinaryData *field, enum signed_kind kind)
{
	if (f->signer == SIGNS_OWN || f->signer == SIGNS_SMALL)
		memcpy(field->data, f->own_public, PUBLIC_KEY_BYTES);
	if (f->signer == SIGNS_PRESENT)
		keys_public(f->keys, kind, 0, field->data);
}

static void forge_signature(
	struct forger *f, enum signed_kind kind, size_t length, const uint8_t *old)
{
	uint8_t digest[SIGNED_DIGEST_BYTES], *to = f->made + f->at + length;

	signed_digest(kind, f->pin.log_id, f->made + f->at - CHAIN_HASH_BYTES,
		CHAIN_HASH_BYTES + length, digest);
	switch (f->signer) {
	case SIGNS_NOT:
		memcpy(to, old, SIGNATURE_BYTES);
		break;
	case SIGNS_ZERO:
		memset(to, 0, SIGNATURE_BYTES);
		break;
	case SIGNS_SMALL:
		memset(to, 0, SIGNATURE_BYTES);
		memcpy(to, f->own_secret, PUBLIC_KEY_BYTES);
		break;
	case SIGNS_OWN:
		crypto_sign_detached(to, NULL, digest, sizeof(digest), f->own_secret);
		break;
	case SIGNS_PRESENT:
		keys_sign(f->keys, kind, digest, to);
		break;
	}
}

/* One record as the forger wants it. */
static void forge(struct forger *f, const struct frame *frame)
{
	Berm__Wire__Record *record =
		berm__wire__record__unpack(NULL, frame->record_length, frame->record);
	bool keep, is_seal;
	size_t length;

	assert_non_null(record);
	is_seal = record->body_case == BERM__WIRE__RECORD__BODY_SEAL;
	keep = record->sequence < f->from;
	if (f->strip && is_seal && !keep) {
		berm__wire__record__free_unpacked(record, NULL);
		return;
	}
	if (f->renumber)
		record->sequence = f->sequence + 1;
	if (!keep && record->body_case == BERM__WIRE__RECORD__BODY_FILE &&
		record->sequence % 7 == 0)
		record->file->path.data[1] = 'X';
	if (!keep && is_seal) {
		record->seal->records = f->since_seal;
		name_own_key(f, &record->seal->next_public_key, SIGNED_SEAL);
	}
	if (!keep && record->body_case == BERM__WIRE__RECORD__BODY_SEGMENT_HEAD) {
		name_own_key(f, &record->segment_head->seal_public_key, SIGNED_SEAL);
		name_own_key(f, &record->segment_head->next_head_public_key, SIGNED_HEAD);
	}
	length = berm__wire__record__pack(record, f->made + f->at + FRAME_HEADER_BYTES);
	frame_write_header(f->made + f->at, frame->kind, length);
	length += FRAME_HEADER_BYTES;
	if (frame->kind == FRAME_SIGNED) {
		if (keep)
			memcpy(f->made + f->at + length, frame->signature, SIGNATURE_BYTES);
		else
			forge_signature(
				f, is_seal ? SIGNED_SEAL : SIGNED_HEAD, length, frame->signature);
		length += SIGNATURE_BYTES;
	}
	chain_hash(f->pin.log_id, f->made + f->at - CHAIN_HASH_BYTES, CHAIN_HASH_BYTES + length,
		f->hash);
	memcpy(f->made + f->at + length, f->hash, CHAIN_HASH_BYTES);
	f->at += length + CHAIN_HASH_BYTES;
	f->sequence = record->sequence;
	f->since_seal = frame->kind == FRAME_SIGNED ? 0 : f->since_seal + 1;
	berm__wire__record__free_unpacked(record, NULL);
}

/* All of the log, in its place. */
static void forge_log(struct forger *f)
{
	static struct frame frames[FRAMES_MAX];
	struct log_bytes log = log_bytes(f->w);

	f->pin = world_pin(f->w);
	f->made = malloc(FORGED_MAX);
	assert_non_null(f->made);
	if (f->signer == SIGNS_PRESENT)
		assert_int_equal(
			keys_load(fake_disk_storage(f->w->disk), KEY_DIR, &f->keys, NULL), 0);
	if (f->signer == SIGNS_OWN)
		crypto_sign_keypair(f->own_public, f->own_secret);
	for (unsigned i = 0; i < log.segments; i++) {
		unsigned count = frames_of(log.bytes[i], log.size[i], frames);
		struct segment_header header;

		assert_true(segment_header_read(log.bytes[i], &header));
		memcpy(header.previous_hash, f->hash, CHAIN_HASH_BYTES);
		segment_header_write(f->made, &header);
		f->at = SEGMENT_HEADER_BYTES;
		for (unsigned n = 0; n < count; n++)
			forge(f, &frames[n]);
		put_segment(f->w, i + 1, f->made, f->at);
	}
	free(f->made);
	keys_destroy(f->keys);
}

static struct verify_result judge(const struct log_pin *pin, bool live)
{
	struct verify_options options = {
		.storage = fake_disk_storage(w.disk), .dir = LOG_DIR, .pin = pin, .live = live};
	struct verify_result result;

	assert_int_equal(verify_log(&options, &result, NULL), 0);
	return result;
}

static uint64_t last_record(void)
{
	struct verify_result result = world_verify(&w, false);

	assert_passes(result);
	return result.sequence;
}

/* A forger that changes nothing makes the same log: what fails below fails for what was changed. */
static void an_unchanged_copy_passes(void **state)
{
	struct forger f = {.w = &w, .signer = SIGNS_NOT, .from = UINT64_MAX};

	(void)state;
	forge_log(&f);
	assert_passes(world_verify(&w, false));
}

static void hashes_computed_anew_do_not_help(void **state)
{
	struct fake_disk *clean = w.disk;
	uint64_t last = last_record();
	unsigned tried = 0;

	(void)state;
	/* From each record on; neither anchor nor closing is needed to see it. */
	for (uint64_t from = 2; from + 8 < last; from += 3) {
		struct forger f = {.w = &w, .signer = SIGNS_NOT, .from = from};
		struct log_pin pin;

		w.disk = fake_disk_copy(clean);
		forge_log(&f);
		pin = world_pin(&w);
		assert_false(judge(&pin, true).pass);
		fake_disk_destroy(w.disk);
		tried++;
	}
	w.disk = clean;
	print_message("# %u of %u logs with new hashes noticed without an anchor\n", tried, tried);
}

static void a_log_without_its_seals_fails(void **state)
{
	struct forger f = {
		.w = &w, .signer = SIGNS_NOT, .from = 2, .strip = true, .renumber = true};
	struct log_pin pin = world_pin(&w);

	(void)state;
	forge_log(&f);
	assert_false(judge(&pin, false).pass);
	assert_false(judge(&pin, true).pass);
	assert_false(world_verify(&w, true).pass);
}

static void signatures_of_zero_fail(void **state)
{
	struct forger f = {.w = &w, .signer = SIGNS_ZERO, .from = 1};

	(void)state;
	forge_log(&f);
	assert_int_equal(world_verify(&w, true).reason, VERIFY_HEAD_KEY);
}

static void a_log_signed_with_another_key_fails_under_the_pinned_one(void **state)
{
	struct forger f = {.w = &w, .signer = SIGNS_OWN, .from = 1};
	struct log_pin pin = world_pin(&w), own;
	struct verify_result result;

	(void)state;
	forge_log(&f);
	result = judge(&pin, false);
	assert_int_equal(result.reason, VERIFY_HEAD_KEY);
	/* It is a good log by itself up to its first seal: the keys in it say nothing. */
	own = pin;
	memcpy(own.public_key, f.own_public, PUBLIC_KEY_BYTES);
	result = judge(&own, false);
	assert_true(result.pass);
}

/* Under such a key and with such a point, a verifier that only does the sum takes one signature of
 * eight for any content at all, whoever made it. The points of order 1, 2, 4 and 8 of the curve,
 * and other ways to write them (RFC 8032, 5.1.3, refuses these). */
static void a_key_of_small_order_signs_nothing(void **state)
{
	static const char *const points[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	unsigned tried = 0;

	(void)state;
	for (unsigned key = 0; key < array_size(points); key++)
		for (unsigned point = 0; point < array_size(points); point++) {
			struct forger f = {.w = &w, .signer = SIGNS_SMALL, .from = 1};
			struct log_pin pin = world_pin(&w);

			assert_int_equal(sodium_hex2bin(f.own_public, PUBLIC_KEY_BYTES, points[key],
						 64, NULL, NULL, NULL),
				0);
			assert_int_equal(sodium_hex2bin(f.own_secret, PUBLIC_KEY_BYTES,
						 points[point], 64, NULL, NULL, NULL),
				0);
			forge_log(&f);
			/* Even where that is the key which was pinned. */
			memcpy(pin.public_key, f.own_public, PUBLIC_KEY_BYTES);
			assert_int_equal(judge(&pin, true).reason, VERIFY_HEAD_KEY);
			tried++;
		}
	print_message("# %u of %u keys and points of small order refused\n", tried, tried);
}

/* Whoever takes the keys at the end of the log changes what was before. */
static void todays_keys_cannot_sign_what_was(void **state)
{
	struct fake_disk *clean = w.disk;
	uint64_t last = last_record();
	unsigned tried = 0;

	(void)state;
	for (uint64_t from = 1; from + 1 < last; from += from < 40 ? 1 : 5) {
		struct forger f = {.w = &w, .signer = SIGNS_PRESENT, .from = from};
		struct log_pin pin;

		w.disk = fake_disk_copy(clean);
		forge_log(&f);
		pin = world_pin(&w);
		/* Without an anchor, and as somebody who says that it is being written. */
		if (judge(&pin, true).pass)
			fail_msg("passes from record %llu on", (unsigned long long)from);
		fake_disk_destroy(w.disk);
		tried++;
	}
	w.disk = clean;
	print_message("# %u of %u logs signed with today's keys noticed\n", tried, tried);
}

/* The last seal but one of the last segment, and the key that it names. */
static struct frame earlier_seal(
	const struct log_bytes *log, uint64_t *ret_epoch, uint8_t ret_key[PUBLIC_KEY_BYTES])
{
	static struct frame frames[FRAMES_MAX];
	unsigned i = log->segments - 1, seals = 0;
	unsigned count = frames_of(log->bytes[i], log->size[i], frames);

	for (unsigned n = count; n-- > 0;) {
		Berm__Wire__Record *record =
			berm__wire__record__unpack(NULL, frames[n].record_length, frames[n].record);
		bool found = record->body_case == BERM__WIRE__RECORD__BODY_SEAL && seals++ == 1;

		if (found) {
			*ret_epoch = record->seal->epoch + 1;
			memcpy(ret_key, record->seal->next_public_key.data, PUBLIC_KEY_BYTES);
		}
		berm__wire__record__free_unpacked(record, NULL);
		if (found)
			return frames[n];
	}
	fail_msg("the last segment has but one seal");
	return frames[0];
}

static size_t forge_abandoning_head(struct forger *f, const struct frame *seal,
	uint64_t previous_end, uint64_t epoch, uint8_t *seal_key)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__SegmentHead head = BERM__WIRE__SEGMENT_HEAD__INIT;
	struct segment_header header = {.segment = keys_number(f->keys, SIGNED_HEAD)};
	struct record_view view;
	size_t length;

	assert_true(record_view_read(seal->record, seal->record_length, &view));
	memcpy(header.log_id, f->pin.log_id, LOG_ID_BYTES);
	memcpy(header.previous_hash, seal->hash, CHAIN_HASH_BYTES);
	segment_header_write(f->made, &header);
	f->at = SEGMENT_HEADER_BYTES;
	head.has_version = head.has_segment = head.has_previous_end = head.has_abandoned = true;
	head.has_seal_epoch = head.has_seal_records = head.has_log_id = true;
	head.has_seal_public_key = head.has_next_head_public_key = true;
	head.version = 1;
	head.segment = header.segment;
	head.previous_end = previous_end;
	head.abandoned = true;
	head.seal_epoch = epoch;
	head.seal_records = 100;
	head.log_id = (ProtobufCBinaryData){LOG_ID_BYTES, header.log_id};
	head.seal_public_key = (ProtobufCBinaryData){PUBLIC_KEY_BYTES, seal_key};
	head.next_head_public_key = (ProtobufCBinaryData){PUBLIC_KEY_BYTES, f->own_public};
	record.has_sequence = record.has_timestamp = record.has_boot_ns = true;
	record.sequence = view.sequence + 1;
	record.boot_ns = view.boot_ns;
	record.body_case = BERM__WIRE__RECORD__BODY_SEGMENT_HEAD;
	record.segment_head = &head;
	length = berm__wire__record__pack(&record, f->made + f->at + FRAME_HEADER_BYTES);
	frame_write_header(f->made + f->at, FRAME_SIGNED, length);
	forge_signature(f, SIGNED_HEAD, FRAME_HEADER_BYTES + length, NULL);
	length += FRAME_HEADER_BYTES + SIGNATURE_BYTES;
	chain_hash(f->pin.log_id, f->made + f->at - CHAIN_HASH_BYTES, CHAIN_HASH_BYTES + length,
		f->made + f->at + length);
	return f->at + length + CHAIN_HASH_BYTES;
}

/* Whoever takes the head key may say that the end of a segment was abandoned; he cannot bring in a
 * key of his own by that, so that nothing can be sealed after it. */
static void an_abandoned_end_does_not_bring_in_another_key(void **state)
{
	struct forger f = {.w = &w, .signer = SIGNS_PRESENT};
	struct recorder *r;
	struct log_bytes log;
	struct frame seal;
	uint64_t epoch = 0, end, size;
	uint8_t certified[PUBLIC_KEY_BYTES], *kept;
	unsigned last;

	(void)state;
	assert_int_equal(recorder_open(&w.options, &r, NULL), 0);
	assert_int_equal(recorder_seal(r, NULL), 0);
	assert_int_equal(append_file(r, NULL, "/srv/evidence"), 0);
	assert_int_equal(recorder_close(r, NULL), 0);
	recorder_destroy(r);
	log = log_bytes(&w);
	last = log.segments;
	seal = earlier_seal(&log, &epoch, certified);
	end = (uint64_t)(seal.start - log.bytes[last - 1]) + seal.length;
	f.pin = world_pin(&w);
	f.made = malloc(FORGED_MAX);
	kept = malloc(end);
	assert_true(f.made && kept);
	memcpy(kept, log.bytes[last - 1], end);
	assert_int_equal(keys_load(fake_disk_storage(w.disk), KEY_DIR, &f.keys, NULL), 0);
	crypto_sign_keypair(f.own_public, f.own_secret);

	size = forge_abandoning_head(&f, &seal, end, epoch, f.own_public);
	put_segment(&w, last, kept, end);
	put_segment(&w, last + 1, f.made, size);
	assert_int_equal(judge(&f.pin, true).reason, VERIFY_HEAD);
	/* With the key that the seal named the head fits, but nobody has that key any more. */
	seal.start = kept + end - seal.length;
	seal.record = seal.start + FRAME_HEADER_BYTES;
	seal.hash = kept + end - CHAIN_HASH_BYTES;
	size = forge_abandoning_head(&f, &seal, end, epoch, certified);
	put_segment(&w, last + 1, f.made, size);
	assert_true(judge(&f.pin, true).pass);
	assert_int_equal(judge(&f.pin, false).reason, VERIFY_NOT_CLOSED);
	assert_int_equal(world_verify(&w, true).reason, VERIFY_ENDS_EARLY);
	keys_destroy(f.keys);
	free(f.made);
	free(kept);
}

/* The key file of one moment never holds a state of a moment before: no key in it is one that has
 * signed. */
static void the_key_file_holds_no_key_that_has_signed(void **state)
{
	static struct frame frames[FRAMES_MAX];
	struct log_bytes log = log_bytes(&w);
	struct log_pin pin = world_pin(&w);
	uint8_t now[2][PUBLIC_KEY_BYTES];
	struct keys *keys;
	uint64_t size;
	uint8_t *file;
	unsigned empty = 0, seen = 0;

	(void)state;
	/* One of the two places is wiped, before anybody loads them again. */
	file = fake_disk_bytes(w.disk, KEY_DIR, KEYS_FILE, &size);
	for (unsigned place = 0; place < 2; place++)
		empty += sodium_is_zero(file + place * 4096, 208);
	assert_int_equal(empty, 1);

	assert_int_equal(keys_load(fake_disk_storage(w.disk), KEY_DIR, &keys, NULL), 0);
	keys_public(keys, SIGNED_HEAD, 0, now[SIGNED_HEAD]);
	keys_public(keys, SIGNED_SEAL, 0, now[SIGNED_SEAL]);
	for (unsigned i = 0; i < log.segments; i++) {
		unsigned count = frames_of(log.bytes[i], log.size[i], frames);

		for (unsigned n = 0; n < count; n++)
			for (unsigned kind = 0; kind < SIGNED_KIND_COUNT; kind++) {
				assert_false(frame_is_signed_by(
					&frames[n], (enum signed_kind)kind, pin.log_id, now[kind]));
				seen += frames[n].kind == FRAME_SIGNED;
			}
	}
	assert_true(seen > 8);
	keys_destroy(keys);
}

int main(void)
{
#define on_log(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		on_log(an_unchanged_copy_passes),
		on_log(hashes_computed_anew_do_not_help),
		on_log(a_log_without_its_seals_fails),
		on_log(signatures_of_zero_fail),
		on_log(a_log_signed_with_another_key_fails_under_the_pinned_one),
		on_log(a_key_of_small_order_signs_nothing),
		on_log(todays_keys_cannot_sign_what_was),
		on_log(an_abandoned_end_does_not_bring_in_another_key),
		on_log(the_key_file_holds_no_key_that_has_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
