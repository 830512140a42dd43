/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/live-client.h"

#include "daemon/supervisor-wire.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define SIGNALS_MAX 16 /* at a time */
#define GRACE_SECONDS 2

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int live_client_watch(struct live_client *client, int epoll_fd, struct error *err)
{
	if (client->fd < 0)
		return 0;
	client->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (client->timer_fd < 0 || watch(epoll_fd, client->timer_fd) < 0 ||
		watch(epoll_fd, client->fd) < 0)
		return error_errno(err, "watch who asked for the run");
	return 0;
}

static void let_go(struct live_client *client, int epoll_fd)
{
	const struct itimerspec grace = {.it_value.tv_sec = GRACE_SECONDS};

	client->gone = true;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client->fd, NULL);
	timerfd_settime(client->timer_fd, 0, &grace, NULL);
	kill(getpid(), SIGINT);
}

/* Each byte is a signal. */
static void take_signals(struct live_client *client, int epoll_fd)
{
	uint8_t numbers[SIGNALS_MAX];
	ssize_t n = read(client->fd, numbers, sizeof(numbers));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (ssize_t i = 0; i < n; i++) {
		if (!supervise_signal_is_known(numbers[i])) {
			n = 0;
			break;
		}
		kill(getpid(), numbers[i]);
	}
	if (n <= 0)
		let_go(client, epoll_fd);
}

bool live_client_handle(struct live_client *client, int epoll_fd)
{
	uint64_t times;

	if (client->fd < 0)
		return true;
	if (!client->gone)
		take_signals(client, epoll_fd);
	return !client->gone || read(client->timer_fd, &times, sizeof(times)) < 0;
}

void live_client_close(struct live_client *client)
{
	own_close(&client->timer_fd);
}
