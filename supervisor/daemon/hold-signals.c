/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int hold_signals_block(struct hold_signals *signals, int client_fd, struct error *err)
{
	sigset_t set;

	*signals = (struct hold_signals){.fd = -1, .signal_fd = -1, .client_fd = client_fd};
	sigprocmask(SIG_SETMASK, NULL, &signals->mask);
	sigemptyset(&set);
	for (size_t i = 0; i < array_size(ends); i++) {
		struct sigaction now;

		/* Blocked, one that is ignored would arrive all the same: nohup(1). */
		if (sigaction(ends[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	}
	signals->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	signals->fd = epoll_create1(EPOLL_CLOEXEC);
	if (signals->signal_fd < 0 || signals->fd < 0 ||
		watch(signals->fd, signals->signal_fd) < 0 ||
		(client_fd >= 0 && watch(signals->fd, client_fd) < 0))
		return error_errno(err, "watch for signals");
	sigprocmask(SIG_BLOCK, &set, NULL);
	return 0;
}

/* A byte is a signal, and the end is as good as Ctrl-C. There is no tool yet for any other. */
static void look_at_client(struct hold_signals *signals)
{
	uint8_t number;
	ssize_t n = 1;

	while (!signals->arrived && n == 1) {
		n = read(signals->client_fd, &number, 1);
		for (size_t i = 0; n == 1 && i < array_size(ends); i++)
			if (number == ends[i])
				signals->arrived = number;
	}
	if (n == 0)
		signals->arrived = SIGINT;
}

void hold_signals_look(struct hold_signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->signal_fd, &info, sizeof(info)) == sizeof(info))
		signals->arrived = (int)info.ssi_signo;
	if (signals->client_fd >= 0)
		look_at_client(signals);
}

void hold_signals_restore(struct hold_signals *signals)
{
	own_close(&signals->fd);
	own_close(&signals->signal_fd);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}
