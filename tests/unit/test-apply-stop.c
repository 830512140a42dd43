/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "apply/control.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* Stopping and continuing everything beneath a PID 1, with real processes in a real namespace. */

#define LINEAGES 8
#define TASKS 500
#define SILENCE_MS 50

/* Shared with every process of the run. */
struct world {
	_Atomic uint64_t steps;   /* made by whoever runs */
	_Atomic uint64_t last_us; /* when the last of them was made */
	_Atomic uint64_t started; /* processes that came to life */
};

static struct world *world;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void step(void)
{
	atomic_store(&world->last_us, now_us());
	atomic_fetch_add(&world->steps, 1);
}

/* A line of processes each of which lives for one generation: whoever stops them one by one finds
 * the next already born. */
static void run_lineage(void)
{
	for (;;) {
		pid_t child;

		step();
		child = fork();
		if (child > 0)
			_exit(0);
		/* Without room for a child the parent lives on. */
	}
}

/* Two that let each other go on as often as they can. */
static void run_helpers(void)
{
	pid_t parent = getpid(), child = fork(), other = child ? child : parent;

	for (;;) {
		step();
		kill(other, SIGCONT);
	}
}

/* The parent waits uninterruptibly until the child has called execve(2) or is gone. */
static void run_vfork(void)
{
	if (vfork() == 0)
		for (;;)
			step();
	_exit(0);
}

static int run_thread(void *unused)
{
	(void)unused;
	for (;;) {
		step();
		poll(NULL, 0, 1);
	}
	return 0;
}

/* A leader that ends while its thread goes on is shown as a zombie. */
static void run_headless(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	clone(run_thread, stack + sizeof(stack),
		CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_FILES, NULL);
	syscall(SYS_exit, 0);
}

static void run_sleepers(void)
{
	for (int i = 0; i < TASKS; i++) {
		if (fork() == 0) {
			atomic_fetch_add(&world->started, 1);
			for (;;) {
				step();
				poll(NULL, 0, 20);
			}
		}
	}
	for (;;)
		pause();
}

/* As PID 1 of a run: one child that stays, and the rest of the work is the reaper's. */
static void be_init(void (*body)(void), int copies)
{
	sigset_t waited, none;
	pid_t tool;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reaper_own_signals(&waited);
	sigprocmask(SIG_SETMASK, &waited, NULL);
	sigemptyset(&none);
	tool = fork();
	for (int i = 0; tool && i < copies; i++) {
		if (fork() == 0) {
			sigprocmask(SIG_SETMASK, &none, NULL);
			body();
		}
	}
	if (tool == 0)
		for (;;)
			pause();
	_exit(reaper_run(tool, 0));
}

/* A new pid namespace whose processes do body. */
static struct launch start_run(void (*body)(void), int copies)
{
	struct launch run = {.init_fd = -1};

