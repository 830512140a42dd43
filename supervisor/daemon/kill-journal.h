/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/kill-order.h"

/* What the kill switch did, in a file of its own that is only ever made longer: a JSON line for
 * each order that it followed. It also says which nonces were used, in lines of their own. */

#define KILL_JOURNAL "kill.log"
/* Orders of one key within the time in which one is taken: as many keys as there can be have room
 * for that, and as many that were taken out of authority.yaml meanwhile. */
#define KILL_NONCES_PER_KEY 256
#define KILL_NONCES_MAX (2UL * PACE_KEYS_MAX * KILL_NONCES_PER_KEY)

struct kill_journal {
	int fd; /* owned; -1: it could not be opened, then nothing is written */
	struct kill_nonce {
		uint8_t nonce[PACE_NONCE_BYTES], key[AUTHORITY_KEY_BYTES];
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
	bool used_first; /* that it was used was on the disk before the deed */
	bool recorded;   /* in the log as well */
};

int kill_journal_open(
	const char *state, struct kill_journal *ret_journal, struct error *err) must_check;
void kill_journal_close(struct kill_journal *journal);
/* 0, and the nonce is used from now on; -EALREADY where it was; -ENOSPC where this key has signed
 * as many as one may within the time in which an order is taken. */
int kill_journal_use(
	struct kill_journal *journal, const struct kill_order *order, uint64_t wall_ms) must_check;
/* Only that it was used, for who comes after a crash. On the disk when it returns 0. */
int kill_journal_write_nonce(
	struct kill_journal *journal, const struct kill_order *order) must_check;
/* The same, and it takes timeout_ms at most: a process of its own writes it, a child that is not
 * waited for, and goes on where that is not enough. True where it is on the disk. */
bool kill_journal_write_ahead(
	struct kill_journal *journal, const struct kill_order *order, unsigned timeout_ms);
/* Best effort, on the disk when it returns 0. */
int kill_journal_write(struct kill_journal *journal, const struct kill_deed *deed) must_check;
