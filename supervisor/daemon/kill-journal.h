/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/kill-order.h"

/* What the kill switch did, in a file of its own that is only ever made longer: a JSON line for
 * each order that it followed or refused as used. It also says which nonces were used. */

#define KILL_JOURNAL "kill.log"
#define KILL_NONCES_MAX 4096

struct kill_journal {
	int fd; /* owned; -1: it could not be opened, then nothing is written */
	struct kill_nonce {
		uint8_t nonce[PACE_NONCE_BYTES];
		uint64_t signed_ms;
	} * nonces; /* owned */
	size_t count;
};

/* What came of one order. */
struct kill_deed {
	const struct kill_order *order;
	const char *by;                             /* for people */
	uint64_t wall_ms, asked_boot_ns, t_boot_ns; /* t: the last one was gone; 0: not all are */
	unsigned gone, left;
	bool recorded; /* in the log as well */
};

int kill_journal_open(
	const char *state, struct kill_journal *ret_journal, struct error *err) must_check;
void kill_journal_close(struct kill_journal *journal);
/* 0, and the nonce is used from now on; -EALREADY where it was; -ENOSPC where too many were used
 * within the time of a statement. */
int kill_journal_use(
	struct kill_journal *journal, const struct kill_order *order, uint64_t wall_ms) must_check;
/* Only that it was used, for who comes after a crash. On the disk when it returns 0. */
int kill_journal_write_nonce(
	struct kill_journal *journal, const struct kill_order *order) must_check;
/* Best effort, on the disk when it returns 0. */
int kill_journal_write(struct kill_journal *journal, const struct kill_deed *deed) must_check;
