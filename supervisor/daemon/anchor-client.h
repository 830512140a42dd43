/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/anchor-role.h"

#include <stdbool.h>

/* The recorder's end of its socket to the process that anchors. */

#define ANCHOR_FIRST_MS 3000     /* the first question is waited for so long */
#define ANCHOR_AGAIN_MS 200      /* and all others, once a seal while nothing can be anchored */
#define ANCHOR_PATIENCE_MS 15000 /* a head that has no answer after that was not published */
#define ANCHOR_LAST_MS 1000      /* the closing head's answer */

struct anchor_client {
	int fd;
	bool asked, waited; /* for the latest head; once */
	bool has_latest;    /* the answer to it is here */
	bool gone;
	struct anchor_reply latest;
	struct error failure;    /* of the last head that was answered */
	uint64_t sent, answered; /* sequences of heads */
	uint64_t since_ms;       /* boot time of the oldest head without an answer */
	bool fails;              /* as anchor_client_turned() said last */
};

/* Start the process for a state directory (absolute path), before the recorder confines itself. */
int anchor_client_start(
	const char *state, struct anchor_client *client, struct error *err) must_check;
/* The same, with that socket in place of a process. Takes fd. */
void anchor_client_init(struct anchor_client *client, int fd);
/* Its publish() hands the head over and tells how the ones before went: -ESTALE that a place knows
 * a later head, for good; -EPIPE the process is gone; -ETIMEDOUT it does not answer. So an error is
 * of a seal before, and the last one's shows in ANCHOR_STATUS. latest()
 * waits at most ANCHOR_FIRST_MS: -EAGAIN where the answer is not here yet. */
struct anchor anchor_client_anchor(struct anchor_client *client);
/* Takes what has come. True where the place fails since the last time this was asked, or does no
 * longer: a seal that is made now tells it to the log, and to the runs where it is required. To be
 * asked when the socket is readable, and when anchor_client_patience_ms() is over. */
bool anchor_client_turned(struct anchor_client *client);
/* How long an answer may still take; -1: none is waited for, or it is known to be missing. */
int anchor_client_patience_ms(const struct anchor_client *client);
/* What to poll(2); -1: no process is there. */
int anchor_client_fd(const struct anchor_client *client);
/* Wait for the last answer, at most ANCHOR_LAST_MS; the process goes on with it alone then. */
void anchor_client_finish(struct anchor_client *client);
