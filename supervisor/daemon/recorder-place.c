/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recorder-place.h"

#include "daemon/state-directory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define HIDDEN ".recorder.sock"
#define BACKLOG 1024
#define LOG_MODE 0750
#define KEY_MODE 0700

int recorder_place_open(const char *state, struct recorder_place *ret_place, struct error *err)
{
	struct recorder_place place = RECORDER_PLACE_NONE;

	place.state_fd = state_directory_open(state, err);
	if (place.state_fd >= 0)
		place.log_fd =
			state_directory_within(place.state_fd, RECORDER_LOG_DIR, LOG_MODE, err);
	if (place.log_fd >= 0)
		place.key_fd =
			state_directory_within(place.state_fd, RECORDER_KEY_DIR, KEY_MODE, err);
	if (place.key_fd < 0) {
		int r = err ? err->code : -EIO;

		recorder_place_close(&place);
		return r;
	}
	*ret_place = place;
	return 0;
}

void recorder_place_close(struct recorder_place *place)
{
	own_close(&place->state_fd);
	own_close(&place->log_fd);
	own_close(&place->key_fd);
}

/* A short address whatever the directory's path is. */
static struct sockaddr_un address_of(int directory_fd, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory_fd,
		name);
	return address;
}

int recorder_place_listen(int state_fd, struct error *err)
{
	struct sockaddr_un address = address_of(state_fd, HIDDEN);
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_errno(err, "make the recorder's socket");
	unlinkat(state_fd, HIDDEN, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		fchmodat(state_fd, HIDDEN, 0600, 0) < 0 || listen(fd, BACKLOG) < 0 ||
		recorder_place_show(state_fd) < 0)
		return error_errno(err, "put the recorder's socket in place");
	return take_fd(&fd);
}

int recorder_place_hide(int state_fd)
{
	return renameat(state_fd, RECORDER_SOCKET, state_fd, HIDDEN) < 0 ? -errno : 0;
}

int recorder_place_show(int state_fd)
{
	return renameat(state_fd, HIDDEN, state_fd, RECORDER_SOCKET) < 0 ? -errno : 0;
}

void recorder_place_remove(int state_fd)
{
	unlinkat(state_fd, HIDDEN, 0);
}

int recorder_place_connect(const char *state)
{
	autoclose int directory = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;
	struct sockaddr_un address;
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	if (directory < 0)
		return -errno;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address = address_of(directory, RECORDER_SOCKET);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	return peer.uid == geteuid() ? take_fd(&fd) : -EPERM;
}
