/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/facts.pb-c.h"
#include "wire/plan.pb-c.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>

struct facts_request {
	const char *const *paths;    /* NULL-terminated, absolute; or NULL */
	const char *const *globs;    /* likewise */
	const char *const *programs; /* likewise: of paths, those whose files are to be hashed */
	bool no_cgroup; /* nobody will put a value into a cgroup: its facts stay empty, which saves
			   a start some twenty files */
	bool thorough;  /* prove each feature in a forked child (milliseconds) instead of asking the
			   kernel for it */
};

/* Gather what this host is and what the given paths are on it. Leaves nothing behind. Release with
 * berm__wire__host_facts__free_unpacked(facts, NULL). */
int facts_gather(const struct facts_request *request, Berm__Wire__HostFacts **ret_facts,
	struct error *err) must_check;

/* One refused operation, as the kernel told us. Strings are borrowed for the call. */
struct denial_event {
	uint32_t rule;         /* index into plan.rules */
	const char *operation; /* "syscall", "socket", "connect", "open" … */
	const char *target;    /* what it was tried on; raw bytes of the tool */
	uint32_t pid;          /* in the run's pid namespace where known, else 0 */
};

/* A path call seen in trace mode: the daemon asks decide() and counts it. Reporting only; never
 * enforcement. */
struct trace_event {
	const char *operation; /* "read", "write", "exec" */
	const char *path;      /* absolute inside the run, links not followed; raw bytes */
	uint32_t pid;
};

enum run_outcome {
	RUN_EXITED,
	RUN_SIGNALED,
	RUN_TIMEOUT,
	RUN_OOM,
	RUN_REFUSED,      /* command not executable or not granted (126), or not found (127) */
	RUN_SETUP_FAILED, /* 125: a wall did not stand or the canary got through */
	RUN_KILLED,       /* berm itself was told to stop */
	RUN_BREAKER,      /* the breaker killed it */
	RUN_OUTCOME_COUNT
};

/* A call that the plan lets a meter decide (SYSCALL_GATE), by its number and registers alone. */
struct gate_call {
	const char *name;
	uint64_t arguments[6];
	uint32_t charge; /* counters that it adds one to: bits (1 << COUNTER_…) */
	uint32_t needs;  /* POSTURE_… bits of which none may be set */
	uint32_t rule;   /* index into plan.rules */
	uint32_t pid;    /* of the calling thread, in the supervisor's pid namespace; 0: not seen */
};

/* What a gate says of a call that nobody has decided about yet: its caller waits on, and the gate
 * is asked again after each watch. */
#define APPLY_GATE_LATER INT_MIN

/* The family of no socket: "berm". No path and no descriptor leads to the door of a run, only this
 * call, and it is answered by the listener of the caller's own filter: who asks needs no proof of
 * which run it is, and cannot give a false one. */
#define APPLY_DOOR_FAMILY 0x6265726d

/* What may be done to a run from outside while it lasts. */
struct run_handle;

/* The run when its walls stand and nothing in it has more than one thread yet: PID 1 waits. Valid
 * for the call. */
struct run_entry {
	struct run_handle *handle; /* valid until run_plan() returns */
	int init_pidfd;
	pid_t init_pid;
	int cgroup_fd; /* directory of the run's own cgroup, or -1 */
};

struct run_callbacks {
	void *context;
	/* Real path of a directory that belongs to the run and holds "upper" and "work", two
	 * directories on one file system: where a STAGE step lets writes land. NULL where the plan
	 * has none. */
	const char *stage_path;
	void (*denied)(void *context, const struct denial_event *event);
	void (*traced)(void *context, const struct trace_event *event);
	/* 0: the call goes on; a positive errno: it is refused with that; APPLY_GATE_LATER. NULL
	 * where the plan has no gate. Not called for what the launcher does before the tool starts.
	 * The caller waits meanwhile, and no signal but a deadly one reaches it. */
	int (*gate)(void *context, const struct gate_call *call);
	/* A call that gate let go on never ran: its caller was killed first. May be NULL. */
	void (*undo)(void *context, const struct gate_call *call);
	/* The last thing before the tool's process is made; an error ends the run (125). Or NULL.
	 */
	int (*enter)(void *context, const struct run_entry *entry, struct error *err);
	/* The tool asks for its door: socket(APPLY_DOOR_FAMILY, …), which every filter refuses. The
	 * descriptor that it gets instead (taken; close-on-exec in the tool as well), or a negative
	 * errno: the call is refused. NULL where there is none: the call is an unknown family. */
	int (*door)(void *context);
	/* The plan's time is over. True: the run was stopped for good, and is killed now; false: it
	 * is asked to end, and has its usual grace. Or NULL. */
	bool (*over)(void *context);
	/* One more descriptor to wait for, where watch is not NULL. It is called when the
	 * descriptor is readable, and every watch_ms milliseconds (0: only then). */
	int watch_fd;
	unsigned watch_ms;
	void (*watch)(void *context);
};

/* Stop every process of the run, or let them go on. By the cgroup's freezer where the run has a
 * cgroup of version 2: the tool cannot tell. By SIGSTOP to each process where it has none (races
 * with fork are run to a fixed point, bounded): a program can find out that a child of it was
 * stopped. Returns when all are stopped. While a run is frozen SIGINT, SIGTERM, SIGHUP and SIGQUIT
 * to berm kill it (RUN_KILLED) and other signals are dropped. A run that was stopped by SIGSTOP is
 * looked at five times a second: what continues itself is stopped anew, and the run is killed at
 * the third time (RUN_BREAKER). Not from the gate callback: its caller waits for the answer and
 * cannot stop. Errors: -ETIMEDOUT where something still ran after a second; the rest is stopped. */
int run_freeze(struct run_handle *handle, bool frozen, struct error *err) must_check;
/* Kill every process of the run; its outcome is then RUN_BREAKER or RUN_KILLED as first given, also
 * where the tool ended by itself meanwhile. From any callback. */
void run_kill(struct run_handle *handle, enum run_outcome outcome);

struct run_result {
	enum run_outcome outcome;
	int code;             /* exit code that berm run gives: 0-255 */
	int signal;           /* the tool's signal, 0 if none */
	uint64_t duration_ms; /* from start of launch to the last process gone, monotonic */
	struct rusage usage;  /* of the whole run */
	/* The most that the run's cgroup held at one time; 0: not known, where it has not these
	 * controllers or the kernel keeps no such number (memory.peak since 5.19, pids.peak since
	 * 6.1). pids_peak with the run's own first process. */
	uint64_t memory_peak, pids_peak;
	struct error error; /* REFUSED, SETUP_FAILED: why */
};

/* Execute a plan: build the walls, prove them, run the tool, wait, clean up. The only privileged
 * entry point. stdin, stdout and stderr (0-2) are handed to the tool untouched; every other
 * descriptor of this process stays ours. Blocks until the run is over and nothing of it is left.
 * Forwards SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT to the tool.
 * Always fills *ret_result. */
void run_plan(const Berm__Wire__Plan *plan, const struct run_callbacks *callbacks,
	struct run_result *ret_result);
