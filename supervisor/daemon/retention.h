/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/recorder.h"

/* Records that nobody has to keep any more go, oldest segments first: when every run in a segment,
 * and in all before it, was kept for as long as its profile wanted (RunStart.keep_ms; a year where
 * that is not known). */

#define RETENTION_FILE "retention" /* in the log's directory: how far it came, and when */
#define RETENTION_HOLD "hold"      /* in the state directory: while it is there nothing goes */
#define RETENTION_EVERY_MS (24ULL * 3600 * 1000)

struct retention_request {
	int log_dir, state_dir; /* borrowed */
	uint64_t max_bytes; /* of all segments: beyond it old ones go before their time; 0: none */
	int64_t now_ns;     /* wall clock */
};

/* Remove what may go, at most once in RETENTION_EVERY_MS. Returns how many segments went. Errors:
 * those of the storage and of recorder_remove(). */
int retention_apply(const struct retention_request *request, struct recorder *recorder,
	struct error *err) must_check;
