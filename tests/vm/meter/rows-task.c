/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void *write_in_thread(void *context)
{
	(void)context;
	autoclose int fd = open("file", O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0123456789", 10) == 10)
		shared->done++;
	return NULL;
}

/* A thread, a child, a grandchild that lost its parent and session, and a vfork. */
static int write_from_everywhere(void *context)
{
	pthread_t thread;
	pid_t pid;

	(void)context;
	if (pthread_create(&thread, NULL, write_in_thread, NULL) || pthread_join(thread, NULL))
		return 1;
	pid = fork();
	if (pid == 0) {
		write_in_thread(NULL);
		if (fork() == 0) {
			setsid();
			usleep(20000);
			write_in_thread(NULL);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = vfork();
	if (pid == 0) {
		write_in_thread(NULL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	usleep(200000);
	return 0;
}

static void row_inherited(void)
{
	make_file("file", 0);
	start();
	EXPECT_EQ(within(write_from_everywhere, NULL), 0);
	EXPECT_EQ(shared->done, 4);
	EXPECT_EQ(counted(METER_BYTES_WRITTEN), 40);
	EXPECT_EQ(counted(METER_PROCESSES_STARTED), 3);
}

static int start_programs(void *context)
{
	const int *rounds = context;

	for (int i = 0; i < *rounds; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			return errno;
		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(errno);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			return WEXITSTATUS(status);
	}
	return 0;
}

static int eight_workers(void *context)
{
	int failed = 0;

	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			_exit(start_programs(context));
	for (int i = 0; i < 8; i++) {
		int status;

		wait(&status);
		failed += status != 0;
	}
	return failed;
}

static void row_programs(void)
{
	int rounds = 100;

	start();
	EXPECT_EQ(within(eight_workers, &rounds), 0);
	EXPECT_EQ(counted(METER_PROGRAMS_STARTED), 800);
	EXPECT_EQ(counted(METER_PROCESSES_STARTED), 808);
	finish();
	world.limits.cap[METER_PROGRAMS_STARTED].limit = 5;
	start();
	rounds = 10;
	EXPECT_EQ(within(start_programs, &rounds), EPERM);
	EXPECT_EQ(counted(METER_PROGRAMS_STARTED), 5);
}

static int fork_until_refused(void *context)
{
	pid_t pids[50];
	int count = 0, result = 0;

	(void)context;
	for (; count < (int)array_size(pids); count++) {
		pids[count] = fork();
		if (pids[count] == 0) {
			pause();
			_exit(0);
		}
		if (pids[count] < 0) {
			result = errno;
			break;
		}
	}
	shared->value[0] = count;
	for (int i = 0; i < count; i++)
		if (kill(pids[i], SIGKILL) || waitpid(pids[i], NULL, 0) != pids[i])
			return 1;
	return result;
}

static int exec_absent(void *context)
{
	(void)context;
	execl("/bin/absent", "absent", NULL);
	execl("/etc", "etc", NULL);
	return 0;
}

static void row_forks(void)
{
	world.limits.cap[METER_PROCESSES_STARTED].limit = 20;
	start();
	EXPECT_EQ(within(fork_until_refused, NULL), EAGAIN);
	EXPECT_EQ(shared->value[0], 20);
	EXPECT_EQ(counted(METER_PROCESSES_STARTED), 20);
	EXPECT_EQ(within(exec_absent, NULL), 0);
	EXPECT_EQ(counted(METER_PROGRAMS_STARTED), 0);
}

static int do_anything(void *context)
{
	int alive = 0;
	pid_t pid;

	(void)context;
	alive += open("file", O_RDONLY | O_CLOEXEC) >= 0;
	pid = fork();
	if (pid == 0)
		_exit(0);
	alive += pid > 0;
	alive += mkdir("dir", 0700) == 0;
	alive += unlink("file") == 0;
	alive += write(1, "#\n", 2) > 0;
	return alive;
}

static void row_frozen(void)
{
	make_file("file", 1);
	start();
	meter_posture_change(world.meter, world.slot, METER_POSTURE_FROZEN, 0);
	EXPECT_EQ(within(do_anything, NULL), 0);
	EXPECT(exists("file"));
	meter_posture_change(world.meter, world.slot, 0, METER_POSTURE_FROZEN);
	/* The host's posture holds for every run. */
	meter_posture_change(world.meter, 0, METER_POSTURE_FROZEN, 0);
	EXPECT_EQ(within(do_anything, NULL), 0);
	EXPECT_EQ(outside(do_anything, NULL), 5);
	meter_posture_change(world.meter, 0, 0, METER_POSTURE_FROZEN);
	make_file("file", 1);
	meter_posture_change(world.meter, world.slot, METER_POSTURE_DEAD, 0);
	EXPECT_EQ(within(do_anything, NULL), 1000 + SIGKILL);
}

static int try_to_escape(void *context)
{
	const pid_t *victim = context;
	union bpf_attr attribute = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	if (kill(*victim, SIGKILL) != -1 || errno != EPERM)
		return 1;
	if (ptrace(PTRACE_ATTACH, *victim, NULL, NULL) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_bpf, BPF_MAP_CREATE, &attribute, sizeof(attribute)) != -1 || errno != EPERM)
		return 3;
	if (mount("none", "/tmp/meter", "tmpfs", 0, NULL) != -1 || errno != EPERM)
		return 4;
	if (umount("/tmp/meter") != -1 || errno != EPERM)
		return 5;
	/* Its own processes are its own business. */
	pid_t own = fork();

	if (own == 0) {
		pause();
		_exit(0);
	}
	if (kill(own, SIGKILL) || waitpid(own, NULL, 0) != own)
		return 6;
	return 0;
}

static void row_guard(void)
{
	pid_t victim = fork();
	struct tally tally;

	if (victim == 0) {
		pause();
		_exit(0);
	}
	start();
	EXPECT_EQ(within(try_to_escape, &victim), 0);
	EXPECT_EQ(kill(victim, 0), 0);
	EXPECT_EQ(counted(METER_DENIALS), 5);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_DENIAL], 5);
	EXPECT(tally.in_order);
	finish();
	world.limits.breaker[0] = (struct meter_breaker){
		.class = METER_ESCAPE, .count = 1, .posture = METER_POSTURE_FROZEN};
	start();
	within(try_to_escape, &victim);
	within(try_to_escape, &victim);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
}

static int ptrace_outsider(void *context)
{
	const pid_t *victim = context;

	return ptrace(PTRACE_ATTACH, *victim, NULL, NULL) == 0 ? 0 : errno;
}

static void row_escape_trips(void)
{
	pid_t victim = fork();

	if (victim == 0) {
		pause();
		_exit(0);
	}
	world.limits.breaker[0] = (struct meter_breaker){
		.class = METER_ESCAPE, .count = 1, .posture = METER_READ_ONLY};
	start();
	EXPECT_EQ(within(ptrace_outsider, &victim), EPERM);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_READ_ONLY);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
}

static int be_denied(void *context)
{
	const int *times = context;

	for (int i = 0; i < *times; i++)
		if (kill(1, 0) != -1)
			return 1;
	return 0;
}

static void row_breaker(void)
{
	int times = 2;
	struct tally tally;

	world.limits.breaker[0] = (struct meter_breaker){.class = METER_DENIAL,
		.count = 3,
		.within_ns = 400 * 1000000ULL,
		.posture = METER_READ_ONLY,
		.id = 21};
	start();
	EXPECT_EQ(within(be_denied, &times), 0);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_OPEN);
	usleep(600000);
	/* Two more, but never three within the window. */
	EXPECT_EQ(within(be_denied, &times), 0);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_OPEN);
	times = 1;
	EXPECT_EQ(within(be_denied, &times), 0);
	EXPECT_EQ(meter_posture(world.meter, world.slot), METER_READ_ONLY);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_DENIAL], 5);
	EXPECT_EQ(tally.kind[METER_EVENT_BREAKER], 1);
	EXPECT_EQ(tally.id[METER_EVENT_BREAKER], 21);
}

