/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/recorder-internal.h"

/* How far the log goes, as it is read. */
struct found_end {
	uint64_t offset;   /* of the records that are kept */
	uint64_t unsealed; /* of them after the last seal */
	uint64_t sequence;
	uint64_t boot_ns;
	uint64_t reason; /* SEAL_… where a seal is the last of them; else 0 */
	uint8_t hash[CHAIN_HASH_BYTES];
};

/* What is found in the log when it is taken up. The key file says how far it had been sealed; what
 * comes after that is taken as far as each record is the successor of the one before it. */
struct found {
	uint64_t last_segment; /* highest number in the directory */
	const char *damage;    /* why the sealed end is not where it was; NULL: it is */
	uint64_t size;         /* of the segment */
	struct found_end at;
	/* The end before a Retention record that no seal follows. */
	struct found_end before_retention;
	bool has_retention;
	bool has_seal; /* one that the key file does not know of yet */
	struct log_position seal;
	bool is_behind;        /* there are more of them: the key file is an older copy */
	int64_t begun_wall_ns; /* the segment's head */
	bool has_begun;
	uint64_t seal_records; /* as it declares */
};

/* found.c: the segment that the key file names, and what it holds after the sealed end. */
int found_look(struct recorder *r, struct found *f, struct error *err) must_check;
/* anchored.c: -ESTALE where what was anchored is not in this log, behind the sealed end or in what
 * was found after it. Sets anchor_linked where that could be seen; where it could not, returns 0
 * all the same unless the anchor is required. */
int found_check_anchor(struct recorder *r, const struct found *f, struct error *err) must_check;
