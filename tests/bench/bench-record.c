/* SPDX-License-Identifier: Apache-2.0 */
/* Records a second, written sealed and durable, and verified: bench-record DIRECTORY [RECORDS]
 * The directory must be on a disk; log and keys stay in it. */

#include "activity.h"

#include "record/keys.h"
#include "record/recorder.h"
#include "record/verify.h"

#include "base/io.h"
#include "base/number.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int make_directory(const char *parent, const char *name)
{
	autofree char *path = NULL;

	if (asprintf(&path, "%s/%s", parent, name) < 0)
		return -1;
	mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static uint64_t boot_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int append(struct recorder *r, struct record_run *run, uint64_t n)
{
	struct activity a;

	return recorder_append(r, run, RECORD_RING_ACTIVITY, activity_make(&a, n));
}

/* A producer that never waits: a full queue is committed at once, else the interval decides. */
static int produce(struct recorder *r, struct record_run *run, uint64_t records, struct error *err)
{
	for (uint64_t n = 0; n < records; n++) {
		int error = append(r, run, n);

		if (error == 0 && (n & 63) == 0 && boot_now() >= recorder_due_ns(r))
			error = recorder_commit(r, err);
		if (error < 0)
			return error;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t records = 2000000;
	struct recorder_options options = {.storage = &storage_system, .create = true};
	struct record_run_info info = {.agent_id = "coding-agent",
		.run = "01JD7Z3K9QX8V5T2W4Y6R0S1PA",
		.group = "team-a",
		.profile_digest = (const uint8_t *)"0123456789abcdef0123456789abcdef",
		.enforcement = RECORD_ENFORCED_MOUNT | RECORD_ENFORCED_SECCOMP};
	struct verify_options verify = {.storage = &storage_system};
	struct verify_result result;
	struct recorder *r;
	struct record_run *run;
	struct recorder_status status;
	struct error err = {0};
	struct rusage usage;
	struct log_pin pin;
	char line[LOG_LINE_BYTES];
	double start, end, before;
	int fd;
	ssize_t n;

	if (argc < 2 || (argc > 2 && !number_parse_u64(argv[2], &records))) {
		fprintf(stderr, "usage: bench-record DIRECTORY [RECORDS]\n");
		return 2;
	}
	options.log_dir = make_directory(argv[1], "log");
	options.key_dir = make_directory(argv[1], "keys");
	if (recorder_open(&options, &r, &err) < 0 || recorder_run_begin(r, &info, &run, &err) < 0) {
		fprintf(stderr, "bench-record: %s\n", err.text);
		return 1;
	}
	start = now();
	if (produce(r, run, records, &err) < 0 || recorder_close(r, &err) < 0) {
		fprintf(stderr, "bench-record: %s\n", err.text);
		return 1;
	}
	end = now();
	recorder_status(r, &status);
	recorder_destroy(r);
	getrusage(RUSAGE_SELF, &usage);
	printf("write: %.0f records/s, %llu records, %llu seals, commit interval 20 ms, "
	       "%.1f s, cpu %.1f s, peak %ld KiB, lost %llu\n",
		(double)records / (end - start), (unsigned long long)records,
		(unsigned long long)status.seals, end - start, cpu_seconds(), usage.ru_maxrss,
		(unsigned long long)status.lost);

	fd = openat(options.key_dir, KEYS_PIN_FILE, O_RDONLY | O_CLOEXEC);
	n = read(fd, line, sizeof(line));
	if (n <= 0 || log_pin_parse(line, (size_t)n, &pin, &err) < 0)
		return 1;
	close(fd);
	verify.dir = options.log_dir;
	verify.pin = &pin;
	start = now();
	before = cpu_seconds();
	if (verify_log(&verify, &result, &err) < 0)
		return 1;
	end = now();
	printf("verify: %.0f records/s, cpu %.2f s, %s, %llu records, %.0f bytes each\n",
		(double)result.records / (end - start), cpu_seconds() - before,
		verify_reason_word(result.reason), (unsigned long long)result.records,
		(double)result.bytes / (double)result.records);
	return !result.pass;
}
