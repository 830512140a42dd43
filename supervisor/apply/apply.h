/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/facts.pb-c.h"
#include "wire/plan.pb-c.h"

#include <stdbool.h>
#include <sys/resource.h>

struct facts_request {
	const char *const *paths; /* NULL-terminated, absolute; or NULL */
	const char *const *globs; /* likewise */
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

struct run_callbacks {
	void *context;
	void (*denied)(void *context, const struct denial_event *event);
	void (*traced)(void *context, const struct trace_event *event);
};

enum run_outcome {
	RUN_EXITED,
	RUN_SIGNALED,
	RUN_TIMEOUT,
	RUN_OOM,
	RUN_REFUSED,      /* command not executable or not granted (126), or not found (127) */
	RUN_SETUP_FAILED, /* 125: a wall did not stand or the canary got through */
	RUN_KILLED,       /* berm itself was told to stop */
	RUN_OUTCOME_COUNT
};

struct run_result {
	enum run_outcome outcome;
	int code;             /* exit code that berm run gives: 0-255 */
	int signal;           /* the tool's signal, 0 if none */
	uint64_t duration_ms; /* from start of launch to the last process gone, monotonic */
	struct rusage usage;  /* of the whole run */
	struct error error;   /* REFUSED, SETUP_FAILED: why */
};

/* Execute a plan: build the walls, prove them, run the tool, wait, clean up. The only privileged
 * entry point. stdin, stdout and stderr (0-2) are handed to the tool untouched; every other
 * descriptor of this process stays ours. Blocks until the run is over and nothing of it is left.
 * Forwards SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT to the tool.
 * Always fills *ret_result. */
void run_plan(const Berm__Wire__Plan *plan, const struct run_callbacks *callbacks,
	struct run_result *ret_result);
