/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/canonical.h"
#include "record/format.h"
#include "record/pin.h"
#include "record/storage.h"

/* Why a log is not what it claims to be. docs/recorder.md says what each rests on. */
enum verify_reason {
	VERIFY_GOOD = 0,
	VERIFY_NO_LOG,          /* no segment at all */
	VERIFY_SEGMENT_MISSING, /* one of the numbers 1 to the last is not there */
	VERIFY_SEGMENT_HEADER,  /* a file does not begin as a segment */
	VERIFY_FOREIGN,         /* another log's */
	VERIFY_FRAME,           /* bytes that are no record */
	VERIFY_CUT,             /* ends within a record */
	VERIFY_HASH,            /* changed, or not the successor of what is before it */
	VERIFY_RECORD,          /* not the canonical form of a record */
	VERIFY_SEQUENCE,        /* numbers do not follow one another */
	VERIFY_CLOCK,           /* the boot clock went back within a boot */
	VERIFY_KIND,            /* a head or seal where none belongs, or none where one does */
	VERIFY_HEAD_KEY,        /* a segment's head is not signed with the key that must sign it */
	VERIFY_HEAD,            /* a segment's head says something that does not fit */
	VERIFY_SEAL_KEY,        /* a seal is not signed with the key that must sign it */
	VERIFY_SEAL,            /* a seal says something that does not fit */
	VERIFY_NOT_SEALED,      /* more records without a seal than the recorder ever leaves */
	VERIFY_NOT_CLOSED,      /* no closing seal at the end, and nobody who is writing */
	VERIFY_ENDS_EARLY,      /* a later record was anchored */
	VERIFY_ANCHOR,          /* another record was anchored under this number */
	VERIFY_REMOVED,         /* a segment's content is gone, and no retention record says so */
	VERIFY_REASON_COUNT
};

struct verify_options {
	const struct storage *storage;
	int dir;
	const struct log_pin *pin;
	/* Read from outside BEFORE the log is looked at; NULL: what is missing at the end cannot be
	 * noticed, and the result says so. */
	const struct log_head *anchor;
	/* Somebody is writing: an end without a seal, even within a record, is no fault. */
	bool live;
	/* Told each record whose place in the chain is right, also those after the last seal; a
	 * negative answer ends the reading with it. May be NULL. */
	int (*each)(void *data, uint64_t segment, const struct frame *frame,
		const struct record_view *view);
	void *data;
};

struct verify_result {
	bool pass;
	enum verify_reason reason;
	uint64_t segment;  /* where it failed; else the last one */
	uint64_t sequence; /* the record that failed, or should have followed; else the last one */
	uint64_t offset;   /* in that segment */
	uint64_t segments, records, seals, bytes; /* looked at */
	uint64_t removed_segments; /* only their heads are left, and the log says so */
	uint64_t abandoned_bytes;  /* that a later head does not count */
	uint64_t unsealed_records; /* at the end, only where live */
	uint64_t torn_bytes;       /* likewise */
	bool closed;               /* ends with a closing seal */
	bool anchored;             /* reaches what was anchored */
	uint64_t beyond_anchor;    /* records after that */
	/* The end of the last head or seal that was right: what is before it is what was recorded.
	 */
	uint64_t sealed_segment, sealed_offset, sealed_sequence;
};

/* Check a whole log against a pinned key, strictly and in one pass, with memory of a fixed size.
 * Returns 0 with the verdict in *ret_result; a negative errno where it could not be read (-ENOMEM,
 * what the storage says, what `each` says): then there is no verdict. */
int verify_log(const struct verify_options *options, struct verify_result *ret_result,
	struct error *err) must_check;
/* "hash", "not_sealed" …: stable words for machines. Static. */
const char *verify_reason_word(enum verify_reason reason);
/* One sentence for people. Static. */
const char *verify_reason_text(enum verify_reason reason);
