/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-bytes.h"

static struct world w;

static int make(void **state)
{
	(void)state;
	world_init(&w, fake_disk_create());
	return 0;
}

static int drop(void **state)
{
	(void)state;
	fake_disk_destroy(w.disk);
	return 0;
}

static struct recorder *open_log(void)
{
	struct recorder *r;
	struct error err = {0};
	int error = recorder_open(&w.options, &r, &err);

	if (error < 0)
		fail_msg("%s", err.text);
	return r;
}

static void close_log(struct recorder *r)
{
	struct error err = {0};

	if (recorder_close(r, &err) < 0)
		fail_msg("%s", err.text);
	recorder_destroy(r);
}

/* What a log says, counted. */
struct told {
	uint64_t bodies[64];
	uint64_t lost[8]; /* by LossSource */
	uint64_t lost_of_a;
	uint64_t last_run_sequence;
	uint64_t gap; /* numbers of run "a" that are missing before its present record */
	bool gap_differs;
	uint64_t loss_before;
	Berm__Wire__Opened opened;
	int64_t step_ns;
};

static int tell(
	void *data, uint64_t segment, const struct frame *frame, const struct record_view *view)
{
	struct told *t = data;
	Berm__Wire__Record *record =
		berm__wire__record__unpack(NULL, frame->record_length, frame->record);

	(void)segment;
	assert_non_null(record);
	t->bodies[view->body]++;
	if (record->body_case == BERM__WIRE__RECORD__BODY_LOSS) {
		t->lost[record->loss->source] += record->loss->count;
		if (record->run && strcmp(record->run, "a") == 0) {
			t->lost_of_a += record->loss->count;
			t->loss_before += record->loss->count;
		}
	} else if (record->run && strcmp(record->run, "a") == 0) {
		/* What is missing in the numbers is what was declared right before. */
		t->gap_differs = t->gap_differs ||
				 record->run_sequence != t->last_run_sequence + 1 + t->loss_before;
		t->last_run_sequence = record->run_sequence;
		t->loss_before = 0;
	}
	if (record->body_case == BERM__WIRE__RECORD__BODY_OPENED) {
		t->opened = *record->opened;
		t->opened.abandoned_reason = record->opened->abandoned_reason ? "yes" : NULL;
	}
	if (record->body_case == BERM__WIRE__RECORD__BODY_CLOCK_STEP)
		t->step_ns = record->clock_step->step_ns;
	berm__wire__record__free_unpacked(record, NULL);
	return 0;
}

static struct verify_result read_log(struct told *t, bool live)
{
	struct log_pin pin = world_pin(&w);
	struct log_head head;
	struct verify_options options = {.storage = fake_disk_storage(w.disk),
		.dir = LOG_DIR,
		.pin = &pin,
		.anchor = world_head(&w, &pin, &head) ? &head : NULL,
		.live = live,
		.each = tell,
		.data = t};
	struct verify_result result;

	*t = (struct told){0};
	assert_int_equal(verify_log(&options, &result, NULL), 0);
	return result;
}

static void a_closed_log_passes(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	struct verify_result result;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(append_file(r, run, "/srv/x"), 0);
	recorder_run_end(r, run);
	close_log(r);
	result = world_verify(&w, false);
	assert_passes(result);
	assert_true(result.closed && result.anchored);
	/* Head, opened, the hundred, seal. */
	assert_int_equal(result.records, 103);
	assert_int_equal(result.seals, 1);
}

/* A log that is being written passes at every moment, also within a record. */
static void a_live_log_passes_and_says_what_is_not_sealed(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	struct verify_result result;
	struct log_bytes log;
	uint64_t whole;
	uint8_t *bytes;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(append_file(r, run, "/srv/x"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
		result = world_verify(&w, true);
		assert_passes(result);
		assert_int_equal(result.unsealed_records, i + 2);
		assert_int_equal(world_verify(&w, false).reason, VERIFY_NOT_CLOSED);
	}
	log = log_bytes(&w);
	whole = log.size[0];
	bytes = malloc(whole);
	assert_non_null(bytes);
	memcpy(bytes, log.bytes[0], whole);
	for (unsigned less = 1; less < 60; less++) {
		put_segment(&w, 1, bytes, whole - less);
		result = world_verify(&w, true);
		assert_passes(result);
		assert_true(result.torn_bytes > 0);
		assert_int_equal(world_verify(&w, false).reason, VERIFY_CUT);
	}
	put_segment(&w, 1, bytes, whole);
	free(bytes);
	close_log(r);
	assert_passes(world_verify(&w, false));
}

static void what_is_not_sealed_is_bounded(void **state)
{
	struct recorder *r;
	struct record_run *run;
	struct verify_result result;

	(void)state;
	w.options.seal_records = 100;
	w.options.seal_interval_ms = 1000000;
	r = open_log();
	run = begin_run(r, "a");
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(append_file(r, run, "/srv/x"), 0);
		if (i % 30 == 0)
			assert_int_equal(recorder_commit(r, NULL), 0);
	}
	result = world_verify(&w, true);
	assert_passes(result);
	assert_true(result.seals >= 9 && result.unsealed_records <= 100);
	recorder_destroy(r);
}

