/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder's process costs a run: bench-recorder STATE_DIRECTORY [RECORDS]
 * The directory must be on a disk; log and keys stay in it. This program is the recorder as well.
 */

#include "activity.h"

#include "base/io.h"
#include "base/number.h"
#include "daemon/recorder-client.h"
#include "daemon/recorder-place.h"
#include "daemon/recorder-role.h"
#include "daemon/role.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define RUNS 500
#define FLOODERS 8
#define BATCH 256
#define OPEN_MAX 8192

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void show(const char *what, double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	printf("%-58s median %.0f us, 90 %% %.0f us\n", what, values[count / 2],
		values[count * 9 / 10]);
}

static struct recorder_client *open_client(const char *state, unsigned number)
{
	static char run[32];
	struct recorder_client_options options = {.state = state};
	struct recorder_client *client;
	struct error err = {0};

	snprintf(run, sizeof(run), "01M82Q1GM904MMB0GB7%07u", number);
	options.info.run = run;
	if (recorder_client_open(&options, &client, &err) < 0) {
		fprintf(stderr, "bench-recorder: %s\n", err.text);
		exit(1);
	}
	return client;
}

static void append_start(struct recorder_client *client)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunStart start = BERM__WIRE__RUN_START__INIT;
	char profile[] = "coding-agent", by[] = "mount+landlock, seccomp, network namespace";
	ProtobufCBinaryData argv[3] = {
		{7, (uint8_t *)"/bin/sh"}, {2, (uint8_t *)"-c"}, {9, (uint8_t *)"make test"}};

	start.profile = profile;
	start.enforced_by = by;
	start.argv = argv;
	start.n_argv = 3;
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_START;
	record.run_start = &start;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
}

static void append_end(struct recorder_client *client)
{
	Berm__Wire__Record record = BERM__WIRE__RECORD__INIT;
	Berm__Wire__RunEnd end = BERM__WIRE__RUN_END__INIT;
	char outcome[] = "exited";

	end.outcome = outcome;
	record.body_case = BERM__WIRE__RECORD__BODY_RUN_END;
	record.run_end = &end;
	recorder_client_append(client, RECORD_RING_DECISIONS, &record);
}

static void append_activity(struct recorder_client *client, uint64_t n)
{
	struct activity a;

	recorder_client_append(client, RECORD_RING_ACTIVITY, activity_make(&a, n));
}

static int check(int r, const struct error *err)
{
	if (r < 0) {
		fprintf(stderr, "bench-recorder: %s\n", err->text);
		exit(1);
	}
	return r;
}

