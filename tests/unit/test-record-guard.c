/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

#include <sodium.h>

/* A recorder among others that handle its files, and callers that hand it what is no record. */

static void no_two_recorders_sign_with_the_same_keys(void **state)
{
	struct recorder *r = open_log(), *second;
	struct recorder_options elsewhere = w.options;
	struct error err;

	(void)state;
	/* Somebody cleared up: the second one makes a lock file of its own. */
	fake_disk_drop(w.disk, LOG_DIR, "lock");
	assert_int_equal(recorder_open(&w.options, &second, &err), -EWOULDBLOCK);
	elsewhere.log_dir = 3;
	assert_int_equal(recorder_open(&elsewhere, &second, &err), -EWOULDBLOCK);
	assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	close_log(r);
	assert_passes(world_verify(&w, false));
	close_log(open_log());
}

static void a_segment_that_somebody_else_touches_takes_no_more_records(void **state)
{
	static const char *const ways[] = {"removed", "cut", "emptied", "longer", "sealed end"};

	(void)state;
	for (unsigned way = 0; way < array_size(ways); way++) {
		struct recorder *r;
		struct recorder_status before, after;
		struct log_bytes log;
		uint8_t *copy;
		uint64_t size;

		fake_disk_destroy(w.disk);
		world_init(&w, fake_disk_create());
		r = open_log();
		assert_int_equal(append_file(r, NULL, "/srv/1"), 0);
		assert_int_equal(recorder_seal(r, NULL), 0);
		log = log_bytes(&w);
		size = log.size[0];
		assert_int_equal(append_file(r, NULL, "/srv/2"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
		log = log_bytes(&w);
		copy = calloc(1, log.size[0] + 4096);
		assert_non_null(copy);
		memcpy(copy, log.bytes[0], log.size[0]);
		recorder_status(r, &before);
		if (way == 0)
			drop_segment(&w, 1);
		else
			put_segment(&w, 1, copy,
				way == 1   ? log.size[0] - 10
				: way == 2 ? 0
				: way == 3 ? log.size[0] + 4096
					   : size);
		assert_int_equal(append_file(r, NULL, "/srv/3"), 0);
		assert_int_equal(recorder_commit(r, NULL), -ESTALE);
		recorder_status(r, &after);
		assert_true(after.failed && after.durable == before.durable);
		recorder_destroy(r);
		/* It can be gone on with; that something is missing stays visible where it is. */
		close_log(open_log());
		assert_int_equal(world_verify(&w, false).pass, way == 1 || way >= 3);
		free(copy);
	}
}

static void expect_malformed(struct recorder *r, struct record_run *run, Berm__Wire__Record *record)
{
	assert_int_equal(recorder_append(r, run, RECORD_RING_ACTIVITY, record), -EINVAL);
}

static void what_a_verifier_would_refuse_is_not_taken(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	uint8_t one[] = {1};
	ProtobufCMessageUnknownField unknown = {.tag = 99,
		.wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
		.len = 1,
		.data = one};
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__FileActivity file = BERM__WIRE__FILE_ACTIVITY__INIT;
	Berm__Wire__Evidence evidence = BERM__WIRE__EVIDENCE__INIT;
	struct told told;
	unsigned refused = 0;

	(void)state;
	assert_int_equal(append_file(r, run, "/srv/1"), 0);
	/* No body. */
	expect_malformed(r, run, &record);
	record.body_case = BERM__WIRE__RECORD__BODY_FILE;
	record.file = &file;
	record.evidence = &evidence;
	/* Fields that nobody knows, as a newer client or a hostile one would send, at each level.
	 */
	record.base.n_unknown_fields = 1;
	record.base.unknown_fields = &unknown;
	expect_malformed(r, run, &record);
	record.base.n_unknown_fields = 0;
	file.base.n_unknown_fields = 1;
	file.base.unknown_fields = &unknown;
	expect_malformed(r, run, &record);
	file.base.n_unknown_fields = 0;
	evidence.base.n_unknown_fields = 1;
	evidence.base.unknown_fields = &unknown;
	expect_malformed(r, run, &record);
	refused = 4;
	assert_int_equal(append_file(r, run, "/srv/2"), 0);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 2);
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED], refused);
	assert_int_equal(told.lost_of_a, refused);
	assert_false(told.gap_differs);
}

/* A run that could say this would end the log, excuse removed segments, or hide what it lost. */
static void nobody_else_says_what_only_the_recorder_says(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	union {
		ProtobufCMessage base;
		Berm__Wire__SegmentHead head;
		Berm__Wire__Seal seal;
		Berm__Wire__Opened opened;
		Berm__Wire__Loss loss;
		Berm__Wire__ClockStep step;
		Berm__Wire__Retention retention;
		Berm__Wire__Trouble trouble;
	} body;
	const ProtobufCMessageDescriptor *const record_type = &berm__wire__record__descriptor;
	struct told told;
	unsigned bodies = 0;

	(void)state;
	for (unsigned i = 0; i < record_type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &record_type->fields[i];
		Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;

		if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
			field->id >= BERM__WIRE__RECORD__BODY_RUN_START)
			continue;
		protobuf_c_message_init(field->descriptor, &body);
		record.body_case = (Berm__Wire__Record__BodyCase)field->id;
		record.seal = &body.seal;
		expect_malformed(r, run, &record);
		expect_malformed(r, NULL, &record);
		bodies++;
	}
	assert_int_equal(bodies, 7);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_RETENTION], 0);
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_MALFORMED], 14);
}

