/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define PINS "/sys/fs/bpf/meter-rows"

static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void row_proof(void)
{
	autoclose int cgroup_fd = -1;
	struct error err = {0};

	EXPECT_EQ(mkdirat(world.cgroup_fd, "proof", 0755), 0);
	cgroup_fd = openat(world.cgroup_fd, "proof", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (meter_prove(world.meter, world.directory_fd, cgroup_fd, &err)) {
		printf("# proof: %s\n", err.text);
		world.failures++;
	}
	EXPECT(meter_attached(world.meter));
}

/* The supervisor: pins, starts a run with a process in it that deletes a file whenever it is told
 * to, and is killed. */
static int supervise(void *context)
{
	struct meter_options options = {.pin_directory = PINS, .cgroup_fd = -1};
	struct meter_run_request request = {.run_id = 77};
	struct meter_limits limits;
	struct meter *meter;
	struct error err = {0};
	uint32_t slot;
	int pidfd;
	pid_t pid;

	(void)context;
	meter_limits_none(&limits);
	limits.cap[METER_FILES_DELETED].limit = 3;
	request.limits = &limits;
	if (meter_open(&options, &meter, &err) || meter_run_create(meter, &request, &slot, &err)) {
		printf("# supervisor: %s\n", err.text);
		return 1;
	}
	pid = fork();
	if (pid == 0) {
		setsid();
		for (int i = 0;; i++) {
			char name[16];

			while (shared->value[1] <= i)
				usleep(1000);
			snprintf(name, sizeof(name), "f%d", i);
			shared->value[2 + (i > 2)] = ERRNO_OF(unlink(name));
			shared->done++;
			if (i == 3)
				_exit(0);
		}
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (meter_run_enrol(meter, slot, pidfd, &err))
		return 2;
	shared->value[0] = slot;
	shared->value[1] = 1;
	while (shared->done < 1)
		usleep(1000);
	kill(getpid(), SIGKILL);
	return 3;
}

static void step_to(int64_t step)
{
	shared->value[1] = step;
	for (int i = 0; i < 5000 && shared->done < (uint64_t)step; i++)
		usleep(1000);
}

static void row_survives_and_adopts(void)
{
	struct meter_options options = {.pin_directory = PINS, .cgroup_fd = -1};
	struct meter *meter = NULL;
	struct error err = {0};
	double begun;
	char name[16];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(name, 1);
	}
	EXPECT_EQ(outside(supervise, NULL), 1000 + SIGKILL);
	/* Nobody is there, and it goes on. */
	step_to(2);
	begun = milliseconds();
	EXPECT_EQ(meter_open(&options, &meter, &err), 0);
	printf("# adopting took %.1f ms\n", milliseconds() - begun);
	if (meter) {
		uint32_t slot = (uint32_t)shared->value[0];

		EXPECT(meter_adopted(meter));
		EXPECT(meter_attached(meter));
		EXPECT_EQ(meter_look(meter, slot)->value[METER_FILES_DELETED], 2);
		meter_close(meter);
	}
	step_to(4);
	EXPECT_EQ(shared->value[2], 0);
	EXPECT_EQ(shared->value[3], EPERM);
	EXPECT(!exists("f2") && exists("f3"));
	EXPECT_EQ(meter_unpin(PINS, &err), 0);
	EXPECT_EQ(access(PINS, F_OK), -1);
}

/* What a process outside of any run pays, and one inside. */
static int many_calls(void *context)
{
	double *result = context;
	int fd = open("file", O_RDWR | O_CLOEXEC);
	double begun = milliseconds();

	for (int i = 0; i < 20000; i++)
		if (pwrite(fd, "x", 1, 0) != 1)
			return 1;
	result[0] = milliseconds() - begun;
	begun = milliseconds();
	for (int i = 0; i < 20000; i++)
		close(open("a/b/c/d/e/f/g/h/i/file", O_RDONLY | O_CLOEXEC));
	result[1] = milliseconds() - begun;
	return 0;
}

static void row_costs(void)
{
	double *result = (double *)shared->value;
	struct meter_anchor_rule anchor = {.fd = world.directory_fd,
		.path = "/w",
		.rights = METER_RIGHT_READ | METER_RIGHT_WRITE};
	struct meter_name_rule name = {.pattern = "/w/**/.env*", .no_write = true};
	char path[64] = "";

	for (const char *c = "abcdefghi"; *c; c++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "%c", *c);
		mkdirat(world.directory_fd, path, 0755);
		strcat(path, "/");
	}
	make_file("file", 1);
	make_file("a/b/c/d/e/f/g/h/i/file", 1);
	EXPECT_EQ(outside(many_calls, result), 0);
	printf("# 20000 calls outside a run: pwrite %.0f ms, open at depth 10 %.0f ms\n", result[0],
		result[1]);
	start();
	EXPECT_EQ(within(many_calls, result), 0);
	printf("# in a run that only counts: pwrite %.0f ms, open %.0f ms\n", result[0], result[1]);
	finish();
	world.rules.anchors = &anchor;
	world.rules.anchor_count = 1;
	world.rules.names = &name;
	world.rules.name_count = 1;
	start();
	EXPECT_EQ(within(many_calls, result), 0);
	printf("# in a run with rules: pwrite %.0f ms, open %.0f ms\n", result[0], result[1]);
}

const struct row life_rows[] = {
	{"every attached program is seen to run", row_proof, NULL},
	{"the kernel goes on alone and the next supervisor takes over", row_survives_and_adopts,
		NULL},
	{"costs are printed", row_costs, NULL},
	{NULL, NULL, NULL},
};
