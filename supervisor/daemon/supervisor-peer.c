/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/supervisor-peer.h"

#include "base/io.h"
#include "base/number.h"
#include "daemon/recorder-peer.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h of Linux 6.5 */
#endif
#define STATUS_BYTES_MAX 16384
#define LOGIN_BYTES_MAX 32
#define UNMAPPED_UID 65534 /* a user without a number here is shown so (user_namespaces(7)) */

/* True where the process that connected has ended: what /proc says of its number may be of another
 * one. */
static bool is_gone(int pidfd)
{
	struct pollfd look = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && poll(&look, 1, 0) != 0;
}

int supervisor_peer_read(int fd, struct supervisor_peer *ret_peer, struct error *err)
{
	struct ucred credentials = {0};
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return error_errno(err, "who asks");
	if (credentials.uid == UNMAPPED_UID || credentials.uid == (uid_t)-1)
		return error_set(err, -EACCES, ERROR_REFUSED, "nobody starts no agents");
	*ret_peer = (struct supervisor_peer){credentials.uid, credentials.gid, credentials.pid, 0};
	return 0;
}

uid_t supervisor_peer_user(const struct supervisor_peer *peer)
{
	return peer->uid == 0 && peer->login_uid ? peer->login_uid : peer->uid;
}

/* proc(5): 4294967295 where nobody logged in. No program in between can change it. */
static uid_t read_login(pid_t pid)
{
	autofree char *words = NULL;
	uint64_t value = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/loginuid", (int)pid);
	if (io_read_file(AT_FDCWD, path, LOGIN_BYTES_MAX, &words, NULL, NULL) < 0)
		return 0;
	words[strcspn(words, "\n")] = '\0';
	return number_parse_u64(words, &value) && value < UINT32_MAX ? (uid_t)value : 0;
}

static ino_t user_namespace_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Those of root and of programs that give nothing away cannot be looked at without root. */
static bool is_of_our_namespace(const struct supervisor_peer *peer)
{
	ino_t theirs = user_namespace_of(peer->pid);

	return theirs ? theirs == user_namespace_of(getpid()) : geteuid() != 0;
}

int supervisor_peer_check(int fd, struct supervisor_peer *peer, struct error *err)
{
	autofree char *status = NULL;
	autoclose int pidfd = -1;
	int opened = -1;
	socklen_t length = sizeof(opened);
	bool inside;
	char path[64];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &opened, &length) == 0)
		pidfd = opened;
	else if (errno != ENOPROTOOPT)
		return error_errno(err, "who asks");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)peer->pid);
	if (peer->uid == 0)
		peer->login_uid = read_login(peer->pid);
	inside = !is_of_our_namespace(peer);
	if (peer->pid <= 0 ||
		io_read_file(AT_FDCWD, path, STATUS_BYTES_MAX, &status, NULL, NULL) < 0 ||
		is_gone(pidfd))
		return error_set(err, -EACCES, ERROR_REFUSED,
			"the supervisor cannot see who asks it (another pid namespace, or it has "
			"ended)");
	if (inside || !recorder_peer_is_outside(status))
		return error_set(err, -EACCES, ERROR_REFUSED,
			"the supervisor takes no requests from inside of a run or a container");
	return 0;
}

/* ---- packets ---- */

int supervisor_packet_peek(
	int fd, uint8_t *bytes, size_t size, size_t *ret_length, bool *ret_has_descriptors)
{
	struct iovec part = {bytes, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (message.msg_flags & MSG_TRUNC)
		return -EPROTO;
	if (n == 0)
		return -EPIPE;
	*ret_length = (size_t)n;
	/* Without room for them this flag is all that the kernel says (net/core/scm.c). */
	*ret_has_descriptors = message.msg_flags & MSG_CTRUNC;
	return 1;
}

/* Room for one descriptor more than may come: that there were more is seen by the flag. */
union control {
	char bytes[CMSG_SPACE(sizeof(int) * SUPERVISOR_DESCRIPTORS_MAX)];
	struct cmsghdr align;
};

static bool take_descriptors(struct msghdr *message, struct supervisor_packet *packet)
{
	bool good = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			good = false;
			continue;
		}
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (packet->count < SUPERVISOR_DESCRIPTORS_MAX)
				packet->fds[packet->count++] = fd;
			else
				close(fd);
		}
	}
	return good;
}

int supervisor_packet_receive(
	int fd, uint8_t *bytes, size_t size, struct supervisor_packet *ret_packet)
{
	struct supervisor_packet packet = {.fds = {-1, -1, -1, -1}};
	union control control;
	struct iovec part = {bytes, size};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (!take_descriptors(&message, &packet) || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		supervisor_packet_finish(&packet);
		return -EPROTO;
	}
	if (n == 0) {
		supervisor_packet_finish(&packet);
		return -EPIPE;
	}
	packet.length = (size_t)n;
	*ret_packet = packet;
	return 1;
}

void supervisor_packet_finish(struct supervisor_packet *packet)
{
	for (unsigned i = 0; i < packet->count; i++)
		own_close(&packet->fds[i]);
	packet->count = 0;
}

int supervisor_packet_send(
	int fd, const uint8_t *bytes, size_t length, const int *fds, unsigned count)
{
	union control control = {0};
	struct iovec part = {(void *)(uintptr_t)bytes, length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights;

	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -errno;
}

/* ---- the tool's own ---- */

/* Numbers of Documentation/admin-guide/devices.txt. */
static bool is_plain_device(dev_t device)
{
	static const unsigned memory[] = {3, 5, 7, 8, 9}; /* null zero full random urandom */
	unsigned number = major(device);

	for (size_t i = 0; number == 1 && i < array_size(memory); i++)
		if (minor(device) == memory[i])
			return true;
	/* Consoles without serial lines, which lead to other hosts; /dev/tty without /dev/ptmx,
	 * which makes more terminals; the slaves of pseudo terminals. */
	return (number == 4 && minor(device) < 64) || (number == 5 && minor(device) == 0) ||
	       (number >= 136 && number <= 143);
}

bool supervisor_is_pipe(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct statfs fs;

	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == O_RDONLY &&
	       fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == PIPEFS_MAGIC;
}

bool supervisor_stdio_is_plain(int fd, bool is_input)
{
	int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;
	struct stat st;

	if (flags < 0 || flags & O_PATH || fstat(fd, &st) < 0)
		return false;
	if (mode != O_RDWR && mode != (is_input ? O_RDONLY : O_WRONLY))
		return false;
	return S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && is_plain_device(st.st_rdev));
}
