/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Connections of others are closed by a child that does nothing else. In a connection's queue lie
 * descriptors that its peer sent, and whoever closes the last of a socket with SO_LINGER, or of a
 * file on a file system of the peer's, waits for the peer: without end, and a file system even
 * against SIGKILL. A process that ends does not linger (inet_release() and PF_EXITING), and what
 * keeps it is its own. */

#define CLOSER_CONNECTIONS_MAX 128  /* for one child; whoever has so many takes no new ones */
#define CLOSER_CONNECTIONS_LATE 260 /* that were there already then */
#define CLOSER_ROOM (CLOSER_CONNECTIONS_MAX + CLOSER_CONNECTIONS_LATE)
#define CLOSER_DELAY_MS 20 /* so long more are gathered for the same child */

/* Zero-initialise. */
struct closer {
	int fds[CLOSER_ROOM]; /* owned */
	unsigned count;
	uint64_t since_ms; /* the first of them; boot time */
};

/* No child can be made: what there is already can still be given, but nothing more must come. */
bool closer_is_full(const struct closer *closer);
/* Have it closed; takes *fd. Nobody must wait for events of it any more. */
void closer_take(struct closer *closer, int *fd, uint64_t now_ms);
/* Close what has waited long enough, or all. Returns in how many ms to ask again; -1: there is
 * nothing. */
int closer_look(struct closer *closer, bool all, uint64_t now_ms);