static void a_seal_is_due_by_time(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	struct recorder_status status;

	(void)state;
	assert_int_equal(recorder_commit(r, NULL), 0);
	assert_int_equal(append_file(r, run, "/srv/x"), 0);
	assert_true(recorder_due_ns(r) <= w.boot_ns + 20000000);
	assert_int_equal(recorder_commit(r, NULL), 0);
	recorder_status(r, &status);
	assert_int_equal(status.seals, 0);
	assert_true(recorder_due_ns(r) > w.boot_ns && recorder_due_ns(r) <= w.boot_ns + SECOND);
	w.boot_ns += SECOND;
	w.wall_ns += SECOND;
	assert_int_equal(recorder_commit(r, NULL), 0);
	recorder_status(r, &status);
	assert_int_equal(status.seals, 1);
	assert_true(recorder_due_ns(r) == UINT64_MAX);
	close_log(r);
	assert_passes(world_verify(&w, false));
}

static void one_noisy_run_costs_another_one_nothing(void **state)
{
	struct recorder *r = open_log();
	struct record_run *noisy = begin_run(r, "a"), *quiet = begin_run(r, "b");
	uint64_t kept = 0, lost = 0;
	char big[60000];
	struct told told;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (unsigned second = 0; second < 20; second++) {
		for (unsigned i = 0; i < 20000; i++) {
			int error = append_file(r, noisy, "/srv/noise");

			assert_true(error == 0 || error == -ENOBUFS);
			kept += error == 0;
			lost += error != 0;
			if (i % 5000 == 0)
				assert_int_equal(append_file(r, quiet, "/srv/quiet"), 0);
		}
		/* A large one too, since a ring may hold no more than it leaves free. */
		assert_int_equal(append_file(r, quiet, big), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
	}
	assert_true(lost > 100000 && kept > 10000);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_FILE], kept + 20 * 5);
	assert_int_equal(told.lost_of_a, lost);
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_QUEUE], lost);
	assert_false(told.gap_differs);
	print_message("# %llu kept, %llu lost and declared; of the other run none\n",
		(unsigned long long)kept, (unsigned long long)lost);
}

static void a_ring_of_decisions_has_room_when_activity_floods(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Trip trip = BERM__WIRE__TRIP__INIT;

	(void)state;
	while (append_file(r, run, "/srv/x") == 0)
		;
	record.body_case = BERM__WIRE__RECORD__BODY_TRIP;
	record.trip = &trip;
	assert_int_equal(recorder_append(r, run, RECORD_RING_DECISIONS, &record), 0);
	close_log(r);
	assert_passes(world_verify(&w, false));
}

static void a_run_that_ended_still_declares_its_losses(void **state)
{
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	struct told told;

	(void)state;
	assert_int_equal(append_file(r, run, "/srv/x"), 0);
	recorder_lost(r, run, RECORD_RING_ACTIVITY, BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING, 41);
	recorder_run_end(r, run);
	close_log(r);
	assert_passes(read_log(&told, false));
	assert_int_equal(told.lost[BERM__WIRE__LOSS_SOURCE__LOSS_KERNEL_RING], 41);
	assert_int_equal(told.lost_of_a, 41);
}

static void runs_come_and_go_without_end(void **state)
{
	struct recorder *r;
	struct record_run *runs[64];
	unsigned held = 0;

	(void)state;
	r = open_log();
	for (unsigned i = 0; i < 3000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		runs[i % 64] = begin_run(r, name);
		assert_int_equal(append_file(r, runs[i % 64], "/srv/x"), 0);
		recorder_run_end(r, runs[i % 64]);
		if (i % 32 == 31)
			assert_int_equal(recorder_commit(r, NULL), 0);
	}
	assert_int_equal(recorder_commit(r, NULL), 0);
	/* Shares are bounded: at some number of runs the next one is refused, not squeezed in. */
	for (;;) {
		struct record_run_info info = {.run = "x"};
		struct record_run *run;
		int error = recorder_run_begin(r, &info, &run, NULL);

		if (error < 0) {
			assert_int_equal(error, -EAGAIN);
			break;
		}
		assert_true(++held < RECORD_RUNS_MAX);
	}
	assert_true(held > 100);
	close_log(r);
	assert_passes(world_verify(&w, false));
}

