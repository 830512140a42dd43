/* SPDX-License-Identifier: Apache-2.0 */

/* Figures. In emulation a time says little; its ratio to the same kernel without the meter does,
 * and so do counts. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <netinet/in.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- what one call costs ---- */

enum call { CALL_OPEN, CALL_WRITE, CALL_CONNECT, CALL_COUNT };
static const char *const call_name[] = {"open at depth 10", "write", "connect"};
#define DEEP "a/b/c/d/e/f/g/h/i/file"
#define CALLS 5000

static int connect_once(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&to, sizeof(to));
}

/* The best of five rounds each, into shared->value. */
static int time_calls(void *context)
{
	int fd = open("file", O_RDWR | O_CLOEXEC);

	(void)context;
	for (int call = 0; call < CALL_COUNT; call++) {
		int64_t best = INT64_MAX;

		for (int round = 0; round < 5; round++) {
			uint64_t begun = now_ns();
			int64_t took;
			int r = 0;

			for (int i = 0; i < CALLS && r == 0; i++) {
				if (call == CALL_OPEN)
					r = close(open(DEEP, O_RDONLY | O_CLOEXEC));
				else if (call == CALL_WRITE)
					r = pwrite(fd, "x", 1, 0) != 1;
				else
					r = connect_once();
			}
			if (r)
				return 1 + call;
			took = (int64_t)(now_ns() - begun) / CALLS;
			best = took < best ? took : best;
		}
		shared->value[call] = best;
	}
	return 0;
}

static int64_t without[CALL_COUNT];

static void make_depth(void)
{
	char path[32] = "";

	for (const char *c = "abcdefghi"; *c; c++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "%c", *c);
		mkdirat(world.directory_fd, path, 0755);
		strcat(path, "/");
	}
	make_file("file", 1);
	make_file(DEEP, 1);
}

void bench_without_meter(void)
{
	char directory[] = "/tmp/meter/without";

	mkdir(directory, 0777);
	world.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_EQ(fchdir(world.directory_fd), 0);
	make_depth();
	EXPECT_EQ(outside(time_calls, NULL), 0);
	for (int i = 0; i < CALL_COUNT; i++)
		without[i] = shared->value[i];
	own_close(&world.directory_fd);
}

static void print_costs(const char *where)
{
	for (int i = 0; i < CALL_COUNT; i++) {
		EXPECT(without[i] > 0);
		printf("# %s: %s %.2f times what it is without the meter (%lld and %lld ns here)\n",
			where, call_name[i], (double)shared->value[i] / (double)without[i],
			(long long)shared->value[i], (long long)without[i]);
	}
}

static void row_costs(void)
{
	struct meter_anchor_rule anchor = {.fd = world.directory_fd, .path = "/w", .rights = ~0u};
	struct meter_name_rule name = {.pattern = "/w/**/.env*", .no_write = true};
	struct meter_net_rule anywhere = {.last_port = UINT16_MAX, .allow = true};

	make_depth();
	EXPECT_EQ(outside(time_calls, NULL), 0);
	print_costs("outside of any run");
	world.rules = (struct meter_rules){.anchors = &anchor,
		.anchor_count = 1,
		.names = &name,
		.name_count = 1,
		.networks = &anywhere,
		.network_count = 1,
		.families = ~0ULL};
	anchor.rights &= ~(uint32_t)METER_RIGHT_SCRATCH;
	start();
	EXPECT_EQ(within(time_calls, NULL), 0);
	print_costs("in a run with rules");
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 5 * CALLS);
}

/* ---- no round goes over the cap ---- */

#define THREADS 64
#define OPERATIONS 10000
#define CAP 100
#define ROUNDS_SECONDS 60

static void *append_bytes(void *context)
{
	const int *fd = context;

	for (int i = 0; i < OPERATIONS; i++) {
		if (write(*fd, "x", 1) == 1)
			shared->done++;
		else if (errno == EPERM)
			shared->refused++;
		else
			shared->other++;
	}
	return NULL;
}

