/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/anchor.h"
#include "record/canonical.h"
#include "record/storage.h"
#include "wire/record.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* The writing end of the flight recorder. One process at a time has a log open (it holds a lock).
 *
 * Records are queued by recorder_append() and reach the disk together in recorder_commit(): a
 * record with a sequence number up to recorder_durable() survives power loss. Nothing here sleeps
 * or starts a thread: the caller's event loop calls recorder_commit() when recorder_due_ns() has
 * come. */

/* A run's records of each ring have room of their own in the queue. */
enum record_ring {
	RECORD_RING_ACTIVITY,  /* exec, file, network */
	RECORD_RING_DECISIONS, /* all else: starts and ends, denials, trips, postures, approvals */
	RECORD_RING_COUNT
};

/* By what a run is held, for Record.enforcement. */
enum record_enforced {
	RECORD_ENFORCED_MOUNT = 1,
	RECORD_ENFORCED_LANDLOCK = 2,
	RECORD_ENFORCED_SECCOMP = 4,
	RECORD_ENFORCED_CGROUP = 8,
	RECORD_ENFORCED_BPF = 16,
	RECORD_ENFORCED_NOTIFY = 32,
	RECORD_ENFORCED_NETNS = 64,
	RECORD_ENFORCED_USERNS = 128,
	RECORD_ENFORCED_RLIMIT = 256,
	RECORD_ENFORCED_DEGRADED = 1U << 31, /* something the profile wanted is missing */
};

#define RECORD_RUNS_MAX 1024
#define RECORD_ID_BYTES 16

struct record_time {
	int64_t wall_ns;
	uint64_t boot_ns;
};

struct recorder_options {
	const struct storage *storage;
	int log_dir; /* borrowed, as are the next two */
	int key_dir;
	const struct anchor *anchor; /* NULL: none */
	bool anchor_required;        /* a seal that could not be anchored is a failure */
	bool create;                 /* draw keys where there are none, and begin a log */
	/* 0 in one of these means the default in brackets. */
	uint64_t segment_bytes;      /* [64 MiB] */
	uint64_t segment_age_ms;     /* [a day] */
	uint32_t commit_interval_ms; /* [20] */
	uint32_t seal_interval_ms;   /* [1000] */
	uint32_t seal_records;       /* [100000] */
	uint32_t queue_bytes;        /* [16 MiB] most that waits for a commit; at least 1 MiB */
	uint32_t run_bytes;          /* [4096] of it that each ring of each run is sure to have */
	const uint8_t *host_id;      /* RECORD_ID_BYTES, or NULL */
	const uint8_t *boot_id;      /* likewise */
	/* NULL: the system's clocks. */
	void (*clock)(void *context, struct record_time *ret_time);
	void *clock_context;
};

struct recorder;
struct record_run;

/* What is the same in all records of a run; copied. */
struct record_run_info {
	const char *agent_id;
	const char *run;
	const char *group;             /* NULL: none */
	const uint8_t *profile_digest; /* 32 bytes, or NULL */
	uint32_t enforcement;          /* RECORD_ENFORCED_… */
	/* Records of it so far: where it goes on after the recorder before this one died. */
	uint64_t sequence;
};

/* Take up the log in log_dir with the keys in key_dir, mending what a crash left: what was durable
 * is kept, an incomplete record at the end is dropped, both are said in the log. Ends with an
 * Opened record in the queue, or sealed on the disk after a crash. Errors: -EWOULDBLOCK another
 * recorder has it; -ENOKEY there is a log and no key; -ENOENT there is neither and `create` is not
 * set; -ESTALE the log is older than its key or its anchor says; those of keys_load(); the
 * storage's. */
int recorder_open(const struct recorder_options *options, struct recorder **ret_recorder,
	struct error *err) must_check;

/* A run begins. Errors: -EAGAIN RECORD_RUNS_MAX runs are there already, or the queue has no share
 * left; -ENOMEM. */
