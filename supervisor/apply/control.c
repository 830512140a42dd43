/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"

#include "base/io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>

#define EVENTS_MAX 4096
/* A process inside a system call that no signal interrupts (reading a slow disk) stops when that
 * ends; the rest is stopped long before. */
#define FREEZE_TIMEOUT_MS 3000

uint64_t control_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* True where cgroup.events says that the freezer's state is the wanted one. */
static bool has_settled(int events_fd, bool frozen)
{
	char data[EVENTS_MAX];
	ssize_t n = pread(events_fd, data, sizeof(data) - 1, 0);

	if (n <= 0)
		return false;
	data[n] = '\0';
	return strstr(data, frozen ? "frozen 1" : "frozen 0") != NULL;
}

static int freeze_cgroup(const struct launch *launch, bool frozen, struct error *err)
{
	uint64_t now = control_now_ms(), until = now + FREEZE_TIMEOUT_MS;
	struct pollfd events = {.events = POLLPRI};
	autoclose int fd = -1;
	int r;

	fd = openat(launch->cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, "open cgroup.events");
	r = io_write_file(launch->cgroup_fd, "cgroup.freeze", frozen ? "1" : "0", err);
	if (r < 0)
		return r;
	/* Thawing takes no time of its own: what was frozen goes on whenever it is scheduled. */
	if (!frozen)
		return 0;
	/* The file is read before it is waited for: poll(2) tells of changes since the last read
	 * (cgroups(7), "cgroup.events"). */
	events.fd = fd;
	while (!has_settled(fd, frozen)) {
		now = control_now_ms();
		if (now >= until)
			return error_set(err, -ETIMEDOUT, ERROR_INTERNAL,
				"some processes are in a system call that cannot be interrupted; "
				"they stop when it ends");
		poll(&events, 1, (int)(until - now));
	}
	return 0;
}

/* The freezer is a file of every cgroup of version 2 but the root, since Linux 5.2. */
static bool has_freezer(const struct launch *launch)
{
	return launch->cgroup_fd >= 0 &&
	       faccessat(launch->cgroup_fd, "cgroup.freeze", W_OK, 0) == 0;
}

int run_freeze(struct run_handle *handle, bool frozen, struct error *err)
{
	const struct launch *launch = handle->launch;
	int r;

	if (has_freezer(launch)) {
		r = freeze_cgroup(launch, frozen, err);
	} else {
		r = stop_all(launch, frozen, FREEZE_TIMEOUT_MS, err);
	}
	handle->by_signals = frozen && !has_freezer(launch);
	stop_mark_finish(&handle->mark);
	handle->strikes = 0;
	/* After a failed freeze too: some of the run is stopped, and signals do not reach it. */
	if (r == 0 || frozen)
		handle->frozen = frozen;
	return r;
}

/* A thread that was just stopped may still be on its way off the processor on a machine that is
 * very busy, so that one strike alone means nothing. */
#define STRIKES_MAX 3
#define STOP_AGAIN_MS 20

void control_look_after(struct run_handle *handle)
{
	struct error ignored = {0};

	if (!handle->by_signals || stop_holds(handle->launch, &handle->mark))
		return;
	if (++handle->strikes >= STRIKES_MAX)
		run_kill(handle, RUN_BREAKER);
	else
		(void)!stop_all(handle->launch, true, STOP_AGAIN_MS, &ignored);
}

void run_kill(struct run_handle *handle, enum run_outcome outcome)
{
	if (handle->asked == RUN_OUTCOME_COUNT)
		handle->asked = outcome;
	/* The kernel kills every process of a pid namespace with its PID 1 (pid_namespaces(7)),
	 * also stopped and frozen ones. */
	pidfd_send_signal(handle->launch->init_fd, SIGKILL, NULL, 0);
}

/* The signals by which a person or a program asks a run to end. */
static bool is_request_to_end(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

void control_signal(struct run_handle *handle, int number)
{
	if (!handle->frozen) {
		pidfd_send_signal(handle->launch->init_fd, number, NULL, 0);
	} else if (is_request_to_end(number)) {
		/* Nothing of the run can handle it. */
		handle->asked_signal = number;
		run_kill(handle, RUN_KILLED);
	}
	/* Others are dropped: SIGCONT must not let a stopped run go on, and what the tool would do
	 * with the rest is over when it thaws. */
}
