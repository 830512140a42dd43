/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Where a recorder is: log/ (0750), keys/ (0700) and recorder.sock (0600) in the state directory.
 * The socket is beside the log and not in the runtime directory, since one log has one recorder,
 * and whoever uses the log has to find it: cron, sudo and a login shell may each have another
 * runtime directory. */

#define RECORDER_LOG_DIR "log"
#define RECORDER_KEY_DIR "keys"
#define RECORDER_SOCKET "recorder.sock"

/* Zero is no valid state: initialise with RECORDER_PLACE_NONE. */
struct recorder_place {
	int state_fd, log_fd, key_fd; /* owned; -1: not open */
};
#define RECORDER_PLACE_NONE                                                                        \
	(struct recorder_place)                                                                    \
	{                                                                                          \
		-1, -1, -1                                                                         \
	}

/* Open the three directories, made where they are absent, the way there too. Directories that
 * somebody else owns or may write to are refused (kind REFUSED). */
int recorder_place_open(
	const char *state, struct recorder_place *ret_place, struct error *err) must_check;
void recorder_place_close(struct recorder_place *place);

/* A socket that listens under that name, which may have been another one's before: only for who
 * has the log's lock. Returns a descriptor that does not block. */
int recorder_place_listen(int state_fd, struct error *err) must_check;
/* Take the name away, so that nobody new comes, and give it back; or remove it for good. */
int recorder_place_hide(int state_fd) must_check;
int recorder_place_show(int state_fd) must_check;
void recorder_place_remove(int state_fd);

/* A connected socket that does not block, or -errno: -ENOENT, -ECONNREFUSED where nobody listens,
 * -EAGAIN where too many others wait, -EPERM where somebody else does. */
int recorder_place_connect(const char *state) must_check;
