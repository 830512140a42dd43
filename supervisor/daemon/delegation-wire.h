/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The packets between a tool and the process that is begun for its request. */

#define DELEGATION_VERSION 1
#define DELEGATION_STDIO 3
#define DELEGATION_REQUEST_MAX (128U << 10)
#define DELEGATION_REPLY_MAX 4096
#define DELEGATION_WORDS_MAX 4096 /* of a command line */

/* What is asked. Zero-initialise; one that was read is released with delegation_asked_finish(). */
struct delegation_asked {
	const char *agent;
	const char *task;        /* NULL: none */
	const char *const *argv; /* ends with NULL */
	uint64_t timeout_ms;
	/* Owned, of one that was read: */
	void *request;
	char **words;
};
void delegation_asked_finish(struct delegation_asked *asked);

/* Read one that came from a tool: kind INPUT for what this berm would not have written. */
int delegation_request_read(const uint8_t *bytes, size_t length, struct delegation_asked *ret_asked,
	struct error *err) must_check;
/* Wait for the request, and make what came with it this process's 0 to 2; only what
 * supervisor_stdio_is_plain() is taken. Whatever else came is closed. */
int delegation_request_receive(
	int fd, unsigned seconds, struct delegation_asked *ret_asked, struct error *err) must_check;
/* Say how it went. Best effort. */
void delegation_reply_send(int fd, int code, const char *reason);

/* In a run: true where its berm would be asked. */
bool delegation_has_door(void);
/* In a run: ask its own berm for a run of another agent with this process's streams (through pipes
 * where they are files or sockets), and wait for its end. True where there was a door: *ret_code is
 * what berm run exits with, and the reason is there or "". False where this is no run, or none that
 * may delegate. */
bool delegation_ask(
	const struct delegation_asked *asked, int *ret_code, char ret_reason[ERROR_TEXT_MAX]);
