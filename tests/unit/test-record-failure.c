/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

/* What goes wrong around the recorder, and what is left of the log then. */

static void removed_segments_pass_only_where_the_log_says_so(void **state)
{
	struct recorder *r;
	struct verify_result result;
	struct log_bytes log;
	struct frame head;
	uint8_t stub[1024];

	(void)state;
	w.options.segment_bytes = 3000;
	r = open_log();
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
	}
	assert_int_equal(recorder_remove(r, 1000, "age", NULL), -EINVAL);
	assert_int_equal(recorder_remove(r, 2, "age", NULL), 0);
	close_log(r);
	result = world_verify(&w, false);
	assert_passes(result);
	assert_int_equal(result.removed_segments, 2);
	/* The third by hand. */
	log = log_bytes(&w);
	assert_true(log.segments > 4);
	assert_int_equal(frame_read(log.bytes[2] + 64, log.size[2] - 64, &head), FRAME_WHOLE);
	assert_true(64 + head.length <= sizeof(stub));
	memcpy(stub, log.bytes[2], 64 + head.length);
	put_segment(&w, 3, stub, 64 + head.length);
	result = world_verify(&w, false);
	assert_int_equal(result.reason, VERIFY_REMOVED);
	assert_int_equal(result.segment, 3);
}

static void a_full_disk_leaves_room_for_last_words(void **state)
{
	struct recorder *r;
	struct record_run *run;
	struct recorder_status status;
	struct told told;
	uint64_t kept = 0;
	int error = 0;

	(void)state;
	w.options.anchor = NULL;
	fake_disk_limit(w.disk, 200000);
	r = open_log();
	run = begin_run(r, "a");
	while (error == 0) {
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(append_file(r, run, "/srv/x"), 0);
		error = recorder_commit(r, NULL);
		kept += error == 0 ? 20 : 0;
		assert_true(kept < 10000);
	}
	assert_int_equal(error, -ENOSPC);
	/* It may be tried again, and nothing of it is there. */
	assert_int_equal(recorder_commit(r, NULL), -ENOSPC);
	recorder_status(r, &status);
	assert_false(status.failed);
	assert_true(status.reserve);
	assert_int_equal(recorder_trouble(r, "reserve", ENOSPC, NULL), 0);
	assert_int_equal(append_file(r, run, "/srv/x"), -EIO);
	recorder_destroy(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], kept);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TROUBLE], 1);
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_STORAGE], 20);
	fake_disk_limit(w.disk, 0);
	close_log(open_log());
	assert_passes(world_verify(&w, false));
}

/* It takes the log up on a disk that is full already: nothing was committed before its last words.
 */
static void last_words_of_a_recorder_that_never_committed_verify(void **state)
{
	struct recorder *r;
	struct told told;
	unsigned queued = 0;

	(void)state;
	w.options.anchor = NULL;
	/* What the segment gets is enough for a few words, and later nothing more is to be had. */
	fake_disk_limit(w.disk, 120000);
	r = open_log();
	assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	close_log(r);
	r = open_log();
	while (queued < 1000 && append_file(r, NULL, "/srv/lost") == 0)
		queued++;
	assert_int_equal(recorder_commit(r, NULL), -ENOSPC);
	assert_int_equal(recorder_trouble(r, "write", ENOSPC, NULL), 0);
	recorder_destroy(r);
	fake_disk_limit(w.disk, 0);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_TROUBLE], 1);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_OPENED], 2);
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 1);
	close_log(open_log());
	assert_passes(world_verify(&w, false));
}

static void room_that_comes_back_is_used(void **state)
{
	struct recorder *r;
	struct told told;
	uint64_t n = 0;

	(void)state;
	w.options.anchor = NULL;
	fake_disk_limit(w.disk, 150000);
	r = open_log();
	do
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	while (++n && recorder_seal(r, NULL) == 0);
	assert_int_equal(append_file(r, NULL, "/srv/y"), 0);
	fake_disk_limit(w.disk, 0);
	assert_int_equal(recorder_commit(r, NULL), 0);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], n + 1);
}

