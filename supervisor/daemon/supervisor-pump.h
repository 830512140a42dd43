/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* A tool that somebody else runs gets pipes for what is no pipe: bytes go through here. */

#define PUMP_BYTES 65536

struct pump {
	int from, to; /* owned; -1: closed */
	bool is_input;
	size_t begin, end; /* of what was read and not written yet */
	char *bytes;       /* owned */
};

/* Zero is no valid state. */
struct pumps {
	struct pump rows[3];
	unsigned count;
};

/* What stands for this process's stdin, stdout and stderr: the same where it is plain, else an end
 * of a pipe. New descriptors (caller closes). */
int pumps_open(struct pumps *pumps, int ret_fds[3], struct error *err) must_check;
/* Two descriptors a pump to poll(2) for; fds has room for six. Returns how many. */
unsigned pumps_poll(const struct pumps *pumps, struct pollfd *fds);
/* Move what can be moved. */
void pumps_move(struct pumps *pumps, const struct pollfd *fds);
/* Nobody reads any more: what comes in is not waited for. */
void pumps_end_input(struct pumps *pumps);
/* True while there may be output. */
bool pumps_have_output(const struct pumps *pumps);
void pumps_close(struct pumps *pumps);