static int own_directory(const char *state, const char *name)
{
	autofree char *path = NULL;

	if (asprintf(&path, "%s/library-%s", state, name) < 0)
		return -1;
	mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The same records without a process, on the same disk in the same minute: what the machine gives
 * today. Returns records a second. */
static double library(const char *state, uint64_t records)
{
	autoclose int log = own_directory(state, "log"), keys = own_directory(state, "keys");
	const struct recorder_options options = {
		.storage = &storage_system, .log_dir = log, .key_dir = keys, .create = true};
	const struct record_run_info info = {.run = "01M82Q1GM904MMB0GB70900000"};
	struct record_run *run = NULL;
	struct recorder *r = NULL;
	struct error err = {0};
	double start, rate;

	check(recorder_open(&options, &r, &err), &err);
	check(recorder_run_begin(r, &info, &run, &err), &err);
	start = now_us();
	for (uint64_t n = 0; n < records; n++) {
		struct activity a;
		struct timespec t;

		check(recorder_append(r, run, RECORD_RING_ACTIVITY, activity_make(&a, n)), &err);
		if (n % 64 != 0)
			continue;
		clock_gettime(CLOCK_BOOTTIME, &t);
		if ((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec >= recorder_due_ns(r))
			check(recorder_commit(r, &err), &err);
	}
	check(recorder_close(r, &err), &err);
	rate = (double)records / (now_us() - start) * 1e6;
	recorder_destroy(r);
	printf("%-58s %.0f records/s\n", "the library alone, sealed and durable", rate);
	return rate;
}

/* What stands in the way of a run: what it sends before its walls, and what it waits for at its
 * end. */
static void runs(const char *state)
{
	static double sent[RUNS], ready[RUNS], ended[RUNS];
	const struct timespec walls = {.tv_nsec = 3000000};
	struct error err = {0};

	for (unsigned i = 0; i < RUNS; i++) {
		double start = now_us();
		struct recorder_client *client = open_client(state, i);

		append_start(client);
		sent[i] = now_us() - start;
		nanosleep(&walls, NULL);
		start = now_us();
		check(recorder_client_ready(client, &err), &err);
		ready[i] = now_us() - start;
		append_end(client);
		start = now_us();
		check(recorder_client_finish(client, false, RECORDER_PATIENCE_MS, &err), &err);
		ended[i] = now_us() - start;
		recorder_client_close(client);
	}
	show("start: connect and send", sent, RUNS);
	show("start: wait for the recorder when the walls stand", ready, RUNS);
	show("end: wait until the receipt is on the disk", ended, RUNS);
}

static void first_start(const char *state)
{
	struct error err = {0};
	double start = now_us();
	struct recorder_client *client = open_client(state, 900000);

	append_start(client);
	check(recorder_client_ready(client, &err), &err);
	printf("%-58s %.1f ms\n", "start of a recorder that is not there",
		(now_us() - start) / 1e3);
	append_end(client);
	check(recorder_client_finish(client, false, RECORDER_PATIENCE_MS, &err), &err);
	recorder_client_close(client);
}

static uint64_t unacknowledged(const struct recorder_client *client)
{
	struct recorder_client_status status;

	recorder_client_status(client, &status);
	return status.told - status.durable;
}

static void wait_for_room(struct recorder_client *client)
{
	struct error err = {0};

	check(recorder_client_handle(client, &err), &err);
	while (unacknowledged(client) > OPEN_MAX) {
		struct pollfd fd = {.fd = recorder_client_fd(client), .events = POLLIN};

		poll(&fd, 1, 1000);
		check(recorder_client_handle(client, &err), &err);
	}
}

/* As fast as it is taken, without a loss. */
static void sustained(const char *state, uint64_t records, unsigned count, double alone)
{
	struct recorder_client *clients[FLOODERS];
	struct error err = {0};
	uint64_t lost = 0;
	double start, rate;
	char what[64];

	for (unsigned i = 0; i < count; i++) {
		clients[i] = open_client(state, 900000 + i);
		append_start(clients[i]);
		check(recorder_client_ready(clients[i], &err), &err);
	}
	start = now_us();
	for (uint64_t n = 0; n < records; n++) {
		struct recorder_client *client = clients[n / BATCH % count];

		append_activity(client, n);
		if (n % BATCH == BATCH - 1)
			wait_for_room(client);
	}
	for (unsigned i = 0; i < count; i++) {
		struct recorder_client_status status;

		append_end(clients[i]);
		check(recorder_client_finish(clients[i], false, 60000, &err), &err);
		recorder_client_status(clients[i], &status);
		lost += status.lost;
		recorder_client_close(clients[i]);
	}
	rate = (double)records / (now_us() - start) * 1e6;
	snprintf(what, sizeof(what), "sustained, durable, %u run%s, %d open at most each", count,
		count == 1 ? "" : "s", OPEN_MAX);
	printf("%-58s %.0f records/s (%.2f of the library's), lost %llu\n", what, rate,
		rate / alone, (unsigned long long)lost);
}

/* Runs that send without ever waiting; what does not fit is counted. */
static void flood(const char *state, uint64_t records)
{
	struct recorder_client *clients[FLOODERS];
	uint64_t lost = 0;
	struct error err = {0};
	double start;

	for (unsigned i = 0; i < FLOODERS; i++) {
		clients[i] = open_client(state, 900010 + i);
		append_start(clients[i]);
		check(recorder_client_ready(clients[i], &err), &err);
	}
	start = now_us();
	for (uint64_t n = 0; n < records; n++) {
		append_activity(clients[n % FLOODERS], n);
		if (n % 512 == 511)
			for (unsigned i = 0; i < FLOODERS; i++)
				check(recorder_client_handle(clients[i], &err), &err);
	}
	for (unsigned i = 0; i < FLOODERS; i++) {
		struct recorder_client_status status;

		append_end(clients[i]);
		check(recorder_client_finish(clients[i], false, 60000, &err), &err);
		recorder_client_status(clients[i], &status);
		lost += status.lost;
		recorder_client_close(clients[i]);
	}
	printf("%-58s %.0f records/s kept, %llu of %llu lost and declared\n",
		"flood of eight runs that never wait",
		(double)(records - lost) / (now_us() - start) * 1e6, (unsigned long long)lost,
		(unsigned long long)records);
}

static void memory(const char *state)
{
	autoclose int fd = recorder_place_connect(state);
	autofree char *words = NULL;
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	char path[64];
	const char *peak;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)peer.pid);
	if (io_read_file(AT_FDCWD, path, 65536, &words, NULL, NULL) < 0)
		return;
	peak = strstr(words, "VmHWM:");
	if (!peak)
		return;
	peak += strlen("VmHWM:");
	peak += strspn(peak, " \t");
	printf("%-58s %.*s\n", "most memory that the recorder held (32 MiB allowed)",
		(int)strcspn(peak, "\n"), peak);
}

int main(int argc, char **argv)
{
	uint64_t records = 2000000;
	double alone;

	if (role_find(argc, argv) == ROLE_RECORDER)
		return role_main(ROLE_RECORDER, argc, argv);
	if (argc < 2 || (argc > 2 && !number_parse_u64(argv[2], &records))) {
		fprintf(stderr, "usage: bench-recorder STATE_DIRECTORY [RECORDS]\n");
		return 2;
	}
	first_start(argv[1]);
	runs(argv[1]);
	alone = library(argv[1], records);
	sustained(argv[1], records, 1, alone);
	sustained(argv[1], records, FLOODERS, alone);
	flood(argv[1], records);
	memory(argv[1]);
	return 0;
}
