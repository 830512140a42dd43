/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int sync_send(int socket_fd, const struct sync_message *message, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c = &control.header;

		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = sendmsg(socket_fd, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int sync_tell(int socket_fd, const struct sync_message *message)
{
	ssize_t n;

	do
		n = write(socket_fd, message, sizeof(*message));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

struct sync_message *sync_last_new(void)
{
	void *last = mmap(NULL, sizeof(struct sync_message), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return last == MAP_FAILED ? NULL : last;
}

void sync_last_free(struct sync_message *last)
{
	if (last)
		munmap(last, sizeof(*last));
}

void sync_leave(struct sync_message *last, const struct sync_message *message)
{
	if (last->type)
		return;
	last->status = message->status;
	last->error = message->error;
	/* Who is killed in the middle of this has left nothing. */
	__atomic_store_n(&last->type, message->type, __ATOMIC_RELEASE);
}

bool sync_left(const struct sync_message *last, struct sync_message *ret_message)
{
	if (!__atomic_load_n(&last->type, __ATOMIC_ACQUIRE))
		return false;
	*ret_message = *last;
	ret_message->error.text[ERROR_TEXT_MAX - 1] = '\0';
	return true;
}

int sync_receive(int socket_fd, struct sync_message *ret_message, int *ret_fd, int flags)
{
	struct iovec iov = {.iov_base = ret_message, .iov_len = sizeof(*ret_message)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr header = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Room for exactly one: CMSG_SPACE() has room for two, which would come in as one
		 * piece that is not taken and stay open. */
		.msg_controllen = CMSG_LEN(sizeof(int))};
	autoclose int fd = -1;
	ssize_t n;

	do
		n = recvmsg(socket_fd, &header, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
			c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (n == 0)
		return -EPIPE;
	if ((size_t)n != sizeof(*ret_message) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return -EPROTO;
	ret_message->error.text[ERROR_TEXT_MAX - 1] = '\0';
	if (ret_fd)
		*ret_fd = take_fd(&fd);
	return 0;
}
