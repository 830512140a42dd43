/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/runs.pb-c.h"

#include <stdbool.h>
#include <sys/types.h>

/* A run as somebody sees it who did not start it and asks nobody: to stop it although its own berm
 * is stopped, hangs or lies. */

#define OUTSIDE_PATH_MAX 512

/* Zero-initialise with OUTSIDE_NONE. */
struct outside {
	int init_fd;   /* owned: pidfd of the run's PID 1 */
	int cgroup_fd; /* owned: directory of its cgroup; -1: none, or not ours to use */
	pid_t init_pid;
};
#define OUTSIDE_NONE                                                                               \
	{                                                                                          \
		.init_fd = -1, .cgroup_fd = -1                                                     \
	}

/* Describe the run whose PID 1 that is and whose cgroup directory is open (-1: none); the strings
 * of *ret_place are allocated, and released with outside_place_finish(). */
int outside_describe(pid_t init_pid, int cgroup_fd, Berm__Wire__RunPlace *ret_place,
	struct error *err) must_check;
void outside_place_finish(Berm__Wire__RunPlace *place);

/* Take hold of the run that the place describes. Nothing in it is believed: the process must have
 * begun when it says and be PID 1 of a pid namespace beneath this one, and the cgroup must be of
 * version 2 and have it for a member. -ESRCH (kind NOT_FOUND) where it has ended, -EPERM (REFUSED)
 * where its number means nothing here (another pid namespace). */
int outside_open(
	const Berm__Wire__RunPlace *place, struct outside *ret_run, struct error *err) must_check;
void outside_close(struct outside *run);

/* Stop its processes, as far as that goes without waiting: cgroup.freeze, or a word to PID 1, which
 * stops all the others at one moment. */
void outside_freeze(const struct outside *run);
/* True when everything of it has stopped; only a cgroup can tell. */
bool outside_is_frozen(const struct outside *run);
/* Kill its PID 1, and with it everything in its pid namespace (pid_namespaces(7)), stopped or not;
 * by cgroup.kill as well where there is one. -EPERM (REFUSED) where this is not ours to do. */
int outside_kill(const struct outside *run, struct error *err) must_check;
/* Wait until everything of it is gone: PID 1 ends when the kernel has reaped everybody else in the
 * namespace (zap_pid_ns_processes() in kernel/pid_namespace.c). False after wait_ms. */
bool outside_wait(const struct outside *run, unsigned wait_ms);
