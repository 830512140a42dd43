/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/evidence.h"
#include "daemon/runs-named.h"
#include "daemon/runs-place.h"
#include "daemon/withdraw.h"

/* Stop, look at and end runs without asking their berms: these may be stopped, hang or be flooded.
 * Nothing here waits for anything but the kernel. */

#define KILL_RUNS_MAX RUNS_MAX
#define KILL_WAIT_MS 5000
/* Looking at what is about to be killed takes this long at most, for all runs together, and less
 * where finding them took long: it is over so long after the order, but gets some time always. */
#define KILL_EVIDENCE_MS 300
#define KILL_EVIDENCE_UNTIL_MS 300
#define KILL_EVIDENCE_LEAST_MS 50
/* So long is waited for the place of a run that begins; the others are gone by then. */
#define KILL_BEGIN_MS 1000
#define HALT_BEGIN_MS 10000 /* of those that are refused when they come to it */
/* As long as a cgroup may take to say that it is frozen. */
#define KILL_FREEZE_MS 100

struct kill_request {
	struct runs_named *named; /* which; of an agent or a group it is read anew */
	bool all_users;           /* as root: every user's */
	bool keep_later;          /* whoever asks calls kill_keep() */
	bool held;                /* what is held goes too (daemon/withdraw.h); wants state */
	unsigned begin_ms;        /* to wait for those that begin */
	const char *reason;       /* or NULL */
	const char *by;           /* who, in words */
	const char *state;        /* state directory for evidence and record, or NULL: neither */
};

struct killed {
	char run_id[RUN_ID_LENGTH + 1];
	uid_t uid;
	char agent[AGENT_ID_BYTES + 1], group[AGENT_NAME_MAX + 1]; /* "": of none */
	unsigned posture, phase;                                   /* as its berm last wrote them */
	bool staged;
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
	unsigned unfound;          /* runs that begin, or that no place leads to */
	uint64_t asked_ns;         /* boot time */
	int64_t asked_wall_s;      /* since 1970 */
	uint64_t took_ns;          /* all of it, with what is kept */
	struct error not_recorded; /* code 0: all is in the log, or state is NULL */
	struct withdrawal withdrawn;
	struct error not_withdrawn; /* code 0, or why something may be held still */
};

/* Kill what the request names: this user's own runs first, and others' (all_users) unless one run
 * was named and is among them. Fills the report also where it fails; finish it with kill_finish().
 * An error (kind NOT_FOUND) only where the beginning of an id is that of no run or of more than
 * one, or on -ENOMEM; whether each run is gone stands in the report. */
int kill_runs(const struct kill_request *request, struct kill_report *ret_report,
	struct error *err) must_check;
/* Among hundreds of busy processes one that is as good as they are waits for its turn with all of
 * them, and runs for some milliseconds then. Root's comes first (SCHED_RR, sched(7)); others are
 * not allowed to. kill_runs() does it by itself; whoever has much to do before it does it at once.
 * Returns what kill_go_as_before() takes: nothing else of this process, and none of its children,
 * is to stay so. */
int kill_go_first(void);
void kill_go_as_before(int before);
/* Keep what was seen of them, and have it in the log; what cannot be recorded is kept for later
 * (daemon/kill-pending.h). Quiet: report->not_recorded says why not. */
void kill_keep(const struct kill_request *request, struct kill_report *report);
/* T (boot time): the last of them was gone, and nothing of them completed after it. 0: none was
 * there, or some are left. */
uint64_t kill_report_t(const struct kill_report *report);
void kill_finish(struct kill_report *report);
