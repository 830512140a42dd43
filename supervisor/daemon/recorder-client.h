/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/recorder.h"

#include <stdbool.h>

/* A run's end of its connection to the recorder. Records are numbered here, from 1; what was not
 * acknowledged is kept, and told again to another recorder where the first one died. A record can
 * then be in the log twice, with the same run and run_sequence: readers take it once. */

/* Kept at most, until it is acknowledged; what is beyond counts as lost, activity first. */
#define RECORDER_KEPT_BYTES (4U << 20)
#define RECORDER_KEPT_ACTIVITY_BYTES (2U << 20)
/* A recorder that does not answer has failed. */
#define RECORDER_PATIENCE_MS 5000
/* Recorders that may die under one run. */
#define RECORDER_RESTARTS_MAX 16

struct recorder_client;

struct recorder_client_options {
	const char *state;           /* borrowed, absolute */
	struct record_run_info info; /* its strings are borrowed until recorder_client_close() */
	bool act;                    /* not a run but what somebody did: see daemon/act.h */
	/* Where the recorder is, instead of the one of the state directory: a connected socket that
	 * does not block, or -errno. For tests; may be NULL. */
	int (*connect)(void *context, struct error *err);
	void *context;
};

/* Begin to record a run. The recorder is looked for, or started, and told; nobody waits for its
 * answer. Never fails but for -ENOMEM: what is wrong shows in recorder_client_ready(). */
int recorder_client_open(const struct recorder_client_options *options,
	struct recorder_client **ret_client, struct error *err) must_check;
/* Queue a record and send what can be sent. Never waits. */
void recorder_client_append(
	struct recorder_client *client, enum record_ring ring, const Berm__Wire__Record *record);
/* Records that were lost before they came here. */
void recorder_client_lost(struct recorder_client *client, enum record_ring ring,
	Berm__Wire__LossSource source, uint64_t count);
/* The recorder has taken the run on, so that all that was queued is with it, or will be with the
 * next one; waits at most RECORDER_PATIENCE_MS. */
int recorder_client_ready(struct recorder_client *client, struct error *err) must_check;
/* Readable when recorder_client_handle() has something to do. The same descriptor for as long as
 * the client is open. */
int recorder_client_fd(const struct recorder_client *client);
/* Take acknowledgements, send what waits, and go to another recorder where this one is gone. An
 * error is final: nothing more is recorded. */
int recorder_client_handle(struct recorder_client *client, struct error *err) must_check;
/* All that was queued was the whole run: wait until it is on the disk, at most timeout_ms.
 * close: the recorder is to end too, where it has nobody else; that is waited for, two seconds at
 * most. */
int recorder_client_finish(struct recorder_client *client, bool close, unsigned timeout_ms,
	struct error *err) must_check;
/* Without recorder_client_finish() before it the recorder says that berm ended without a word. NULL
 * is fine. */
void recorder_client_close(struct recorder_client *client);

struct recorder_client_status {
	uint64_t told;    /* number of the last record */
	uint64_t durable; /* and of the last one that was acknowledged */
	uint64_t lost;    /* here */
	unsigned restarts;
};
void recorder_client_status(
	const struct recorder_client *client, struct recorder_client_status *ret_status);
