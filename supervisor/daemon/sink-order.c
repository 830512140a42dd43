/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sink.h"

#include <string.h>
#include <sys/socket.h>

/* One packet: the number of the sink, and the end of the pipe that its program reads. */

int sink_order_send(int fd, uint32_t number, int input)
{
	struct iovec data = {.iov_base = &number, .iov_len = sizeof(number)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &input, sizeof(int));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int sink_order_receive(int fd, uint32_t *ret_number, int *ret_input)
{
	struct iovec data = {.iov_base = ret_number, .iov_len = sizeof(*ret_number)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		/* Room for exactly one descriptor (apply/sync.c). */
		.msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t n;

	*ret_input = -1;
	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&message); c;
		c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
			c->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(ret_input, CMSG_DATA(c), sizeof(*ret_input));
	if (n < 0)
		return -errno;
	return n == sizeof(*ret_number) && !(message.msg_flags & MSG_TRUNC) ? 0 : -EPIPE;
}
