/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Who asked for a run through a supervisor, while the run lasts: signals come from there, and the
 * run ends with it. All comes over a pipe, which carries bytes and nothing else: whoever reads a
 * socket of somebody else's also closes what came with it, and may wait for that without end. */

/* Zero is no valid state: initialise with LIVE_CLIENT_NONE. */
struct live_client {
	int fd;       /* borrowed: reads that pipe and does not block; -1: no client */
	int timer_fd; /* owned: how long the tool has to end by itself */
	bool gone;
};
#define LIVE_CLIENT_NONE                                                                           \
	{                                                                                          \
		.fd = -1, .timer_fd = -1                                                           \
	}

/* Have epoll_fd be readable when there is something to do. Nothing where there is no client. */
int live_client_watch(struct live_client *client, int epoll_fd, struct error *err) must_check;
/* Take what is there, as signals to this process (which run_plan() forwards). A client that is
 * gone, or says what makes no sense, is as good as Ctrl-C. False when it is time to kill the run.
 */
bool live_client_handle(struct live_client *client, int epoll_fd);
void live_client_close(struct live_client *client);
