/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/io.h"
#include "daemon/retention.h"
#include "record/pin.h"
#include "record/verify.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Logs on a real disk, written with a clock of the test's own. */

#define DAY_NS (24LL * 3600 * 1000000000)
#define DAY_MS (24ULL * 3600 * 1000)
#define START_NS (1700000000LL * 1000000000)

struct log {
	char top[64];
	int log_dir, key_dir, state_dir;
	int64_t wall_ns;
	struct recorder *recorder;
};

static void clock_of(void *context, struct record_time *ret_time)
{
	struct log *log = context;

	log->wall_ns += 1000;
	*ret_time = (struct record_time){
		.wall_ns = log->wall_ns, .boot_ns = (uint64_t)(log->wall_ns - START_NS + 1000)};
}

static int directory(const char *top, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void make(struct log *log)
{
	struct recorder_options options = {.storage = &storage_system,
		.create = true,
		.segment_bytes = 1500,
		.segment_age_ms = 365ULL * DAY_MS * 100,
		.clock = clock_of,
		.clock_context = log};
	struct error err = {0};

	*log = (struct log){.top = "/tmp/berm-retention-XXXXXX", .wall_ns = START_NS};
	assert_non_null(mkdtemp(log->top));
	log->log_dir = directory(log->top, "log");
	log->key_dir = directory(log->top, "keys");
	log->state_dir = open(log->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.log_dir = log->log_dir;
	options.key_dir = log->key_dir;
	if (recorder_open(&options, &log->recorder, &err) < 0)
		fail_msg("%s", err.text);
}

static void finish(struct log *log)
{
	recorder_destroy(log->recorder);
	close(log->log_dir);
	close(log->key_dir);
	close(log->state_dir);
}

static uint64_t present(const struct log *log)
{
	struct recorder_status status;

	recorder_status(log->recorder, &status);
	return status.segment;
}

/* The files are as old as what is in them. */
static void age_files(const struct log *log, uint64_t from)
{
	for (uint64_t segment = from; segment <= present(log); segment++) {
		const struct timespec then = {.tv_sec = log->wall_ns / 1000000000};
		const struct timespec times[2] = {then, then};
		char name[SEGMENT_NAME_BYTES];

		segment_name(segment, name);
		assert_int_equal(utimensat(log->log_dir, name, times, 0), 0);
	}
}

static void append(struct log *log, struct record_run *run, Berm__Wire__Record *record)
{
	assert_int_equal(recorder_append(log->recorder, run, RECORD_RING_DECISIONS, record), 0);
	assert_int_equal(recorder_commit(log->recorder, NULL), 0);
}

static struct record_run *begin(struct log *log, const char *id, uint64_t keep_ms)
{
	const struct record_run_info info = {.run = id};
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	struct record_run *run = NULL;

	assert_int_equal(recorder_run_begin(log->recorder, &info, &run, NULL), 0);
	start.has_keep_ms = true;
	start.keep_ms = keep_ms;
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	append(log, run, &record);
	return run;
}

static void end(struct log *log, struct record_run *run)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd over = BERM__WIRE__RUN_END__INIT;

	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &over;
	append(log, run, &record);
	recorder_run_end(log->recorder, run);
}

/* Records until the segment is another one. */
static void fill(struct log *log, struct record_run *run)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial denial = BERM__WIRE__DENIAL__INIT;
	char operation[] = "read";
	uint64_t now = present(log);

	denial.operation = operation;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &denial;
	for (unsigned i = 0; i < 200 && present(log) == now; i++)
		append(log, run, &record);
	assert_true(present(log) > now);
}

/* One run in a segment of its own, or a little more, then `days` go by. */
static void run_for(struct log *log, const char *id, uint64_t keep_ms, unsigned days)
{
	uint64_t first = present(log);
	struct record_run *run = begin(log, id, keep_ms);

	fill(log, run);
	end(log, run);
	age_files(log, first);
	log->wall_ns += (int64_t)days * DAY_NS;
}