int recorder_run_begin(struct recorder *r, const struct record_run_info *info,
	struct record_run **ret_run, struct error *err) must_check;
/* It is over and `run` is not to be used again; what was lost of it is still declared. */
void recorder_run_end(struct recorder *r, struct record_run *run);
void recorder_run_phase(struct record_run *run, uint32_t phase);
/* Records of it that were lost since it began here, and records that it has told in all, those that
 * were lost among them: the last run_sequence. */
uint64_t recorder_run_lost(const struct record_run *run);
uint64_t recorder_run_sequence(const struct record_run *run);

/* Queue a record: body, evidence and chain as the caller set them, the rest of the envelope is
 * filled in here. run NULL: the recorder's own. `record` is borrowed.
 * Errors: -ENOBUFS there was no room, -EMSGSIZE it is too large, -EINVAL it has a body that only
 * the recorder itself writes, or something in it that has no canonical form (a field that is
 * unknown, a value that an enum has not): it is lost, counted, and declared before the next record
 * of that run; -EIO the recorder has failed or is closed. */
int recorder_append(struct recorder *r, struct record_run *run, enum record_ring ring,
	const Berm__Wire__Record *record) must_check;
/* The same for what record_part_read() has read, which becomes part of the record as it is. Of a
 * run, not the recorder's own. */
int recorder_append_part(struct recorder *r, struct record_run *run, enum record_ring ring,
	const struct record_part *part) must_check;
/* Records of that run were lost before they came here. */
void recorder_lost(struct recorder *r, struct record_run *run, enum record_ring ring,
	Berm__Wire__LossSource source, uint64_t count);

/* Bring what is queued to the disk, with a seal and into a new segment where these are due.
 * Errors: -ENOSPC nothing was written, the queue is as it was and may be tried again; anything else
 * is final: nothing of the queue is acknowledged and the recorder has failed (a failed fsync(2) is
 * never tried again). Open it anew to go on. */
int recorder_commit(struct recorder *r, struct error *err) must_check;
/* The same, and seal what is on the disk in any case. */
int recorder_seal(struct recorder *r, struct error *err) must_check;
/* Boot time at which recorder_commit() is to be called; UINT64_MAX: nothing waits. */
uint64_t recorder_due_ns(const struct recorder *r);
/* Sequence number of the last record that survives power loss. */
uint64_t recorder_durable(const struct recorder *r);

/* The content of segments 1 to `through` may go: say so in the log, and when that is sealed cut
 * them down to their heads. through: less than the present segment. */
int recorder_remove(
	struct recorder *r, uint64_t through, const char *rule, struct error *err) must_check;

/* The last words where the disk is full: what is queued is given up and declared as lost, and what
 * went wrong is recorded and sealed in room that was set aside for it. The recorder is closed then.
 * operation: a word; error: errno. */
int recorder_trouble(
	struct recorder *r, const char *operation, int error, struct error *err) must_check;
/* Commit and put the closing seal. The recorder takes no more records, whatever comes of it. */
int recorder_close(struct recorder *r, struct error *err) must_check;
/* Release; without recorder_close() before it the log looks as after a crash. NULL is fine. */
void recorder_destroy(struct recorder *r);

/* 1 where somebody has the log in dir open for writing, so that its end may be open; 0 where nobody
 * has; a negative errno where that cannot be seen. */
int recorder_is_writing(const struct storage *s, int dir) must_check;

struct recorder_status {
	uint64_t sequence; /* of the last record queued */
	uint64_t durable;
	uint64_t segment;
	uint64_t queued_bytes;
	uint64_t lost; /* by all runs, all sources, since it was opened */
	uint64_t seals;
	uint64_t anchor_failures; /* seals that could not be anchored */
	bool failed;
	bool reserve; /* room is set aside for last words */
};
void recorder_status(const struct recorder *r, struct recorder_status *ret_status);
/* "berm-head-1" line's content for what is sealed now. */
void recorder_head(const struct recorder *r, struct log_head *ret_head);
