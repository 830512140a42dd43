/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"

#include "base/memory.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

/* After the time limit the tool is asked to end, and killed this much later. */
#define TIMEOUT_GRACE_MS 2000
#define POLL_MAX_MS 60000
#define STOP_LOOK_MS 200

static void drain(void *context)
{
	struct supervision *s = context;
	struct sync_message message;
	int r;

	while ((r = sync_receive(s->launch->sync[0], &message, NULL, MSG_DONTWAIT)) == 0) {
		if (message.type == SYNC_PROVED) {
			s->started = true;
			s->listener.proving = false;
		}
	}
	if (r != -EAGAIN)
		own_close(&s->launch->sync[0]); /* PID 1 is ending: do not poll its end again */
}

void supervise_end(struct supervision *s)
{
	struct sync_message message;

	drain(s);
	if (!sync_left(s->launch->last, &message))
		return;
	if (message.type == SYNC_FAILED) {
		s->failed = true;
		s->result->error = message.error;
	} else if (message.type == SYNC_EXIT) {
		s->exited = true;
		s->wait_status = message.status;
	}
}

void supervise_kill(const struct supervision *s)
{
	pidfd_send_signal(s->launch->init_fd, SIGKILL, NULL, 0);
}

static void forward_signals(struct supervision *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (reaper_forwards((int)info.ssi_signo))
			control_signal(&s->handle, (int)info.ssi_signo);
}

static bool is_stopped_for_good(struct supervision *s)
{
	return s->callbacks && s->callbacks->over && s->callbacks->over(s->callbacks->context);
}

static void check_deadline(struct supervision *s)
{
	if (!s->deadline_ms || control_now_ms() < s->deadline_ms)
		return;
	/* A frozen run cannot end by itself. */
	if (!s->asked_to_end && s->started && !is_stopped_for_good(s) && !s->handle.frozen) {
		s->asked_to_end = s->timed_out = true;
		s->deadline_ms = control_now_ms() + TIMEOUT_GRACE_MS;
		pidfd_send_signal(s->launch->init_fd, SIGTERM, NULL, 0);
		return;
	}
	s->timed_out = true;
	s->deadline_ms = 0;
	supervise_kill(s);
}

/* The least of what is due: the time limit, the next regular look, the time to give memory back. */
static int poll_timeout_ms(const struct supervision *s)
{
	uint64_t now = control_now_ms(), least = UINT64_MAX;
	const uint64_t due[] = {s->deadline_ms, s->watch_due_ms, s->idle_due_ms, s->stop_due_ms};

	for (size_t i = 0; i < array_size(due); i++)
		if (due[i] && due[i] < least)
			least = due[i];
	if (least == UINT64_MAX)
		return -1;
	if (now >= least)
		return 0;
	return (int)(least - now < POLL_MAX_MS ? least - now : POLL_MAX_MS);
}

static void look_after_stop(struct supervision *s, uint64_t now)
{
	if (!s->handle.by_signals) {
		s->stop_due_ms = 0;
		return;
	}
	if (s->stop_due_ms && now < s->stop_due_ms)
		return;
	if (s->stop_due_ms)
		control_look_after(&s->handle);
	s->stop_due_ms = control_now_ms() + STOP_LOOK_MS;
}

/* What is due after a wait. */
static void keep_time(struct supervision *s, bool something_happened)
{
	uint64_t now = control_now_ms();

	if (something_happened && s->idle_due_ms) {
		s->idle_due_ms = now + MEMORY_IDLE_MS;
	} else if (s->idle_due_ms && now >= s->idle_due_ms) {
		s->idle_due_ms = 0;
		memory_release_program();
	}
	look_after_stop(s, now);
	check_deadline(s);
}

static void look(struct supervision *s, bool readable)
{
	uint64_t now = control_now_ms();

	if (!s->callbacks || !s->callbacks->watch)
		return;
	if (!readable && (!s->watch_due_ms || now < s->watch_due_ms))
		return;
	s->callbacks->watch(s->callbacks->context);
	listener_again(&s->listener);
	if (s->callbacks->watch_ms)
		s->watch_due_ms = control_now_ms() + s->callbacks->watch_ms;
}

void supervise(struct supervision *s)
{
	bool watched = s->callbacks && s->callbacks->watch;
	int watch_fd = watched ? s->callbacks->watch_fd : -1;

	s->idle_due_ms = control_now_ms() + MEMORY_IDLE_MS;
	if (watched && s->callbacks->watch_ms)
		s->watch_due_ms = control_now_ms() + s->callbacks->watch_ms;
	while (!s->init_gone) {
		struct pollfd fds[] = {
			{.fd = s->launch->init_fd, .events = POLLIN},
			{.fd = s->launch->sync[0], .events = POLLIN},
			{.fd = s->signal_fd, .events = POLLIN},
			{.fd = s->listener.fd, .events = POLLIN},
			{.fd = watch_fd, .events = POLLIN},
		};
		int ready = poll(fds, array_size(fds), poll_timeout_ms(s));

		if (ready < 0 && errno != EINTR)
			break;
		if (fds[2].revents)
			forward_signals(s);
		if (fds[3].revents & POLLIN)
			listener_handle(&s->listener, drain, s);
		else if (fds[3].revents & (POLLHUP | POLLERR))
			listener_close(
				&s->listener); /* the last process under the filter is gone */
		drain(s);
		look(s, fds[4].revents != 0);
		if (fds[0].revents)
			s->init_gone = true;
		keep_time(s, ready > 0);
	}
}