static int apply(struct log *log, uint64_t max_bytes)
{
	const struct retention_request request = {.log_dir = log->log_dir,
		.state_dir = log->state_dir,
		.max_bytes = max_bytes,
		.now_ns = log->wall_ns};
	const struct timespec then = {.tv_sec = log->wall_ns / 1000000000};
	const struct timespec times[2] = {then, then};
	struct stat before = {0}, after;
	struct error err = {0};
	int r;

	(void)!fstatat(log->log_dir, RETENTION_FILE, &before, 0);

	r = retention_apply(&request, log->recorder, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	/* Where the file was written, it was by the real clock. */
	if (fstatat(log->log_dir, RETENTION_FILE, &after, 0) == 0 && after.st_ino != before.st_ino)
		(void)!utimensat(log->log_dir, RETENTION_FILE, times, 0);
	return r;
}

static uint64_t bytes_of(const struct log *log, uint64_t segment)
{
	char name[SEGMENT_NAME_BYTES];
	struct stat st;

	segment_name(segment, name);
	assert_int_equal(fstatat(log->log_dir, name, &st, 0), 0);
	return (uint64_t)st.st_size;
}

static void what_was_kept_long_enough_goes_and_the_rest_stays(void **state)
{
	struct log log;

	(void)state;
	make(&log);
	run_for(&log, "a", 90 * DAY_MS, 50);
	run_for(&log, "b", 90 * DAY_MS, 50);
	run_for(&log, "c", 90 * DAY_MS, 0);
	/* 100 and 50 days later. */
	assert_int_equal(apply(&log, 0), 1);
	assert_true(bytes_of(&log, 1) < bytes_of(&log, 2));
	finish(&log);
}

/* A run of ten years in the first segment keeps what comes after it too: order is never broken. */
static void nothing_goes_before_what_is_older(void **state)
{
	struct log log;

	(void)state;
	make(&log);
	run_for(&log, "long", 3650 * DAY_MS, 1);
	run_for(&log, "short", 1 * DAY_MS, 100);
	run_for(&log, "last", 1 * DAY_MS, 100);
	assert_int_equal(apply(&log, 0), 0);
	log.wall_ns += 3650 * DAY_NS;
	assert_true(apply(&log, 0) >= 2);
	finish(&log);
}

static void it_is_looked_at_once_a_day(void **state)
{
	struct log log;

	(void)state;
	make(&log);
	run_for(&log, "a", 2 * DAY_MS, 1);
	run_for(&log, "b", 2 * DAY_MS, 0);
	assert_int_equal(apply(&log, 0), 0);
	log.wall_ns += DAY_NS - 1000000000;
	assert_int_equal(apply(&log, 0), 0);
	log.wall_ns += 3LL * 1000000000;
	assert_int_equal(apply(&log, 0), 1);
	finish(&log);
}

/* Its start is in one segment, its records in the next ones. */
static void a_run_over_several_segments_is_kept_as_a_whole(void **state)
{
	struct record_run *run;
	struct log log;

	(void)state;
	make(&log);
	run = begin(&log, "wide", 400 * DAY_MS);
	fill(&log, run);
	fill(&log, run);
	fill(&log, run);
	end(&log, run);
	age_files(&log, 1);
	log.wall_ns += 399 * DAY_NS;
	assert_int_equal(apply(&log, 0), 0);
	assert_int_equal(unlinkat(log.log_dir, RETENTION_FILE, 0), 0);
	log.wall_ns += 2 * DAY_NS;
	assert_int_equal(apply(&log, 0), 3);
	finish(&log);
}

static void a_hold_keeps_everything(void **state)
{
	struct log log;
	int fd;

	(void)state;
	make(&log);
	run_for(&log, "a", DAY_MS, 500);
	run_for(&log, "b", DAY_MS, 500);
	fd = openat(log.state_dir, RETENTION_HOLD, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(apply(&log, 1), 0);
	assert_int_equal(unlinkat(log.state_dir, RETENTION_HOLD, 0), 0);
	assert_true(apply(&log, 0) > 0);
	finish(&log);
}

static void a_size_lets_old_ones_go_early(void **state)
{
	struct log log;
	uint64_t last;

	(void)state;
	make(&log);
	for (unsigned i = 0; i < 6; i++)
		run_for(&log, "x", 3650 * DAY_MS, 2);
	last = present(&log);
	assert_true(apply(&log, 4000) > 0);
	assert_true(bytes_of(&log, 1) < bytes_of(&log, last - 1));
	finish(&log);
}

/* A segment in which something is no record is evidence. */
static void a_damaged_segment_stays(void **state)
{
	char name[SEGMENT_NAME_BYTES];
	struct log log;
	int fd;

	(void)state;
	make(&log);
	run_for(&log, "a", DAY_MS, 500);
	run_for(&log, "b", DAY_MS, 500);
	segment_name(1, name);
	fd = openat(log.log_dir, name, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, (off_t)bytes_of(&log, 1) / 2), 4);
	close(fd);
	age_files(&log, 1);
	log.wall_ns += 500 * DAY_NS;
	assert_int_equal(apply(&log, 0), 0);
	finish(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_kept_long_enough_goes_and_the_rest_stays),
		cmocka_unit_test(nothing_goes_before_what_is_older),
		cmocka_unit_test(it_is_looked_at_once_a_day),
		cmocka_unit_test(a_run_over_several_segments_is_kept_as_a_whole),
		cmocka_unit_test(a_hold_keeps_everything),
		cmocka_unit_test(a_size_lets_old_ones_go_early),
		cmocka_unit_test(a_damaged_segment_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
