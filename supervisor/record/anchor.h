/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/pin.h"
#include "record/storage.h"

/* Where heads are kept outside the log, best where who can write the log cannot take back what was
 * said. publish() is called after each seal that is on the disk, with ever later heads; -ESTALE
 * says that what is there is no head before this one, which is final. latest() gives the last one,
 * -ENOENT where there is none for that log. */
struct anchor {
	int (*publish)(void *context, const struct log_head *head, struct error *err);
	int (*latest)(void *context, const uint8_t log_id[LOG_ID_BYTES], struct log_head *ret_head,
		struct error *err);
	void *context;
};

/* A second directory: one file "LOGID.head" a log, replaced as a whole. Never goes back, and takes
 * the place only of what latest() or publish() saw there last: where the head that is there has a
 * higher sequence, or was put by somebody else, -ESTALE. */
struct anchor_directory {
	const struct storage *storage;
	int dir; /* borrowed */
	/* The rest begins as zero. */
	struct log_head seen[2]; /* what may be there: the last one, and one that may have failed */
	bool has_looked;
};
struct anchor anchor_directory(struct anchor_directory *directory);
