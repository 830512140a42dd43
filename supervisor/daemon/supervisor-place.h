/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Where a supervisor is: its locks and its socket. */

#define SUPERVISOR_SOCKET "supervisor.sock"
#define SUPERVISOR_LOCK "supervisor.lock"
/* Where berm run looks for the host's. */
#define SUPERVISOR_SOCKET_OF_HOST "/run/berm/" SUPERVISOR_SOCKET

/* Zero is no valid state: initialise with SUPERVISOR_PLACE_NONE. */
struct supervisor_place {
	int state_lock_fd, socket_lock_fd; /* owned: the locks go with these */
	int directory_fd;                  /* owned: of the socket; -1: somebody else made that */
	int listen_fd;                     /* owned: SOCK_SEQPACKET, not blocking */
	bool passed;                       /* systemd has the socket too */
	char *name;                        /* owned: of the socket in its directory */
};
#define SUPERVISOR_PLACE_NONE                                                                      \
	(struct supervisor_place)                                                                  \
	{                                                                                          \
		.state_lock_fd = -1, .socket_lock_fd = -1, .directory_fd = -1, .listen_fd = -1     \
	}

/* Become the one supervisor of a state directory, and of the socket: that which this process had
 * before it became another program, else that which systemd passed (sd_listen_fds(3)), else path,
 * else the usual one of this user. Refused (kind REFUSED) where there is a supervisor already, or
 * where somebody else could have made or could replace the socket. */
int supervisor_place_take(const char *state, const char *path, struct supervisor_place *ret_place,
	struct error *err) must_check;
/* Nobody finds it any more, but where systemd made the socket. Locks and socket are left to the end
 * of the process: the locks because it may have something to do until then, the socket because
 * connections wait in it (daemon/supervisor-closer.h). */
void supervisor_place_leave(struct supervisor_place *place);
/* Have the program that is executed next in this process find the place as it is: its
 * supervisor_place_take() has the same locks and socket, without a moment in which nobody had them.
 * -errno. */
int supervisor_place_hand_over(const struct supervisor_place *place) must_check;
/* That came to nothing. */
void supervisor_place_keep(const struct supervisor_place *place);

/* Tell whoever started this process how it is (sd_notify(3)), "READY=1"; nothing where nobody wants
 * to know. */
void supervisor_notify(const char *words);

/* A connected socket that blocks: of path, else the usual one of this user. Whoever listens must be
 * root or this user. -ENOENT (kind NOT_FOUND) where there is none. */
int supervisor_connect(const char *path, struct error *err) must_check;
