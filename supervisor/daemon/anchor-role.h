/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/anchor.h"

/* The process that brings the heads of a log to where its operator keeps them (recorder.yaml,
 * `anchor`), beside the recorder: the recorder itself may execute nothing and open nothing but the
 * log, and waits for no place. ROLE_FD is its socket to the recorder. It does one thing after
 * another; of heads that came meanwhile only the newest is published. When the recorder is gone it
 * publishes what it still has, which is on the disk, and ends. */

#define ANCHOR_DIR "anchor"    /* in the state directory: all of it that the process may change */
#define ANCHOR_STATUS "status" /* in there: how it goes; for `berm doctor` */
#define ANCHOR_LOCK "lock"     /* one such process at a time */

enum anchor_verb { ANCHOR_LATEST = 1, ANCHOR_PUBLISH = 2 };

/* Both ends are the same program: the packets are these structs. */
struct anchor_request {
	uint32_t verb;
	struct log_head head; /* of ANCHOR_LATEST only the log's id */
};

struct anchor_reply {
	uint32_t verb;
	int32_t code; /* 0, or a negative errno as of struct anchor */
	struct log_head head;
	char text[ERROR_TEXT_MAX]; /* why */
};

/* The whole life of that process; returns its exit code. */
int anchor_role(int argc, char **argv);

/* What ANCHOR_STATUS says. */
struct anchor_status {
	int code;          /* 0: the last attempt went well; else why not, a negative errno */
	uint64_t sequence; /* of the last head that was published; 0: none */
	uint64_t wall_ms;  /* when this was written */
	char text[ERROR_TEXT_MAX];
};
/* -ENOENT where nothing was tried yet. */
int anchor_status_read(int own_fd, struct anchor_status *ret_status, struct error *err) must_check;
/* own_fd: of ANCHOR_DIR. */
int anchor_status_write(int own_fd, const struct anchor_status *status) must_check;
