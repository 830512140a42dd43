/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill-client.h"

#include "daemon/runs.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int kill_switch_directory(struct error *err)
{
	autoclose int runs = runs_directory(err);
	int fd;

	if (runs < 0)
		return runs;
	fd = openat(runs, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, "the directory of the kill switch") : fd;
}

/* -errno; a full queue is waited for. */
static int connect_to(int directory_fd, const char *name, uint64_t until_ms)
{
	const struct timespec pause = {.tv_nsec = 2 * 1000000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int length = directory_fd < 0
			     ? snprintf(address.sun_path, sizeof(address.sun_path), "%s", name)
			     : snprintf(address.sun_path, sizeof(address.sun_path),
				       "/proc/self/fd/%d/%s", directory_fd, name);

	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN || now_ms() >= until_ms)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return take_fd(&fd);
}

static int find(const char *socket, uint64_t until_ms)
{
	autoclose int own = -1, root = -1;
	struct error err = {0};
	int fd;

	if (socket)
		return connect_to(-1, socket, until_ms);
	own = kill_switch_directory(&err);
	fd = own < 0 ? -ENOENT : connect_to(own, KILL_SOCKET, until_ms);
	if (fd >= 0)
		return fd;
	root = open(RUNS_ROOT_PARENT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return root < 0 ? fd : connect_to(root, KILL_SOCKET, until_ms);
}

static int hear(int fd, uint64_t until_ms, struct kill_answer *answer, struct error *err)
{
	for (;;) {
		uint64_t now = now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now >= until_ms)
			return error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
				"the kill switch does not answer; \"berm kill\" needs no answer");
		if (poll(&p, 1, (int)(until_ms - now)) <= 0)
			continue;
		n = recv(fd, answer, sizeof(*answer), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		answer->words[sizeof(answer->words) - 1] = '\0';
		if (n == sizeof(*answer) && answer->magic == KILL_ANSWER_MAGIC &&
			answer->result < KILL_RESULT_COUNT)
			return 0;
		return error_set(err, -EPROTO, ERROR_INTERNAL,
			"the kill switch went without an answer; \"berm kill\" needs none");
	}
}

int kill_switch_ask(const char *socket, const struct kill_order *order, unsigned timeout_ms,
	struct kill_answer *ret_answer, struct error *err)
{
	uint64_t until = now_ms() + timeout_ms;
	autoclose int fd = find(socket, until);

	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return error_set(err, -ENOENT, ERROR_NOT_FOUND,
			"no kill switch runs here (\"berm killswitch serve\"); \"berm kill\" needs "
			"none");
	if (fd < 0)
		return error_set(err, fd, ERROR_INTERNAL, "the kill switch: %s", strerror(-fd));
	if (send(fd, order, sizeof(*order), MSG_NOSIGNAL) != (ssize_t)sizeof(*order))
		return error_errno(err, "the kill switch");
	return hear(fd, until, ret_answer, err);
}
