/* SPDX-License-Identifier: Apache-2.0 */

/* gate-talk PORT: send one-letter datagrams to 127.0.0.1:PORT without end, each way by its letter:
 * s sendto, m sendmsg, v sendmmsg, c a new connection, w write(2) on one that was made before. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in to;

static void by_message(int fd, char letter)
{
	struct iovec data = {&letter, 1};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &to,
					  .msg_namelen = sizeof(to),
					  .msg_iov = &data,
					  .msg_iovlen = 1}};

	if (letter == 'm')
		(void)!sendmsg(fd, &message.msg_hdr, 0);
	else
		(void)!sendmmsg(fd, &message, 1, 0);
}

static void by_connection(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		(void)!write(fd, "c", 1);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = 500000};
	int loose = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), made;

	if (argc != 2 || loose < 0)
		return 2;
	made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)atoi(argv[1]));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(made, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 3;
	puts("begun");
	fflush(stdout);
	for (;;) {
		(void)!sendto(loose, "s", 1, 0, (struct sockaddr *)&to, sizeof(to));
		by_message(loose, 'm');
		by_message(loose, 'v');
		by_connection();
		(void)!write(made, "w", 1);
		nanosleep(&pause, NULL);
	}
}