static uint32_t posture_after(int times)
{
	EXPECT_EQ(within(be_denied, &times), 0);
	return meter_posture(world.meter, world.slot);
}

static void row_breakers(void)
{
	struct tally tally;

	for (uint32_t i = 0; i < 3; i++)
		world.limits.breaker[i] = (struct meter_breaker){
			.class = METER_DENIAL, .count = 2 + 2 * i, .id = 30 + i};
	world.limits.breaker[0].posture = METER_NO_NETWORK;
	world.limits.breaker[1].posture = 0; /* says so, takes nothing */
	world.limits.breaker[2].posture = METER_POSTURE_FROZEN;
	world.limits.breaker[3] = (struct meter_breaker){
		.class = METER_ESCAPE, .count = 1, .posture = METER_POSTURE_DEAD, .id = 33};
	start();
	EXPECT_EQ(posture_after(1), METER_OPEN);
	EXPECT_EQ(posture_after(1), METER_NO_NETWORK);
	/* Opened by hand: what was counted stays, so the next one takes it away again. */
	meter_posture_change(world.meter, world.slot, 0, METER_NO_NETWORK);
	EXPECT_EQ(posture_after(1), METER_NO_NETWORK);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_BREAKER], 2);
	EXPECT_EQ(tally.id[METER_EVENT_BREAKER], 30);
	EXPECT_EQ(posture_after(2), METER_NO_NETWORK);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_BREAKER], 1);
	EXPECT_EQ(tally.id[METER_EVENT_BREAKER], 31);
	EXPECT_EQ(posture_after(1), METER_POSTURE_FROZEN);
	read_events(&tally);
	EXPECT_EQ(tally.kind[METER_EVENT_BREAKER], 1);
	EXPECT_EQ(tally.id[METER_EVENT_BREAKER], 32);
}

