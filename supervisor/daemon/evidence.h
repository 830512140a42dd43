/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a run is at the moment, for whoever looks into it later: its processes, what they execute,
 * where they are, and what they have open. Taken from /proc, of a run that was stopped. */

#define EVIDENCE_DIGEST_BYTES 32
#define EVIDENCE_PROCESSES_MAX 512
#define EVIDENCE_FILES_MAX 64   /* open files of one process */
#define EVIDENCE_WORDS_MAX 1024 /* bytes of one text */
#define EVIDENCE_NAME_BYTES 48

struct evidence {
	unsigned processes;             /* that were found */
	bool cut;                       /* there is more than was kept, or no time to look at all */
	char name[EVIDENCE_NAME_BYTES]; /* of the file in STATE/evidence; "": not kept */
	uint8_t digest[EVIDENCE_DIGEST_BYTES]; /* BLAKE2b-256 of the file */
};

/* Every process of this host and its parent: taken once for all runs. Zero-initialise. */
struct evidence_table {
	struct evidence_process {
		pid_t pid, parent;
	} * rows; /* owned */
	size_t count;
};

/* Fill the table; what cannot be read is left out. */
void evidence_scan(struct evidence_table *table);
void evidence_table_finish(struct evidence_table *table);
/* Put the processes of the run (its PID 1 and all that come from it: orphans are given back to it)
 * into the object that is open, until deadline_ns (CLOCK_BOOTTIME): then the rest is left out and
 * that is said. Text of the tool is bounded; what is not UTF-8 becomes U+FFFD. */
void evidence_gather(const struct evidence_table *table, pid_t init_pid, uint64_t deadline_ns,
	struct json *json, struct evidence *evidence);
/* Keep the text as STATE/evidence/RUN.json (0600) on the disk; one that is there already stays, and
 * this one gets another number. */
int evidence_keep(const char *state, const char *run_id, const struct text *text,
	struct evidence *evidence, struct error *err) must_check;