/* A full disk with a seal in the queue: what comes after it cannot be sealed until that one is. */
static void what_waits_behind_a_seal_is_bounded(void **state)
{
	struct recorder *r;
	struct told told;
	uint64_t kept = 0, lost = 0;
	int error = 0;

	(void)state;
	w.options.anchor = NULL;
	w.options.seal_records = 100;
	w.options.queue_bytes = 8 << 20;
	fake_disk_limit(w.disk, 150000);
	r = open_log();
	while (error == 0) {
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		error = recorder_seal(r, NULL);
		kept++;
	}
	assert_int_equal(error, -ENOSPC);
	for (unsigned i = 0; i < 20000; i++) {
		error = append_file(r, NULL, "/srv/x");
		assert_true(error == 0 || error == -ENOBUFS);
		kept += error == 0;
		lost += error != 0;
	}
	assert_true(lost > 0);
	fake_disk_limit(w.disk, 0);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], kept);
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE], lost);
}

static void a_segment_grows_old_while_nobody_writes(void **state)
{
	struct recorder *r;

	(void)state;
	w.options.segment_age_ms = 60000;
	for (unsigned i = 0; i < 8; i++) {
		r = open_log();
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
		close_log(r);
		/* Another boot, and another ten seconds; no session lasts as long as a segment. */
		w.boot_ns = 5 * SECOND;
		w.wall_ns += 10 * SECOND;
	}
	assert_int_equal(log_bytes(&w).segments, 2);
	/* A clock that was set back makes nothing old, one that was set ahead only once. */
	w.wall_ns -= 1000000 * SECOND;
	close_log(open_log());
	assert_int_equal(log_bytes(&w).segments, 2);
	w.wall_ns += 9000000 * SECOND;
	for (unsigned i = 0; i < 3; i++) {
		r = open_log();
		assert_int_equal(recorder_seal(r, NULL), 0);
		close_log(r);
	}
	assert_int_equal(log_bytes(&w).segments, 3);
	assert_passes(world_verify(&w, false));
}

/* A slot as keys.c defines it, with numbers of our own and a checksum that is right. */
static void put_number(uint8_t *slot, size_t at, uint64_t number)
{
	static const uint8_t personal[16] = "berm key file 1";

	for (unsigned i = 0; i < 8; i++)
		slot[at + i] = (uint8_t)(number >> 8 * i);
	crypto_generichash_blake2b_salt_personal(
		slot + 176, 32, slot, 176, NULL, 0, NULL, personal);
}

static void numbers_that_cannot_be_in_a_key_file_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint64_t number;
	} rows[] = {
		{24, 0},                                                     /* generation */
		{32, 0}, {32, SEGMENT_NUMBER_MAX + 2}, {32, UINT64_MAX},     /* next head */
		{40, 0},                                                     /* next seal */
		{112, UINT64_MAX}, {112, SEGMENT_NUMBER_MAX + 1}, {112, 77}, /* segment */
		{120, 0}, {120, 31}, {120, UINT64_MAX}, {120, 1ULL << 63},   /* offset */
	};
	struct recorder *r = open_log();
	struct error err;
	uint64_t size;
	uint8_t *file, *slot, saved[208];

	(void)state;
	close_log(r);
	close_log(open_log());
	file = fake_disk_bytes(w.disk, KEY_DIR, KEYS_FILE, &size);
	assert_non_null(file);
	slot = sodium_is_zero(file, 208) ? file + 4096 : file;
	memcpy(saved, slot, sizeof(saved));
	/* The checksum is the one that it was: this is where it is, and what it is over. */
	put_number(slot, 24, (uint64_t)saved[24] | (uint64_t)saved[25] << 8);
	assert_memory_equal(slot, saved, sizeof(saved));
	for (unsigned i = 0; i < array_size(rows); i++) {
		memcpy(slot, saved, sizeof(saved));
		put_number(slot, rows[i].at, rows[i].number);
		assert_int_equal(recorder_open(&w.options, &r, &err), -EBADMSG);
	}
	memcpy(slot, saved, sizeof(saved));
	close_log(open_log());
	assert_passes(world_verify(&w, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(no_two_recorders_sign_with_the_same_keys),
		on_disk(a_segment_that_somebody_else_touches_takes_no_more_records),
		on_disk(what_a_verifier_would_refuse_is_not_taken),
		on_disk(nobody_else_says_what_only_the_recorder_says),
		on_disk(what_waits_behind_a_seal_is_bounded),
		on_disk(a_segment_grows_old_while_nobody_writes),
		on_disk(numbers_that_cannot_be_in_a_key_file_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
