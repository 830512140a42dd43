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

/* A run that is to be looked at: its PID 1 and all that come from it, since orphans are given back
 * to it. Text of the tool is bounded; what is not UTF-8 becomes U+FFFD. */
struct evidence_subject {
	pid_t init_pid;
	const char *head; /* members of the JSON object that stand before the processes, or "" */
	struct evidence *evidence;
	struct text *text; /* gets the whole object */
};

/* Look at all of them for wait_ms at most. Reading about a process can block for as long as its
 * file systems like (proc_pid_cmdline_read() takes its mmap_lock), so a child does it, and what it
 * has not said by then is left out; that is said. */
void evidence_look(const struct evidence_subject *subjects, size_t count, unsigned wait_ms);
/* Keep the text as STATE/evidence/RUN.json (0600) on the disk; one that is there already stays, and
 * this one gets another number. */
int evidence_keep(const char *state, const char *run_id, const struct text *text,
	struct evidence *evidence, struct error *err) must_check;
