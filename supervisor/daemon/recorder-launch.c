/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-role.h"
#include "daemon/role.h"

#include <sys/socket.h>

int recorder_launch(const char *state, struct error *err)
{
	autoclose int ours = -1, theirs = -1;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_errno(err, "a socket for the recorder");
	ours = ends[0];
	theirs = ends[1];
	r = role_launch(ROLE_RECORDER, state, theirs, err);
	return r < 0 ? r : take_fd(&ours);
}
