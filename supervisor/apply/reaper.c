/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "base/memory.h"

#include <signal.h>
#include <sys/wait.h>

/* What berm forwards (apply.h); the supervisor sends it to PID 1, PID 1 to the tool's process
 * group. */
static const int forwarded[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

void reaper_signals(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGCHLD);
	for (size_t i = 0; i < array_size(forwarded); i++)
		sigaddset(ret_set, forwarded[i]);
}

/* Reap every child; true when the tool was among them. */
static bool reap(pid_t tool_pid, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		if (pid == tool_pid) {
			*ret_status = status;
			ended = true;
		}
	}
	return ended;
}

int reaper_run(pid_t tool_pid)
{
	const struct timespec idle = {.tv_sec = MEMORY_IDLE_MS / 1000};
	bool released = false;
	sigset_t waited;
	int status = 0;

	reaper_signals(&waited);
	while (!reap(tool_pid, &status)) {
		int number =
			released ? sigwaitinfo(&waited, NULL) : sigtimedwait(&waited, NULL, &idle);

		if (number < 0 && errno == EAGAIN && !released) {
			memory_release_program();
			released = true;
		}

		/* The tool is the leader of its session and group: what a terminal would do to a
		 * foreground job. */
		if (number > 0 && number != SIGCHLD)
			kill(-tool_pid, number);
	}
	return status;
}
