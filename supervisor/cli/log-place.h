/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/verb.h"
#include "record/verify.h"

/* Where a log is, with which key it is checked, and whether it is what was recorded: what the verbs
 * that read logs begin with. */

/* The words of the caller; each may be NULL. */
struct log_request {
	const char *state_dir;
	const char *key;    /* file with a "berm-log-1" line */
	const char *anchor; /* file with a "berm-head-1" line, or a directory of such */
};

/* Release with log_place_close(). */
struct log_place {
	char *state;
	char *path; /* of the log's directory, for messages */
	char *keys; /* of the directory of keys */
	int dir;    /* -1: there is no log */
};

/* Find the log and open its directory. No log is no error. Errors: kind INPUT where --state-dir
 * names nothing; kind INTERNAL where it may not be read. */
int log_place_open(const struct log_request *request, struct log_place *ret_place,
	struct error *err) must_check;
void log_place_close(struct log_place *place);
#define autoplace __attribute__((cleanup(log_place_close)))
/* Say on stderr that there is no log, and where it was looked for. */
void log_place_say_empty(const struct verb *verb, const struct log_place *place);

/* Say how far the check is on a terminal, a few times a second. Zero-initialise. */
struct log_progress {
	uint64_t records, bytes, told_ns;
	bool shown;
};

struct log_check {
	bool pinned; /* there was a key, and `result` says what it found */
	struct log_pin pin;
	char *key_path;               /* of the key that was used; owned */
	unsigned key_owner;           /* uid of that file's owner */
	char why_not[ERROR_TEXT_MAX]; /* why there is no key */
	bool has_anchor;
	char *anchor_from;               /* the operator's places, where it is of them; owned */
	char anchor_not[ERROR_TEXT_MAX]; /* why those were not asked; "" */
	struct log_head anchor;
	bool live; /* somebody is writing it */
	struct verify_result result;
	uint64_t took_ns, cpu_ns;
};

/* Find the key: --key, else the one that was written when the log began, where it is outside the
 * log and nobody but its owner can change it. Never one that is in the log. No key is no error
 * unless --key names it. Errors: kind INPUT. */
int log_check_key(const struct log_request *request, const struct log_place *place,
	struct log_check *check, struct error *err) must_check;
/* Ask the places that the operator named in recorder.yaml for the anchor, where the caller named
 * none: a command is executed with the caller's rights, so only a file of root's or the caller's
 * own counts. Errors: kind INPUT where the file is wrong, or no place knows this log; INTERNAL
 * where one of them cannot be asked. */
int log_check_operators_anchor(const struct log_request *request, const struct log_place *place,
	struct log_check *check, struct error *err) must_check;
/* Check the log with that key; nothing without one. A log that is being written is looked at again
 * before it is said to be bad. */
int log_check_run(
	const struct log_place *place, struct log_check *check, struct error *err) must_check;
void log_check_finish(struct log_check *check);
#define autocheck __attribute__((cleanup(log_check_finish)))
/* Say on stderr what who reads the log must know: that it fails the check, or was not checked. */
void log_check_warn(const struct verb *verb, const struct log_check *check);

enum log_trust {
	LOG_TRUSTED,   /* under a seal that was checked with a pinned key */
	LOG_UNTRUSTED, /* the check failed, and no good seal is behind it */
	LOG_UNKNOWN,   /* not checked, or not sealed yet */
};
enum log_trust log_check_trust(const struct log_check *check, uint64_t segment, uint64_t offset);

/* The rows for a verb whose option struct has a struct log_request called request. */
#define LOG_REQUEST_ROWS(type)                                                                     \
	{"state-dir", 0, OPTION_TEXT, offsetof(type, request.state_dir), "DIR", "BERM_STATE_DIR",  \
		"where log and keys are"},                                                         \
		{"key", 0, OPTION_TEXT, offsetof(type, request.key), "FILE", NULL,                 \
			"check with this copy of recorder.pub"},                                   \
	{                                                                                          \
		"anchor", 0, OPTION_TEXT, offsetof(type, request.anchor), "FILE|DIR", NULL,        \
			"hold the log to what was anchored there"                                  \
	}
