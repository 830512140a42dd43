/* SPDX-License-Identifier: Apache-2.0 */
#include "log-old.h"

#include "base/own.h"
#include "record/recorder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DAY_MS (24ULL * 3600 * 1000)
#define DAY_NS (DAY_MS * 1000000)

static const struct {
	const char *id;
	uint64_t keep_ms;
} runs[] = {
	{"01JD7Z3K9QAAAAAAAAAAAAAAAA", DAY_MS},
	{"01JD7Z3K9QBBBBBBBBBBBBBBBB", 365 * DAY_MS},
	{"01JD7Z3K9QCCCCCCCCCCCCCCCC", 7 * 365 * DAY_MS},
	{"01JD7Z3K9QDDDDDDDDDDDDDDDD", DAY_MS},
};

struct old {
	struct recorder *recorder;
	struct record_time now;
	int log_dir;
	uint64_t aged; /* segments that have their time */
	bool failed;
};

static void old_clock(void *context, struct record_time *ret_time)
{
	const struct old *o = context;

	*ret_time = o->now;
}

static uint64_t present(const struct old *o)
{
	struct recorder_status status;

	recorder_status(o->recorder, &status);
	return status.segment;
}

static void append(struct old *o, struct record_run *run, Berm__Wire__Record *record)
{
	struct error err = {0};

	if (recorder_append(o->recorder, run, RECORD_RING_DECISIONS, record) == 0 &&
		recorder_commit(o->recorder, &err) == 0)
		return;
	fprintf(stderr, "log-show: %s\n", err.text);
	o->failed = true;
}

/* Until it reaches over two ends of segments. */
static void deny(struct old *o, struct record_run *run)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__Denial denial = BERM__WIRE__DENIAL__INIT;
	char operation[] = "read";
	uint64_t until = present(o) + 2;

	denial.operation = operation;
	record.body_case = BERM__WIRE__RECORD__BODY_DENIAL;
	record.denial = &denial;
	while (!o->failed && present(o) < until)
		append(o, run, &record);
}

static void write_run(struct old *o, const char *id, uint64_t keep_ms)
{
	const struct record_run_info info = {.run = id};
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	Berm__Wire__RunEnd over = BERM__WIRE__RUN_END__INIT;
	uint64_t first = present(o);
	struct record_run *run = NULL;

	o->failed |= recorder_run_begin(o->recorder, &info, &run, NULL) < 0;
	if (o->failed)
		return;
	start.has_keep_ms = true;
	start.keep_ms = keep_ms;
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	append(o, run, &record);
	deny(o, run);
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &over;
	append(o, run, &record);
	recorder_run_end(o->recorder, run);
	printf("%s %llu %llu\n", id, (unsigned long long)first, (unsigned long long)present(o));
}

/* Files are as old as what is in them. */
static void age_files(struct old *o)
{
	const struct timespec then = {.tv_sec = o->now.wall_ns / 1000000000};
	const struct timespec times[2] = {then, then};
	char name[SEGMENT_NAME_BYTES];

	for (; o->aged < present(o); o->aged++) {
		segment_name(o->aged + 1, name);
		o->failed |= utimensat(o->log_dir, name, times, 0) < 0;
	}
}

int log_write_old(int state_dir)
{
	struct old o = {.now = {.boot_ns = 1000000000000}};
	struct recorder_options options = {.storage = &storage_system,
		.create = true,
		.segment_bytes = 1500,
		.segment_age_ms = 100 * 365 * DAY_MS,
		.clock = old_clock,
		.clock_context = &o};
	struct error err = {0};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	o.now.wall_ns = (int64_t)now.tv_sec * 1000000000 - (int64_t)(3 * 365 * DAY_NS);
	o.failed = mkdirat(state_dir, "log", 0750) < 0 || mkdirat(state_dir, "keys", 0700) < 0;
	o.log_dir = options.log_dir = openat(state_dir, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	options.key_dir = openat(state_dir, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o.failed || recorder_open(&options, &o.recorder, &err) < 0) {
		fprintf(stderr, "log-show: no log: %s\n", err.text);
		return 2;
	}
	for (size_t i = 0; i < array_size(runs); i++) {
		write_run(&o, runs[i].id, runs[i].keep_ms);
		o.now.wall_ns += DAY_NS;
		o.now.boot_ns += DAY_NS;
	}
	o.failed |= recorder_close(o.recorder, &err) < 0;
	age_files(&o);
	recorder_destroy(o.recorder);
	return o.failed ? 2 : 0;
}