static void row_events_lost(void)
{
	const struct meter_account *account;
	int times = 2000;
	struct tally tally;

	world.request.ring_bytes = 8192;
	start();
	account = meter_look(world.meter, world.slot);
	EXPECT_EQ(within(be_denied, &times), 0);
	EXPECT_EQ(counted(METER_DENIALS), 2000);
	EXPECT_EQ(account->sequence[METER_RING_VERDICTS], 2000);
	read_events(&tally);
	EXPECT(tally.total > 0);
	EXPECT_EQ(tally.total + account->lost[METER_RING_VERDICTS], 2000);
}

static void row_orphan(void)
{
	int times = 1;

	make_file("file", 1);
	world.request.orphan_posture = METER_POSTURE_FROZEN;
	world.request.orphan_after_ns = 300 * 1000000ULL;
	meter_heartbeat(world.meter);
	start();
	EXPECT_EQ(within(be_denied, &times), 0);
	usleep(500000);
	EXPECT_EQ(within(do_anything, NULL), 0);
	meter_heartbeat(world.meter);
	EXPECT(within(do_anything, NULL) >= 3);
}

static int wait_then_try(void *context)
{
	(void)context;
	for (int i = 0; i < 200 && shared->value[0] == 0; i++)
		usleep(10000);
	return do_anything(NULL);
}

static void *end_run_soon(void *context)
{
	(void)context;
	usleep(100000);
	meter_run_destroy(world.meter, world.slot);
	shared->value[0] = 1;
	return NULL;
}

static void row_stale(void)
{
	pthread_t thread;

	make_file("file", 1);
	start();
	EXPECT_EQ(pthread_create(&thread, NULL, end_run_soon, NULL), 0);
	EXPECT_EQ(within(wait_then_try, NULL), 0);
	pthread_join(thread, NULL);
	EXPECT(exists("file"));
}

const struct row task_rows[] = {
	{"every way of starting a task stays in the run", row_inherited, "task_alloc"},
	{"programs are counted exactly over eight processes", row_programs, "bprm_creds_for_exec"},
	{"forks stop at the cap, failing execs do not count", row_forks, NULL},
	{"frozen refuses everything and dead kills", row_frozen, NULL},
	{"other processes, mounts and bpf are out of reach", row_guard, "task_kill"},
	{"one attempt to escape trips", row_escape_trips, NULL},
	{"three denials within the window trip and four spread out do not", row_breaker, NULL},
	{"several breakers wait at once, each with its own count", row_breakers, NULL},
	{"events taken and events lost make the sequence", row_events_lost, NULL},
	{"a run without a supervisor gets its orphan posture", row_orphan, NULL},
	{"what is left of an ended run is refused everything", row_stale, NULL},
	{NULL, NULL, NULL},
};
