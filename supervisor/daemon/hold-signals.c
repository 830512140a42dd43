/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/hold-internal.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static int watch(int epoll_fd, int fd, short events)
{
	/* The numbers are the same. */
	struct epoll_event event = {.events = (uint16_t)events};

	return fd < 0 ? 0 : epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int watch_all(const struct hold_signals *signals)
{
	const struct hold_question *question = signals->question;
	int r = watch(signals->fd, signals->signal_fd, POLLIN);

	if (r == 0)
		r = watch(signals->fd, signals->client_fd, POLLIN);
	for (size_t i = 0; r == 0 && i < question->n_ends; i++)
		r = watch(signals->fd, question->ends[i].fd, question->ends[i].events);
	return r;
}

int hold_signals_block(
	struct hold_signals *signals, const struct hold_question *question, struct error *err)
{
	sigset_t set;

	*signals = (struct hold_signals){
		.fd = -1, .signal_fd = -1, .client_fd = question->client_fd, .question = question};
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
	if (signals->signal_fd < 0 || signals->fd < 0 || watch_all(signals) < 0)
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

/* Nothing is read: what comes there is for the run. */
static void look_at_ends(struct hold_signals *signals)
{
	const struct hold_question *question = signals->question;

	for (size_t i = 0; i < question->n_ends; i++) {
		struct pollfd polled = {question->ends[i].fd, question->ends[i].events, 0};

		signals->gone = signals->gone || poll(&polled, 1, 0) == 1;
	}
}

int hold_signals_look(struct hold_signals *signals, struct error *err)
{
	struct signalfd_siginfo info;

	if (read(signals->signal_fd, &info, sizeof(info)) == sizeof(info))
		signals->arrived = (int)info.ssi_signo;
	if (signals->client_fd >= 0)
		look_at_client(signals);
	look_at_ends(signals);
	if (signals->arrived)
		return error_set(err, -EINTR, ERROR_REFUSED, "ended while it was held");
	if (signals->gone)
		return error_set(err, -ECANCELED, ERROR_REFUSED,
			"who asked for it, or the run that delegated it, ended while it was held");
	return 0;
}

void hold_signals_restore(struct hold_signals *signals)
{
	own_close(&signals->fd);
	own_close(&signals->signal_fd);
	sigprocmask(SIG_SETMASK, &signals->mask, NULL);
}
