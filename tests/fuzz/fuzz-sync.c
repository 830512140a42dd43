/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>

/* What the run sends to its supervisor: any bytes, with any number of descriptors. Whatever it is,
 * no descriptor stays behind, and the text of an accepted message ends.
 * Input: one byte for each packet (descriptors in the low half, two bits of options), then its
 * length in two bytes, then its bytes; at most four packets. */

#define DESCRIPTORS_MAX 15
#define PACKET_MAX 4096
#define LOOKED_AT 256 /* descriptor numbers; the target has but a few */

static unsigned count_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < LOOKED_AT; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void send_packet(int socket_fd, const uint8_t *bytes, size_t length, unsigned descriptors)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	if (descriptors) {
		struct cmsghdr *c = &control.header;
		int fds[DESCRIPTORS_MAX];

		for (unsigned i = 0; i < descriptors; i++)
			fds[i] = socket_fd;
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
		memcpy(CMSG_DATA(c), fds, descriptors * sizeof(int));
	}
	assert(sendmsg(socket_fd, &header, MSG_NOSIGNAL) == (ssize_t)length);
}

static void receive_packet(int socket_fd, size_t sent, unsigned descriptors, bool wanted)
{
	struct sync_message message;
	unsigned before = count_open();
	int fd = -1;
	int r = sync_receive(socket_fd, &message, wanted ? &fd : NULL, MSG_DONTWAIT);

	if (sent == 0) {
		assert(r == -EPIPE);
	} else if (sent == sizeof(message) && descriptors < 2) {
		assert(r == 0);
		assert(memchr(message.error.text, '\0', sizeof(message.error.text)));
		assert((fd >= 0) == (wanted && descriptors == 1));
	} else {
		/* More than the one descriptor that a message may carry breaks the protocol. */
		assert(r == -EPROTO);
	}
	assert(r == 0 || fd == -1);
	own_close(&fd);
	assert(count_open() == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_message message;
	unsigned before = count_open();
	int ends[2];

	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	for (int i = 0; i < 4 && size >= 3; i++) {
		unsigned descriptors = data[0] & 15, options = data[0] >> 4 & 3;
		size_t length = ((size_t)data[1] | (size_t)data[2] << 8) % (PACKET_MAX + 1);
		uint8_t whole[PACKET_MAX] = {0};

		/* Option 1 is a packet of the right size, filled from what is there. */
		if (options & 1)
			length = sizeof(message);
		data += 3;
		size -= 3;
		memcpy(whole, data, length < size ? length : size);
		send_packet(ends[1], whole, length, descriptors);
		receive_packet(ends[0], length, descriptors, options & 2);
		data += length < size ? length : size;
		size -= length < size ? length : size;
	}
	close(ends[1]);
	assert(sync_receive(ends[0], &message, NULL, 0) == -EPIPE);
	close(ends[0]);
	assert(count_open() == before);
	return 0;
}