static void a_failed_sync_is_final(void **state)
{
	struct recorder *r = open_log();
	struct recorder_status status;
	struct told told;

	(void)state;
	assert_int_equal(append_file(r, NULL, "/srv/1"), 0);
	assert_int_equal(recorder_commit(r, NULL), 0);
	assert_int_equal(append_file(r, NULL, "/srv/2"), 0);
	/* The write goes well, the sync does not. */
	fake_disk_fault(w.disk, FAKE_FAULT_ONCE, 2, EIO);
	assert_int_equal(recorder_commit(r, NULL), -EIO);
	recorder_status(r, &status);
	assert_true(status.failed);
	assert_int_equal(status.durable, status.sequence - 1);
	assert_int_equal(recorder_commit(r, NULL), -EIO);
	assert_int_equal(append_file(r, NULL, "/srv/3"), -EIO);
	assert_int_equal(recorder_close(r, NULL), -EIO);
	recorder_destroy(r);
	/* Opened anew: what the page cache still shows is written again before it counts. */
	recorder_destroy(open_log());
	fake_disk_crash(w.disk, FAKE_CRASH_LOSE);
	close_log(open_log());
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], 2);
}

static void an_anchor_that_fails_is_counted_or_final(void **state)
{
	struct recorder *r = open_log();
	struct recorder_status status;
	char line[] = "not a head\n", name[64];
	struct log_pin pin = world_pin(&w);

	(void)state;
	for (unsigned i = 0; i < LOG_ID_BYTES; i++)
		snprintf(name + i * 2, 3, "%02x", pin.log_id[i]);
	strcat(name, ".head");
	fake_disk_put(w.disk, ANCHOR_DIR, name, line, strlen(line));
	assert_int_equal(recorder_seal(r, NULL), 0);
	recorder_status(r, &status);
	assert_int_equal(status.anchor_failures, 1);
	close_log(r);
	w.options.anchor_required = true;
	assert_true(recorder_open(&w.options, &r, NULL) < 0);
	fake_disk_drop(w.disk, ANCHOR_DIR, name);
	r = open_log();
	fake_disk_put(w.disk, ANCHOR_DIR, name, line, strlen(line));
	assert_true(recorder_seal(r, NULL) < 0);
	recorder_status(r, &status);
	assert_true(status.failed);
	recorder_destroy(r);
}

static void keys_and_log_belong_together(void **state)
{
	struct recorder *r = open_log(), *second;
	struct error err;
	uint64_t size;
	uint8_t *bytes, copy[8192];

	(void)state;
	assert_int_equal(recorder_open(&w.options, &second, &err), -EWOULDBLOCK);
	assert_int_equal(recorder_is_writing(w.options.storage, LOG_DIR), 1);
	close_log(r);
	assert_int_equal(recorder_is_writing(w.options.storage, LOG_DIR), 0);
	assert_int_equal(recorder_is_writing(w.options.storage, ANCHOR_DIR), 0);
	bytes = fake_disk_bytes(w.disk, KEY_DIR, KEYS_FILE, &size);
	assert_non_null(bytes);
	assert_true(size <= sizeof(copy));
	memcpy(copy, bytes, size);
	/* Another bit anywhere in the slot that counts. */
	for (unsigned place = 0; place < 2; place++)
		bytes[place * 4096 + 50] ^= 1;
	assert_int_equal(recorder_open(&w.options, &second, &err), -EBADMSG);
	fake_disk_drop(w.disk, KEY_DIR, KEYS_FILE);
	assert_int_equal(recorder_open(&w.options, &second, &err), -ENOKEY);
	/* Written by fake_disk_put() with mode 0640: readable by others. */
	fake_disk_put(w.disk, KEY_DIR, KEYS_FILE, copy, size);
	assert_int_equal(recorder_open(&w.options, &second, &err), -EPERM);
	w.options.create = false;
	fake_disk_drop(w.disk, KEY_DIR, KEYS_FILE);
	drop_segment(&w, 1);
	assert_int_equal(recorder_open(&w.options, &second, &err), -ENOENT);
}

