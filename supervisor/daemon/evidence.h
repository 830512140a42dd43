/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a run is at the moment, for whoever looks into it later: its processes, what they execute,
 * where they are, and what they have open. Taken from /proc, of a run that was stopped. */

#define EVIDENCE_VERSION 1 /* of the object */
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
 * to it. Text of the tool is bounded; what is not UTF-8 becomes U+FFFD. Arguments are without what
 * looks like a secret (record/redact.h). */
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
/* Keep the text as STATE/evidence/RUN.json (0600); one that is there already stays, and this one
 * gets another number. Its name is on the disk after evidence_settle(). */
int evidence_keep(const char *state, const char *run_id, const struct text *text,
	struct evidence *evidence, struct error *err) must_check;

/* What is kept of all kills together. */
#define EVIDENCE_KEPT_FILES 4096
#define EVIDENCE_KEPT_BYTES (1ULL << 30)

/* When all is kept: have the names on the disk, and remove the oldest of what is over the bounds,
 * nothing that was written at or after since_s (since 1970). */
int evidence_settle(const char *state, int64_t since_s, struct error *err) must_check;
/* The same of an open directory and other bounds. Returns how many were removed. */
unsigned evidence_prune(int directory_fd, size_t files, uint64_t bytes, int64_t since_s);
