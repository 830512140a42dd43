/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "meter/internal.h"

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

static struct meter_options pinned(void)
{
	return (struct meter_options){.pin_directory = PINS, .cgroup_fd = world.cgroup_fd};
}

static struct meter *open_pinned(void)
{
	struct meter_options options = pinned();
	struct meter *meter = NULL;
	struct error err = {0};

	if (meter_open(&options, &meter, &err))
		printf("# open: %s\n", err.text);
	EXPECT(meter != NULL);
	return meter;
}

/* Starting costs a load once a host, and next to nothing after that. */
static void row_adopting_is_cheap(void)
{
	double begun = milliseconds(), loading, adopting;
	struct meter *meter = open_pinned();
	struct error err = {0};

	loading = milliseconds() - begun;
	meter_close(meter);
	begun = milliseconds();
	for (int i = 0; i < 10; i++) {
		meter = open_pinned();
		EXPECT(meter && meter_adopted(meter));
		meter_close(meter);
	}
	adopting = (milliseconds() - begun) / 10;
	printf("# loading took %.0f ms, adopting %.2f ms: 1 in %.0f\n", loading, adopting,
		loading / adopting);
	EXPECT(adopting * 50 < loading);
	EXPECT_EQ(meter_unpin(PINS, &err), 0);
}

/* A process of the run that tries what it may not, again and again, until it is told to end. */
static int keep_trying(void *context)
{
	(void)context;
	while (shared->value[1] == 0) {
		if (kill(1, 0) == 0)
			shared->other++;
		shared->done++;
	}
	return 0;
}

static pid_t start_trying(struct meter *meter, uint32_t *ret_slot)
{
	struct meter_run_request request = {.run_id = 78};
	struct error err = {0};
	pid_t pid;
	int pidfd;

	EXPECT_EQ(meter_run_create(meter, &request, ret_slot, &err), 0);
	shared->gate = 0;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		while (shared->gate != 2)
			usleep(200);
		_exit(keep_trying(NULL));
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	EXPECT_EQ(meter_run_enrol(meter, *ret_slot, pidfd, &err), 0);
	close(pidfd);
	shared->gate = 2;
	return pid;
}

static void wait_for_tries(uint64_t more)
{
	uint64_t before = shared->done;

	for (int i = 0; i < 20000 && shared->done < before + more; i++)
		usleep(1000);
	EXPECT(shared->done >= before + more);
}

/* As if what is pinned were of another build: the directory has its digest for a name. */
static void rename_links(const struct meter *meter)
{
	char now[512], other[512];

	meter_links_path(PINS, meter_make(meter), "", now, sizeof(now));
	snprintf(other, sizeof(other), "%s/links-0123456789abcdef-%s", PINS,
		meter_make_name(meter_make(meter)));
	EXPECT_EQ(rename(now, other), 0);
}

static void row_upgrade(void)
{
	struct meter *meter = open_pinned();
	struct error err = {0};
	uint32_t slot = 0;
	pid_t pid;
	int status;

	if (!meter)
		return;
	pid = start_trying(meter, &slot);
	wait_for_tries(100);
	rename_links(meter);
	meter_close(meter);
	meter = open_pinned();
	EXPECT(meter && !meter_adopted(meter) && meter_attached(meter));
	wait_for_tries(100);
	shared->value[1] = 1;
	EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	/* Not once in between, and counted every time. */
	EXPECT_EQ(shared->other, 0);
	EXPECT(meter_look(meter, slot)->value[METER_DENIALS] >= shared->done);
	EXPECT_EQ(access(PINS "/links-0123456789abcdef-bpf-lsm", F_OK), -1);
	EXPECT_EQ(access(PINS "/links-0123456789abcdef-bpf-fmod_ret", F_OK), -1);
	meter_run_destroy(meter, slot);
	meter_close(meter);
	EXPECT_EQ(meter_unpin(PINS, &err), 0);
}

