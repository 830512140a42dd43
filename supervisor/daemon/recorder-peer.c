/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-peer.h"

#include "base/io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#define STATUS_BYTES_MAX 16384

/* "NSpid:" has one number for each pid namespace that a process is in, from ours inwards (proc(5)).
 */
bool recorder_peer_is_outside(const char *status)
{
	const char *line = strstr(status, "\nNSpid:");
	size_t digits;

	if (!line)
		return false;
	line += strlen("\nNSpid:");
	line += strspn(line, " \t");
	digits = strspn(line, "0123456789");
	return digits > 0 && line[digits] == '\n';
}

int recorder_peer_check(int fd, uid_t owner, struct error *err)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	autofree char *status = NULL;
	char path[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return error_errno(err, "who asks the recorder");
	if (peer.uid != owner && peer.uid != 0)
		return error_set(err, -EACCES, ERROR_REFUSED,
			"the recorder takes records of its own user and of root alone");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)peer.pid);
	if (peer.pid <= 0 ||
		io_read_file(AT_FDCWD, path, STATUS_BYTES_MAX, &status, NULL, NULL) < 0)
		return error_set(err, -EACCES, ERROR_REFUSED,
			"the recorder cannot see who asks it (another pid namespace, or /proc "
			"hides processes)");
	if (!recorder_peer_is_outside(status))
		return error_set(err, -EACCES, ERROR_REFUSED,
			"the recorder takes no records from inside of a run");
	return 0;
}