static void text_is_kept_byte_for_byte(void **state)
{
	static const char hostile[] = "a\nb\"c\\\033[31m\xff\xfe{\"json\":1}\x80";
	struct recorder *r = open_log();
	struct record_run *run = begin_run(r, "a");
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT, *back;
	Berm__Wire__ExecActivity exec = BERM__WIRE__EXEC_ACTIVITY__INIT;
	ProtobufCBinaryData argv[3];
	char *large = malloc(128 << 10);
	struct log_bytes log;
	static struct frame frames[FRAMES_MAX];

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 128 << 10);
	argv[0] = (ProtobufCBinaryData){sizeof(hostile), (uint8_t *)(uintptr_t)hostile};
	argv[1] = (ProtobufCBinaryData){128 << 10, (uint8_t *)large};
	argv[2] = (ProtobufCBinaryData){0, NULL};
	exec.n_argv = 3;
	exec.argv = argv;
	record.body_case = BERM__WIRE__RECORD__BODY_EXEC;
	record.exec = &exec;
	assert_int_equal(recorder_append(r, run, RECORD_RING_ACTIVITY, &record), 0);
	/* One byte over the largest record is refused, and declared. */
	argv[0].len = 0;
	argv[1] = (ProtobufCBinaryData){RECORD_BYTES_MAX, calloc(1, RECORD_BYTES_MAX)};
	assert_int_equal(recorder_append(r, run, RECORD_RING_ACTIVITY, &record), -EMSGSIZE);
	free(argv[1].data);
	close_log(r);
	assert_passes(world_verify(&w, false));
	log = log_bytes(&w);
	frames_of(log.bytes[0], log.size[0], frames);
	back = berm__wire__record__unpack(NULL, frames[2].record_length, frames[2].record);
	assert_non_null(back);
	assert_int_equal(back->exec->n_argv, 3);
	assert_int_equal(back->exec->argv[0].len, sizeof(hostile));
	assert_memory_equal(back->exec->argv[0].data, hostile, sizeof(hostile));
	assert_memory_equal(back->exec->argv[1].data, large, 128 << 10);
	berm__wire__record__free_unpacked(back, NULL);
	free(large);
}

static void a_clock_that_was_set_is_recorded_and_passes(void **state)
{
	static const int64_t steps[] = {-3600LL * 1000000000, 315360000LL * 1000000000,
		-8000000000000000000, 4000000000000000000};
	struct told told;

	(void)state;
	for (unsigned i = 0; i < array_size(steps); i++) {
		struct recorder *r = open_log();

		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		w.wall_ns = (int64_t)((uint64_t)w.wall_ns + (uint64_t)steps[i]);
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		close_log(r);
		assert_passes(read_log(&told, false));
		assert_int_equal(told.bodies[BERM__WIRE__RECORD__BODY_CLOCK_STEP], i + 1);
		assert_true(told.step_ns == steps[i]);
	}
	/* Another boot: the boot clock begins again. */
	w.boot_ns = SECOND;
	close_log(open_log());
	assert_passes(world_verify(&w, false));
}

static void a_segment_ends_by_size_and_by_age(void **state)
{
	struct recorder *r;
	struct recorder_status status;

	(void)state;
	w.options.segment_bytes = 4000;
	r = open_log();
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
		assert_int_equal(recorder_commit(r, NULL), 0);
	}
	recorder_status(r, &status);
	assert_true(status.segment > 3);
	close_log(r);
	w.options.segment_bytes = 0;
	w.options.segment_age_ms = 60000;
	r = open_log();
	assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	assert_int_equal(recorder_commit(r, NULL), 0);
	w.boot_ns += 61 * SECOND;
	w.wall_ns += 61 * SECOND;
	assert_int_equal(append_file(r, NULL, "/srv/x"), 0);
	assert_int_equal(recorder_commit(r, NULL), 0);
	assert_int_equal(log_bytes(&w).segments, status.segment + 1);
	close_log(r);
	assert_passes(world_verify(&w, false));
}

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
	close_log(r);
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

/* Fault list, rows 25 and 26. */
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
		if (i % 10 == 9 || i > 990)
			assert_passes(world_verify(&w, false));
	}
	assert_passes(world_verify(&w, false));
	print_message("# 1000 sessions, %u crashes, %u segments: all pass\n", crashes,
		log_bytes(&w).segments);
}

int main(void)
{
#define on_disk(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		on_disk(a_closed_log_passes),
		on_disk(a_live_log_passes_and_says_what_is_not_sealed),
		on_disk(what_is_not_sealed_is_bounded),
		on_disk(a_seal_is_due_by_time),
		on_disk(one_noisy_run_costs_another_one_nothing),
		on_disk(a_ring_of_decisions_has_room_when_activity_floods),
		on_disk(a_run_that_ended_still_declares_its_losses),
		on_disk(runs_come_and_go_without_end),
		on_disk(text_is_kept_byte_for_byte),
		on_disk(a_clock_that_was_set_is_recorded_and_passes),
		on_disk(a_segment_ends_by_size_and_by_age),
		on_disk(removed_segments_pass_only_where_the_log_says_so),
		on_disk(a_full_disk_leaves_room_for_last_words),
		on_disk(room_that_comes_back_is_used),
		on_disk(a_failed_sync_is_final),
		on_disk(an_anchor_that_fails_is_counted_or_final),
		on_disk(keys_and_log_belong_together),
		on_disk(a_damaged_end_is_left_behind_and_said),
		on_disk(a_thousand_restarts_rotations_and_crashes_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
