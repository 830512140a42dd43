/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "record/anchor.h"

/* Heads handed to a program that the operator names, which brings them wherever it likes: to
 *another host, a ticket, a log service, a printer. It is run as
 *
 *	ARGV… publish         with the head's line on its standard input; exit code 0: it is
 *published. 3: what is there is no head before this one. Anything else: it is not. ARGV… latest
 *LOGID    it writes the line of the last head of that log (hex) and exits with 0; nothing and 0
 *where there is none.
 *
 * without a shell, in a process group of its own, in "/", with the environment PATH=/usr/bin:/bin,
 * no descriptor but the first three, and standard error left where the caller's is. When its time
 *is up the group is killed. */

#define ANCHOR_COMMAND_MS 5000

struct anchor_command {
	char *const *argv;   /* borrowed; ends with NULL; argv[0] is an absolute path */
	uint32_t timeout_ms; /* 0: ANCHOR_COMMAND_MS */
};

/* The command is borrowed. Beside what struct anchor says: -ETIMEDOUT; -EREMOTEIO it could not be
 * run, or ended with another code or by a signal; -EBADMSG what it wrote is not that line. Waits
 * for its end: whoever cannot wait that long calls it from a process of its own. */
struct anchor anchor_command(struct anchor_command *command);
