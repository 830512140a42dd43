/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/evidence.h"
#include "daemon/runs-named.h"
#include "daemon/runs-place.h"

/* Stop, look at and end runs without asking their berms: these may be stopped, hang or be flooded.
 * Nothing here waits for anything but the kernel. */

#define KILL_RUNS_MAX RUNS_MAX
#define KILL_WAIT_MS 5000
/* Looking at what is about to be killed takes this long at most, for all runs together. */
#define KILL_EVIDENCE_MS 300
/* As long as a cgroup may take to say that it is frozen. */
#define KILL_FREEZE_MS 100

struct kill_request {
	const struct runs_named *named; /* which */
	bool all_users;                 /* as root: every user's */
	const char *reason;             /* or NULL */
	const char *by;                 /* who, in words */
	const char *state; /* state directory for evidence and record, or NULL: neither */
};

struct killed {
	char run_id[RUN_ID_LENGTH + 1];
	uid_t uid;
	struct outside run;          /* owned until kill_finish() */
	int directory_fd;            /* borrowed from the report */
	uint64_t frozen_ns, gone_ns; /* boot time; 0: it could not be told, it is not gone */
	struct evidence evidence;
	struct text evidence_text; /* owned */
	struct error error;        /* why it is not gone, or what of it was not kept */
};

struct kill_report {
	struct killed *runs; /* owned */
	size_t count;
	int *directories; /* owned, with the descriptors in it */
	size_t directory_count;
	unsigned last_directory;   /* run_found.directory of the last one */
	bool more;                 /* there are some that were not looked at */
	uint64_t asked_ns;         /* boot time */
	uint64_t took_ns;          /* all of it, with what is kept */
	struct error not_recorded; /* code 0: all is in the log, or state is NULL */
};

/* Kill what the request names: this user's own runs first, and others' (all_users) unless one run
 * was named and is among them. Fills the report also where it fails; finish it with kill_finish().
 * An error (kind NOT_FOUND) only where the beginning of an id is that of no run or of more than
 * one, or on -ENOMEM; whether each run is gone stands in the report. */
int kill_runs(const struct kill_request *request, struct kill_report *ret_report,
	struct error *err) must_check;
void kill_finish(struct kill_report *report);
