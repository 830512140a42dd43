/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/export.h"
#include "record/reader.h"

/* The records of a log as they come, read beside the recorder. Only what hashes as it should is
 * told; whether it is sealed is for `berm log verify`. */

struct log_tail {
	int dir; /* borrowed: the log's directory */
	uint64_t segment,
		offset;  /* the next record; segment 0: the newest one from its beginning */
	uint8_t *window; /* owned */
};

/* Each record that is there, in order; `told` may keep nothing of it. */
typedef void (*log_tail_told)(
	void *context, const Berm__Wire__Record *record, const struct export_place *place);

int log_tail_init(struct log_tail *tail, int dir, uint64_t segment, uint64_t offset,
	struct error *err) must_check;
void log_tail_finish(struct log_tail *tail);
/* Tell what has come since, at most `most` records. Returns how many, or a negative errno of the
 * disk. */
int log_tail_read(
	struct log_tail *tail, unsigned most, log_tail_told told, void *context) must_check;
