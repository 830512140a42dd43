/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A play of tests/unit/test-daemon-failpoints.c: what is to happen in it and what did, and whether
 * the log that it left has all that was acknowledged. */

#define RUNS 3
#define RECORDS 120 /* of each run: a few segments */
#define SEGMENT "segment-bytes=6000"
#define WITNESS "witness"
#define LAUNCHES 3
#define PATIENCE_MS 20000

extern const char *const recorder_play_runs[RUNS];

extern struct recorder_play {
	char state[80];
	const char *ask;    /* for the recorder that is launched as number `at`, from 1 */
	const char *before; /* for the one before it */
	unsigned at, launches;
	pid_t killed_by_us[8];
	unsigned killed_count;
	uint64_t durable[RUNS];
	bool keeps_nothing; /* old segments may go */
	bool tears_end;     /* the one that is killed was writing */
	bool may_fail;      /* a run may be told that it is not recorded */
	bool has_anchor;    /* heads go to a directory, by a process that may be the one to die */
} recorder_play;

/* A directory of the state directory, by a path from there; to be closed. */
int recorder_play_open(const char *name);
/* Fails the test where the log does not verify, up to its anchor where it has one, or where a
 * record is missing that recorder_play.durable counts. */
void recorder_play_check(void);
