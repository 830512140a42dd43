/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/format.h"

/* What somebody keeps outside the log to hold it to its word. Both are one line of text. */

/* Which log it is and the first of its head keys: what a verifier pins. Written once, when the log
 * begins; never taken from the log itself. */
struct log_pin {
	uint8_t log_id[LOG_ID_BYTES];
	uint8_t public_key[PUBLIC_KEY_BYTES];
};

/* How far the log had come: the frame of a head or seal that is on the disk. */
struct log_head {
	uint8_t log_id[LOG_ID_BYTES];
	uint64_t segment;
	uint64_t sequence;
	uint8_t hash[CHAIN_HASH_BYTES];
};

#define LOG_LINE_BYTES 256

/* "berm-log-1 LOGID KEY\n" and "berm-head-1 LOGID SEGMENT SEQUENCE HASH\n", bytes as hex. */
void log_pin_format(const struct log_pin *pin, char ret_line[LOG_LINE_BYTES]);
void log_head_format(const struct log_head *head, char ret_line[LOG_LINE_BYTES]);
/* Exactly such a line and nothing else; -EBADMSG. */
int log_pin_parse(
	const char *line, size_t length, struct log_pin *ret_pin, struct error *err) must_check;
int log_head_parse(
	const char *line, size_t length, struct log_head *ret_head, struct error *err) must_check;
