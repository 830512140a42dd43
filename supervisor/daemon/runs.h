/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "daemon/run-id.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The runs of this host that last, one socket each: /run/berm/runs/RUN.sock for runs that root
 * started, else $XDG_RUNTIME_DIR/berm/runs or /tmp/berm-UID/runs. A run's own processes see none of
 * these directories, also where a profile grants what is around them (daemon/own-state.h). */

#define RUNS_MAX 4096 /* listed at most */
#define RUNS_ROOT_PARENT "/run/berm"
#define RUNS_PARENT "berm"             /* in $XDG_RUNTIME_DIR */
#define RUNS_LEAST_PARENT "/tmp/berm-" /* and the uid */

/* The directory of runs that this user starts, made where it is absent: an open descriptor, or
 * -errno. A directory that somebody else owns or may write to is refused. */
int runs_directory(struct error *err) must_check;
/* The directory around it. */
int runs_runtime_directory(struct error *err) must_check;

/* One run's entry in that directory. */
struct run_socket {
	int directory_fd; /* owned; -1: no entry */
	int listen_fd;    /* owned: a listening SOCK_SEQPACKET socket, not blocking; -1: none */
	char run_id[RUN_ID_LENGTH + 1];
};

/* Make the entry. It belongs to owner (its socket has mode 0600); it appears only when it listens,
 * so that whoever finds one that refuses to be connected to knows that its berm was killed. */
int runs_enter(const char *run_id, uid_t owner, struct run_socket *ret_socket,
	struct error *err) must_check;
/* Remove the entry. Fine where none was made (both descriptors -1). */
void runs_leave(struct run_socket *socket);

/* The ids of the runs of this user that last, sorted by time; what was left behind by a berm that
 * was killed is removed on the way. Release with runs_free(). */
int runs_list(char (**ret_ids)[RUN_ID_LENGTH + 1], size_t *ret_count, struct error *err) must_check;

/* The one run whose id begins with words (case does not count), as a connected socket that blocks;
 * ret_id gets its whole id. An id in full is also looked for among root's runs. Errors: kind
 * NOT_FOUND where none or more than one fits, or where it has ended; REFUSED where it is somebody
 * else's. */
int runs_connect(const char *words, char ret_id[RUN_ID_LENGTH + 1], struct error *err) must_check;
/* The same for a whole id of runs_list(), without waiting for a berm that is stopped. */
int runs_connect_listed(const char *run_id, struct error *err) must_check;