static void a_damaged_end_is_left_behind_and_said(void **state)
{
	struct told told;
	struct log_bytes log;
	struct recorder *r = open_log();

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	close_log(r);
	log = log_bytes(&w);
	/* After the closing seal nothing can be damaged, so the seal itself. */
	log.bytes[0][log.size[0] - 1] ^= 1;
	close_log(open_log());
	assert_int_equal(log_bytes(&w).segments, 2);
	assert_false(read_log(&told, false).pass);
	/* Mended by hand, the rest is as it was: the chain goes on over it. */
	log = log_bytes(&w);
	log.bytes[0][log.size[0] - 1] ^= 1;
	assert_passes(read_log(&told, false));
	assert_non_null(told.opened.abandoned_reason);
	assert_true(told.opened.recovered);
}

/* After the last seal there is only the hash: what does not fit it was never acknowledged, or was
 * changed while nobody wrote. It goes, and what is after it. */
static void a_tail_is_kept_up_to_the_first_byte_that_differs(void **state)
{
	static struct frame frames[FRAMES_MAX];

	(void)state;
	for (unsigned hit = 2; hit < 7; hit++) {
		struct recorder *r;
		struct log_bytes log;
		struct told told;
		struct frame *frame = &frames[hit];

		fake_disk_destroy(w.disk);
		world_init(&w, fake_disk_create());
		r = open_log();
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(append_file(r, NULL, "/srv/xxxxxxxx"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
		recorder_destroy(r);
		log = log_bytes(&w);
		assert_int_equal(frames_of(log.bytes[0], log.size[0], frames), 7);
		/* A letter of the path: as a record it is as good as before. */
		log.bytes[0][frame->record - log.bytes[0] + frame->record_length - 6] ^= 1;
		close_log(open_log());
		assert_passes(read_log(&told, false));
		assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], hit - 2);
		assert_true(told.opened.recovered);
		assert_int_equal(told.opened.unsealed_records, hit - 1);
		assert_true(told.opened.dropped_bytes > 0);
	}
}

static void a_thousand_restarts_rotations_and_crashes_pass(void **state)
{
	unsigned crashes = 0;

	(void)state;
	random_seed(11);
	w.options.segment_bytes = 6000;
	w.options.queue_bytes = 1;
	for (unsigned i = 0; i < 1000; i++) {
		struct recorder *r = open_log();
		unsigned what = random_below(4), count = random_below(4);

		for (unsigned n = 0; n < count; n++) {
			assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
			if (random_below(3) == 0)
				assert_int_equal(recorder_commit(r, NULL), 0);
		}
		if (what == 0) {
			recorder_destroy(r);
			fake_disk_crash(w.disk, (enum fake_crash)random_below(FAKE_CRASH_COUNT));
			crashes++;
			close_log(open_log());
		} else {
			close_log(r);
		}
		if (random_below(100) == 0)
			w.boot_ns = random_below(1000) * SECOND;
		if (i % 25 == 24 || i > 995)
			assert_passes(world_verify(&w, false));
	}
	assert_passes(world_verify(&w, false));
	print_message("# 1000 sessions, %u crashes, %u segments: all pass\n", crashes,
		log_bytes(&w).segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(removed_segments_pass_only_where_the_log_says_so),
		on_disk(a_full_disk_leaves_room_for_last_words),
		on_disk(last_words_of_a_recorder_that_never_committed_verify),
		on_disk(room_that_comes_back_is_used),
		on_disk(a_failed_sync_is_final),
		on_disk(an_anchor_that_fails_is_counted_or_final),
		on_disk(keys_and_log_belong_together),
		on_disk(a_damaged_end_is_left_behind_and_said),
		on_disk(a_tail_is_kept_up_to_the_first_byte_that_differs),
		on_disk(a_thousand_restarts_rotations_and_crashes_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
