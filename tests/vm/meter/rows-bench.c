/* SPDX-License-Identifier: Apache-2.0 */

/* Figures that are counts, or times that emulation only makes longer. What calls cost is in
 * rows-cost.c. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* ---- no round goes over the cap ---- */

#define THREADS 64
#define OPERATIONS 10000
#define CAP 100
#define ROUNDS 100

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
	int good = 0;

	world.limits.cap[METER_BYTES_WRITTEN].limit = CAP;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned failures = world.failures;

		memset(shared, 0, sizeof(*shared));
		start();
		EXPECT_EQ(within(append_with_threads, NULL), 0);
		EXPECT_EQ(shared->done, CAP);
		EXPECT_EQ(shared->refused, THREADS * OPERATIONS - CAP);
		EXPECT_EQ(size_of("log"), CAP);
		EXPECT_EQ(counted(METER_BYTES_WRITTEN), CAP);
		finish();
		good += world.failures == failures;
		if (round % 10 == 9)
			printf("# %d of %d rounds so far\n", good, round + 1);
	}
	printf("# %d of %d rounds of %d threads with %d writes each let exactly %d through; %.0f "
	       "s\n",
		good, ROUNDS, THREADS, OPERATIONS, CAP, (double)(now_ns() - begun) / 1e9);
	EXPECT_EQ(good, ROUNDS);
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

/* Names in the row's directory; removes them. */
static uint64_t count_names(void)
{
	DIR *directory = opendir(".");
	struct dirent *entry;
	uint64_t count = 0;

	while (directory && (entry = readdir(directory)))
		count += entry->d_name[0] == 't' && unlink(entry->d_name) == 0;
	if (directory)
		closedir(directory);
	return count;
}

/* The run crosses a cap; nobody in user space does anything. */
static void stop_at_once(uint32_t posture, uint64_t at_most_ns)
{
	struct meter_events *events;
	struct error err = {0};
	uint64_t crossed = 0, last = 0, ended;

	memset(last_success, 0, TASKS * sizeof(*last_success));
	world.limits.cap[METER_FILES_CREATED] =
		(struct meter_cap){.limit = 5000, .posture = posture};
	start();
	/* Most tasks of one that is killed have no result of their own. */
	within(run_tasks, NULL);
	ended = now_ns();
	EXPECT_EQ(counted(METER_FILES_CREATED), count_names());
	EXPECT_EQ(counted(METER_FILES_CREATED), 5000);
	EXPECT_EQ(meter_posture(world.meter, world.slot), posture);
	EXPECT_EQ(meter_events_open(world.meter, world.slot, crossing, &crossed, &events, &err), 0);
	meter_events_read(events);
	meter_events_close(events);
	for (int task = 0; task < TASKS; task++)
		last = last_success[task] > last ? last_success[task] : last;
	/* CLOCK_BOOTTIME and CLOCK_MONOTONIC are the same where nothing was suspended. */
	EXPECT(crossed != 0);
	printf("# %s: from the crossing to the last effect of %d tasks %.3f ms, to their end %.0f "
	       "ms\n",
		posture == METER_POSTURE_DEAD ? "kill" : "freeze", TASKS,
		last > crossed ? (double)(last - crossed) / 1e6 : 0.0,
		(double)(ended - crossed) / 1e6);
	EXPECT(last < crossed + at_most_ns);
	finish();
}

void row_stop(void)
{
	last_success = mmap(NULL, TASKS * sizeof(*last_success), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	stop_at_once(METER_POSTURE_FROZEN, 10 * 1000000ULL);
	stop_at_once(METER_POSTURE_DEAD, 50 * 1000000ULL);
	munmap(last_success, TASKS * sizeof(*last_success));
}

/* ---- nothing gets lost without being counted ---- */

#define WRITERS 2
#define OPENS 200000       /* of each writer */
#define OPENS_A_DENIAL 500 /* one attempt that is refused after so many opens */
#define HANDLING_US 20     /* what a slow reader needs for an event */

static int open_again_and_again(void *context)
{
	pid_t pids[WRITERS];
	int failed = 0;

	(void)context;
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		for (int n = 0; n < OPENS; n++) {
			int fd = open("file", O_WRONLY | O_CLOEXEC);

			shared->done += fd >= 0;
			close(fd);
			if (n % OPENS_A_DENIAL == 0)
				shared->refused += open("bait", O_RDONLY | O_CLOEXEC) < 0;
		}
		_exit(0);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;

		failed += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
	}
	return failed;
}

struct reader {
	struct meter_events *events;
	_Atomic bool over;
	uint64_t activity;
	uint64_t verdicts;
};

static void handle_slowly(void *context, const struct meter_event *event, const char *text)
{
	struct reader *reader = context;

	(void)text;
	if (event->kind == METER_EVENT_ACTIVITY)
		reader->activity++;
	else
		reader->verdicts++;
	if (!reader->over)
		usleep(HANDLING_US);
}

static void *read_until_over(void *context)
{
	struct reader *reader = context;

	while (!reader->over) {
		meter_events_read(reader->events);
		usleep(1000);
	}
	meter_events_read(reader->events);
	return NULL;
}

static void row_events(void)
{
	const struct meter_account *account;
	struct reader reader = {0};
	struct error err = {0};
	pthread_t thread;
	uint64_t took;

	make_file("file", 0);
	make_file("bait", 0);
	usual_rules();
	protect("/w/bait", true);
	world.request.flags = METER_RUN_ACTIVITY;
	start();
	EXPECT_EQ(meter_events_open(
			  world.meter, world.slot, handle_slowly, &reader, &reader.events, &err),
		0);
	EXPECT_EQ(pthread_create(&thread, NULL, read_until_over, &reader), 0);
	took = now_ns();
	EXPECT_EQ(within(open_again_and_again, NULL), 0);
	took = now_ns() - took;
	reader.over = true;
	pthread_join(thread, NULL);
	account = meter_look(world.meter, world.slot);
	EXPECT_EQ(account->sequence[METER_RING_ACTIVITY], shared->done);
	EXPECT_EQ(reader.activity + account->lost[METER_RING_ACTIVITY], shared->done);
	EXPECT_EQ(account->sequence[METER_RING_VERDICTS], shared->refused);
	EXPECT_EQ(reader.verdicts, shared->refused);
	EXPECT_EQ(account->lost[METER_RING_VERDICTS], 0);
	printf("# events: %llu offered at %.0f a second, %llu read by a slow reader, %llu declared "
	       "lost; "
	       "denials: %llu offered, %llu read, %llu lost\n",
		(unsigned long long)shared->done, (double)shared->done * 1e9 / (double)took,
		(unsigned long long)reader.activity,
		(unsigned long long)account->lost[METER_RING_ACTIVITY],
		(unsigned long long)shared->refused, (unsigned long long)reader.verdicts,
		(unsigned long long)account->lost[METER_RING_VERDICTS]);
	EXPECT(account->lost[METER_RING_ACTIVITY] > 0);
	meter_events_close(reader.events);
	close_anchors();
}

const struct row bench_rows[] = {
	{"events that a slow reader misses are declared, and no denial is", row_events, NULL},
	{"64 threads never go over a cap in 100 rounds", row_rounds, NULL},
	{NULL, NULL, NULL},
};