static int append_with_threads(void *context)
{
	int fd = open("log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	pthread_t threads[THREADS];

	(void)context;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, append_bytes, &fd))
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void row_rounds(void)
{
	uint64_t begun = now_ns();
	int rounds = 0;

	world.limits.cap[METER_BYTES_WRITTEN].limit = CAP;
	for (; rounds < 100 && now_ns() - begun < ROUNDS_SECONDS * 1000000000ULL; rounds++) {
		memset(shared, 0, sizeof(*shared));
		start();
		EXPECT_EQ(within(append_with_threads, NULL), 0);
		EXPECT_EQ(shared->done, CAP);
		EXPECT_EQ(shared->refused, THREADS * OPERATIONS - CAP);
		EXPECT_EQ(size_of("log"), CAP);
		EXPECT_EQ(counted(METER_BYTES_WRITTEN), CAP);
		finish();
	}
	printf("# %d rounds of %d threads with %d writes each: %d bytes in each\n", rounds, THREADS,
		OPERATIONS, CAP);
	EXPECT(rounds > 0);
}

/* ---- how fast a run stops ---- */

#define TASKS 500
static uint64_t *last_success; /* of each task, CLOCK_MONOTONIC; shared */

static int create_until_refused(int task)
{
	char name[32];

	for (int i = 0; i < 100000; i++) {
		int fd;

		snprintf(name, sizeof(name), "t%d-%d", task, i);
		fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd < 0)
			return errno == EPERM ? 0 : errno;
		last_success[task] = now_ns();
		close(fd);
	}
	return 1;
}

static int run_tasks(void *context)
{
	int failed = 0, go[2];

	(void)context;
	if (pipe2(go, O_CLOEXEC))
		return 1;
	for (int task = 0; task < TASKS; task++) {
		pid_t pid = fork();

		if (pid == 0) {
			char byte;

			/* Its end is the signal: nobody may burn the time that the others need. */
			close(go[1]);
			if (read(go[0], &byte, 1) != 0)
				_exit(1);
			_exit(create_until_refused(task));
		}
		failed += pid < 0;
	}
	close(go[1]);
	for (int task = 0; task < TASKS; task++) {
		int status;

		failed += wait(&status) < 0 || status != 0;
	}
	return failed;
}

static void crossing(void *context, const struct meter_event *event, const char *text)
{
	uint64_t *when = context;

	(void)text;
	if (event->kind == METER_EVENT_CAP)
		*when = event->time_ns;
}

static void row_stop(void)
{
	struct meter_events *events;
	struct error err = {0};
	uint64_t crossed = 0, last = 0;

	last_success = mmap(NULL, TASKS * sizeof(*last_success), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	world.limits.cap[METER_FILES_CREATED] =
		(struct meter_cap){.limit = 5000, .posture = METER_POSTURE_FROZEN};
	start();
	EXPECT_EQ(within(run_tasks, NULL), 0);
	EXPECT_EQ(counted(METER_FILES_CREATED), 5000);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_POSTURE_FROZEN);
	EXPECT_EQ(meter_events_open(world.meter, world.slot, crossing, &crossed, &events, &err), 0);
	meter_events_read(events);
	meter_events_close(events);
	for (int task = 0; task < TASKS; task++)
		last = last_success[task] > last ? last_success[task] : last;
	/* CLOCK_BOOTTIME and CLOCK_MONOTONIC are the same where nothing was suspended. */
	EXPECT(crossed != 0);
	printf("# from the crossing to the last effect of %d tasks: %.3f ms\n", TASKS,
		last > crossed ? (double)(last - crossed) / 1e6 : 0.0);
	EXPECT(last < crossed + 100 * 1000000ULL);
	munmap(last_success, TASKS * sizeof(*last_success));
}

const struct row bench_rows[] = {
	{"what calls cost is printed", row_costs, NULL},
	{"64 threads never go over a cap, in as many rounds as fit", row_rounds, NULL},
	{"five hundred tasks stop at once", row_stop, NULL},
	{NULL, NULL, NULL},
};
