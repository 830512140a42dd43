/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "log-world.h"

#include "log-told.h"

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

int main(void)
{
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
