/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/format.h"
#include "record/keys.h"
#include "record/recorder.h"

#define LOCK_FILE "lock"
/* Set aside on the disk beyond the end of the segment: last words, and the losses they declare. */
#define RESERVE_BYTES (64U << 10)
#define RESERVE_STEP (4U << 20)
/* Set aside in the queue for what the recorder itself says. */
#define OWN_QUEUE_BYTES (256U << 10)
/* More than any Loss, Seal, SegmentHead, Opened or Trouble takes as a frame. */
#define OWN_FRAME_MAX 1024U
#define FRAME_OVERHEAD (FRAME_HEADER_BYTES + CHAIN_HASH_BYTES)
#define LOSS_SOURCES 5 /* LossSource, from 1 */

struct ring_state {
	size_t used;                     /* bytes in the queue */
	uint64_t queued;                 /* records in the queue */
	uint64_t lost[LOSS_SOURCES];     /* not declared yet */
	uint64_t declared[LOSS_SOURCES]; /* by Loss records that are in the queue */
};

struct record_run {
	char *agent_id, *run, *group; /* owned; may be NULL */
	uint8_t *names;               /* owned: these three, packed; NULL in the recorder's own */
	size_t names_length;
	uint8_t profile_digest[32];
	bool has_profile_digest;
	bool is_own; /* the recorder's */
	bool ended;
	bool has_loss;
	uint32_t enforcement;
	uint32_t phase;
	uint64_t sequence; /* records of it so far, lost ones among them */
	uint64_t lost;     /* of them, since it began here */
	struct ring_state rings[RECORD_RING_COUNT];
};

/* How far the log has come. */
struct recorder_mark {
	uint64_t sequence;
	uint64_t since_seal; /* records after the last head or seal */
	uint64_t boot_ns;
};

struct recorder {
	struct recorder_options options;
	struct keys *keys;
	int lock_file;
	int segment_file;
	bool failed;
	bool closed;
	bool reserve_works;
	bool anchor_linked; /* what was anchored is in this log, or nothing was */

	uint64_t segment;
	uint64_t file_end;     /* bytes that are on the disk */
	uint64_t reserved_end; /* blocks up to here are the segment's */
	uint64_t segment_begun_ns;
	uint64_t sealed_ns;        /* boot time of the last seal or head */
	uint64_t waiting_since_ns; /* of the oldest record in the queue */

	uint8_t *queue;                    /* the hash before, then whole frames */
	size_t queued;                     /* bytes, without that hash */
	size_t opened_bytes;               /* of it: the Opened record, until it is on the disk */
	bool seal_queued;                  /* the last seal is still in the queue */
	struct log_position seal_position; /* of that one */
	struct recorder_mark durable, now;
	int64_t clock_offset; /* wall clock less boot clock when last looked at */
	bool has_clock_offset;

	struct record_run own;
	struct record_run *runs[RECORD_RUNS_MAX];
	unsigned run_count;
	size_t committed; /* bytes of the queue that rings hold or are sure to have */

	uint64_t lost, seals, anchor_failures;
	int anchor_error;  /* of the last seal, 0: it was anchored */
	bool anchor_noted; /* a record says that seals are not anchored */
};

/* queue.c */
void queue_init(struct recorder *r);
void queue_finish(struct recorder *r);
/* Room for a record of that ring: true where its run may have it. */
bool queue_admits(const struct recorder *r, const struct ring_state *ring, size_t bytes);
void queue_charge(struct recorder *r, struct ring_state *ring, size_t bytes);
/* All that waits is on the disk. */
void queue_flushed(struct recorder *r);
/* All that waits is given up: it counts as lost. */
void queue_dropped(struct recorder *r);
/* Put Loss records for what was lost of a run, as far as limit_bytes in the queue allow. False
 * where something is still to be declared. */
bool queue_declare(struct recorder *r, struct record_run *run, size_t limit_bytes);
void queue_declare_all(struct recorder *r, size_t limit_bytes);
/* What could not be declared by itself, in one Loss record of no run. */
void queue_declare_rest(struct recorder *r);

/* True where as many records wait for a seal as may: one that is in the queue already must reach
 * the disk first. `more`: for what the recorder itself has to say. */
bool queue_wants_seal(const struct recorder *r, unsigned more);

/* writer.c */
void writer_time(struct recorder *r, struct record_time *ret_time);
/* Write one record at the end of the queue, which has the room. The envelope's sequence and times
 * are filled in; returns the bytes of its frame. */
size_t writer_put(struct recorder *r, Berm__Wire__Record *record, const struct record_time *time);
/* As recorder_append(), for any body. */
int writer_append(struct recorder *r, struct record_run *run, enum record_ring ring,
	const Berm__Wire__Record *record) must_check;
/* The same, signed. */
void writer_put_signed(struct recorder *r, Berm__Wire__Record *record, enum signed_kind kind);
/* The queue to the disk. With `last_words` into the room that was set aside. */
int writer_flush(struct recorder *r, bool last_words, struct error *err) must_check;
int writer_seal(struct recorder *r, Berm__Wire__SealReason reason) must_check;
/* The seal in the queue is on the disk now: go on to the next key, tell the anchor. */
int writer_sealed(struct recorder *r, struct error *err) must_check;
int writer_fail(struct recorder *r, struct error *err, int error, const char *what);

/* segment.c */
/* Make the next segment's file under a temporary name, with blocks. Returns a handle. */
int segment_prepare(struct recorder *r, struct error *err) must_check;
/* Write its head, name it, and go on there. Takes the handle. abandoned: the one before goes only
 * up to the keys' position. */
int segment_begin(struct recorder *r, int file, bool abandoned, struct error *err) must_check;
