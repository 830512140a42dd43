/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/pin.h"
#include "record/storage.h"

/* Where heads are kept outside the log, best where who can write the log cannot take back what was
 * said. publish() is called after each seal that is on the disk, with ever later heads; latest()
 * gives the last one, -ENOENT where there is none for that log. */
struct anchor {
	int (*publish)(void *context, const struct log_head *head, struct error *err);
	int (*latest)(void *context, const uint8_t log_id[LOG_ID_BYTES], struct log_head *ret_head,
		struct error *err);
	void *context;
};

/* A second directory: one file "LOGID.head" a log, replaced as a whole. Never goes back: a head
 * with a lower sequence than the one that is there is refused with -ESTALE. */
struct anchor_directory {
	const struct storage *storage;
	int dir; /* borrowed */
};
struct anchor anchor_directory(struct anchor_directory *directory);
