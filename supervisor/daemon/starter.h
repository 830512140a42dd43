/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/sink.h"
#include "record/anchor.h"

/* A role behind its walls executes nothing. What the operator named as a command is started by a
 * process that was forked before the walls stood, knows the commands and does nothing else: it can
 * be told which one, and what the command reads, and not to start another. It ends when the other
 * end of its socket is closed. */

/* Start one for the programs of these sinks (borrowed; those of other types are passed over), and
 * tell the sinks so. Its descriptor is the caller's and stays open as long as the sinks are used;
 * -1 where no sink has a program. */
int starter_for_sinks(
	struct sink *const *sinks, int count, int *ret_fd, struct error *err) must_check;

/* Start one for the anchor's command (borrowed, ends with NULL). Returns its descriptor. */
int starter_for_anchor(char *const *command, struct error *err) must_check;

/* The anchor's command by its starter. */
struct starter_anchor {
	int fd;    /* borrowed */
	bool gone; /* it did not answer */
};
/* As anchor_command() says, and -EPIPE where the starter has ended. */
struct anchor starter_anchor(struct starter_anchor *anchor);