/* Root takes something away: seen when asked for, and put right by the next start. */
static void row_detached(void)
{
	struct meter *meter = open_pinned();
	struct error err = {0};
	char path[600] = "";
	double begun;

	if (!meter)
		return;
	EXPECT(meter_attached(meter));
	begun = milliseconds();
	for (int i = 0; i < 10; i++)
		EXPECT(meter_attached(meter));
	printf("# asking whether all is attached takes %.2f ms\n", (milliseconds() - begun) / 10);
	meter_links_path(PINS, meter_make(meter), "/path_unlink", path, sizeof(path));
	EXPECT_EQ(unlink(path), 0);
	EXPECT(!meter_attached(meter));
	meter_close(meter);
	meter = open_pinned();
	EXPECT(meter && !meter_adopted(meter) && meter_attached(meter));
	for (size_t i = 0; meter && i < meter->link_count; i++)
		if (meter->hook[i] == METER_HOOK_net_connect4)
			EXPECT_EQ(bpf_link_detach(meter->link_fd[i]), 0);
	EXPECT(meter && !meter_attached(meter));
	meter_close(meter);
	meter = open_pinned();
	EXPECT(meter && !meter_adopted(meter) && meter_attached(meter));
	meter_close(meter);
	EXPECT_EQ(meter_unpin(PINS, &err), 0);
}

/* A supervisor that takes a slot and a scope and dies; its process in the run lives as long as it
 * is told to. */
static int die_with_a_run(void *context)
{
	struct meter_anchor_rule anchor = {.fd = world.directory_fd, .path = "/w", .rights = ~0u};
	struct meter_rules rules = {.anchors = &anchor, .anchor_count = 1};
	struct meter_run_request request = {.run_id = 79};
	struct meter *meter = open_pinned();
	struct error err = {0};
	uint32_t slot;
	pid_t pid;
	int pidfd;

	(void)context;
	if (!meter || meter_scope_create(meter, &rules, &request.scope, &err) ||
		meter_run_create(meter, &request, &slot, &err))
		return 1;
	pid = fork();
	if (pid == 0) {
		while (shared->value[1] == 0)
			usleep(1000);
		_exit(0);
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (meter_run_enrol(meter, slot, pidfd, &err))
		return 2;
	shared->value[0] = slot;
	shared->value[2] = request.scope;
	shared->value[3] = pid;
	kill(getpid(), SIGKILL);
	return 3;
}

static void row_reaped(void)
{
	struct error err = {0};
	struct meter *meter;
	uint32_t slot, scope;

	EXPECT_EQ(outside(die_with_a_run, NULL), 1000 + SIGKILL);
	slot = (uint32_t)shared->value[0];
	scope = (uint32_t)shared->value[2];
	meter = open_pinned();
	if (!meter)
		return;
	EXPECT(meter_adopted(meter));
	/* Somebody is left in it. */
	EXPECT(slot && scope && meter->controls[slot].owner != 0);
	EXPECT(meter->host->scope_owner[scope] != 0);
	shared->value[1] = 1;
	for (int i = 0; i < 5000 && kill((pid_t)shared->value[3], 0) == 0; i++)
		usleep(1000);
	for (int i = 0; i < 100 && meter->controls[slot].owner; i++) {
		meter_reap(meter);
		usleep(10000);
	}
	EXPECT_EQ(meter->controls[slot].owner, 0);
	EXPECT_EQ(meter->host->scope_owner[scope], 0);
	meter_close(meter);
	EXPECT_EQ(meter_unpin(PINS, &err), 0);
}

const struct row life_rows[] = {
	{"every attached program is seen to run", row_proof, NULL},
	{"the kernel goes on alone and the next supervisor takes over", row_survives_and_adopts,
		NULL},
	{"adopting costs a fiftieth of loading at most", row_adopting_is_cheap, NULL},
	{"an upgrade leaves no gap", row_upgrade, NULL},
	{"what root detaches is seen and put right", row_detached, NULL},
	{"what dead supervisors left is given back when nobody is in it", row_reaped, NULL},
	{NULL, NULL, NULL},
};