	world = mmap(
		NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(world, MAP_FAILED);
	run.init_pid = (pid_t)syscall(
		SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (run.init_pid == 0)
		be_init(body, copies);
	assert_true(run.init_pid > 0);
	run.init_fd = pidfd_open(run.init_pid, 0);
	assert_true(run.init_fd >= 0);
	run.pid_namespace = stop_namespace_of(run.init_pid);
	assert_true(run.pid_namespace != 0);
	while (atomic_load(&world->steps) < 1)
		poll(NULL, 0, 1);
	return run;
}

static void end_run(struct launch *run)
{
	kill(run->init_pid, SIGKILL);
	assert_int_equal(waitpid(run->init_pid, NULL, 0), run->init_pid);
	own_close(&run->init_fd);
	munmap(world, sizeof(*world));
}

static uint64_t steps_in(unsigned ms)
{
	uint64_t before = atomic_load(&world->steps);

	poll(NULL, 0, (int)ms);
	return atomic_load(&world->steps) - before;
}

/* However long others keep the processors. */
static void expect_to_go_on(void)
{
	uint64_t moved = 0;

	for (int tries = 0; tries < 100 && !moved; tries++)
		moved = steps_in(SILENCE_MS);
	assert_true(moved > 0);
}

/* Three times stopped and continued: nothing moves while it is stopped, and all of it goes on. */
static void expect_stops(void (*body)(void), int copies)
{
	struct launch run = start_run(body, copies);
	struct error err = {0};

	for (int round = 0; round < 3; round++) {
		expect_to_go_on();
		if (stop_all(&run, true, 5000, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(steps_in(SILENCE_MS), 0);
		if (stop_all(&run, false, 5000, &err) < 0)
			fail_msg("%s", err.text);
	}
	expect_to_go_on();
	end_run(&run);
}

static void processes_that_fork_without_end_are_stopped(void **state)
{
	(void)state;
	expect_stops(run_lineage, LINEAGES);
}

static void processes_that_continue_each_other_are_stopped(void **state)
{
	(void)state;
	expect_stops(run_helpers, 2);
}

static void a_parent_that_waits_in_vfork_does_not_hold_up_the_stop(void **state)
{
	(void)state;
	expect_stops(run_vfork, 2);
}

static void a_thread_whose_leader_has_ended_is_stopped(void **state)
{
	(void)state;
	expect_stops(run_headless, 2);
}

static void five_hundred_tasks_are_stopped_and_continued(void **state)
{
	struct error err = {0};
	uint64_t started_us, took_us, last_us;
	struct launch run = start_run(run_sleepers, 1);

	(void)state;
	while (atomic_load(&world->started) < TASKS)
		poll(NULL, 0, 1);
	started_us = now_us();
	if (stop_all(&run, true, 5000, &err) < 0)
		fail_msg("%s", err.text);
	took_us = now_us() - started_us;
	last_us = atomic_load(&world->last_us);
	assert_int_equal(steps_in(SILENCE_MS), 0);
	printf("# %d tasks: the last one did something %.1f ms after the word, all were seen to be "
	       "stopped after %.1f ms\n",
		TASKS, last_us > started_us ? (double)(last_us - started_us) / 1000 : 0,
		(double)took_us / 1000);
	if (stop_all(&run, false, 5000, &err) < 0)
		fail_msg("%s", err.text);
	expect_to_go_on();
	end_run(&run);
}

/* Its number may be another's by the time of the signal. */
static void processes_outside_the_namespace_are_left_alone(void **state)
{
	struct launch run = start_run(run_lineage, 1);
	pid_t stranger = fork();
	struct error err = {0};

	(void)state;
	if (stranger == 0)
		for (;;)
			pause();
	if (stop_all(&run, true, 5000, &err) < 0)
		fail_msg("%s", err.text);
	poll(NULL, 0, 5);
	assert_int_equal(waitpid(stranger, NULL, WUNTRACED | WNOHANG), 0);
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	end_run(&run);
}

static void a_run_that_is_gone_is_stopped(void **state)
{
	struct error err = {0};
	struct launch run = start_run(run_lineage, 1);

	(void)state;
	kill(run.init_pid, SIGKILL);
	poll(NULL, 0, 20);
	assert_int_equal(stop_all(&run, true, 1000, &err), 0);
	end_run(&run);
}

int main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test(processes_that_fork_without_end_are_stopped),
		cmocka_unit_test(processes_that_continue_each_other_are_stopped),
		cmocka_unit_test(a_parent_that_waits_in_vfork_does_not_hold_up_the_stop),
		cmocka_unit_test(a_thread_whose_leader_has_ended_is_stopped),
		cmocka_unit_test(five_hundred_tasks_are_stopped_and_continued),
		cmocka_unit_test(processes_outside_the_namespace_are_left_alone),
		cmocka_unit_test(a_run_that_is_gone_is_stopped),
	};

	return cmocka_run_group_tests_name("apply-stop", list, NULL, NULL);
}
