/* SPDX-License-Identifier: Apache-2.0 */
#include "redteam/listener.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

bool listener_open(struct listener *listener)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(at);

	listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(listener->fd, 8) < 0 ||
		getsockname(listener->fd, (struct sockaddr *)&at, &length) < 0)
		return false;
	listener->port = ntohs(at.sin_port);
	return true;
}

unsigned listener_count(const struct listener *listener)
{
	unsigned count = 0;
	int fd;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		count++;
		close(fd);
	}
	return count;
}
