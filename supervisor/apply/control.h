/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A run while it lasts. Private to apply/. */

#include "apply/launch.h"

/* The threads of a stopped run, by number. */
struct stop_mark {
	struct stop_thread {
		pid_t thread;
		char state;        /* as /proc has it */
		uint64_t switches; /* how often it has left a processor */
	} * threads;               /* owned */
	size_t count, capacity;
	bool taken;
};

struct run_handle {
	const struct launch *launch;
	bool frozen;
	bool by_signals; /* frozen so, and therefore to be looked after */
	struct stop_mark mark;
	unsigned strikes;       /* how often it was met where it should not be */
	enum run_outcome asked; /* what run_kill() was told; RUN_OUTCOME_COUNT: it was not called */
	int asked_signal;       /* the signal that ended a frozen run, else 0 */
};

/* CLOCK_BOOTTIME in milliseconds. */
uint64_t control_now_ms(void);
/* A signal for the tool: forwarded, or, where the run is frozen, obeyed in its place. */
void control_signal(struct run_handle *handle, int number);

/* Stop (SIGSTOP) or continue (SIGCONT) everything that PID 1 of a run has started, by any number of
 * generations; PID 1 itself goes on, since it only reaps. Of the launch only init_pid, init_fd
 * and pid_namespace are used. Continued are children before their parents, so that none sees a
 * child that is stopped; what was stopped before is continued with the rest. Errors: -ETIMEDOUT
 * where something still ran after timeout_ms. */
int stop_all(const struct launch *launch, bool stopped, unsigned timeout_ms,
	struct error *err) must_check;

/* Whether everything has stayed as it was met the last time (mark, empty at first), and stopped. A
 * program can continue itself by a timer or a descriptor whose signal is SIGCONT (timer_create(2),
 * fcntl(2) F_SETSIG), and stop again before it is looked at: its switches tell. */
bool stop_holds(const struct launch *launch, struct stop_mark *mark);
void stop_mark_finish(struct stop_mark *mark);
/* The regular look at a run that was frozen by signals: stopped anew where it ran, killed where it
 * goes on doing so. */
void control_look_after(struct run_handle *handle);

/* The inode of a process's pid namespace; 0 where it may not be looked at. */
ino_t stop_namespace_of(pid_t pid);

/* What the supervisor of one run keeps. */
struct supervision {
	struct launch *launch;
	struct listener listener;
	const struct run_callbacks *callbacks;
	struct run_handle handle;
	struct run_result *result;
	int signal_fd;
	uint64_t deadline_ms;  /* of the time limit; these are of control_now_ms(), 0: none */
	uint64_t watch_due_ms; /* of the next regular look */
	uint64_t stop_due_ms;  /* when a run that was frozen by signals is looked at */
	uint64_t idle_due_ms;  /* when memory is given back unless something happens before */
	bool asked_to_end;     /* the time limit passed, SIGTERM was sent */
	bool timed_out;
	bool started; /* the canary is through, the tool's program runs or is about to */
	bool exited;  /* PID 1 left the tool's status */
	bool failed;  /* one of the run's processes left why it could not start */
	bool init_gone;
	int wait_status;
};

/* Wait for what the run and the outside say and pass it on, until PID 1 of the run has ended. */
void supervise(struct supervision *s);
/* Take what the run said last; its PID 1 is gone. */
void supervise_end(struct supervision *s);
/* Kill the run without a word about why: the time limit or the failure says it. */
void supervise_kill(const struct supervision *s);
