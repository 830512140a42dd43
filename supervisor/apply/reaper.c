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

void reaper_own_signals(sigset_t *ret_set)
{
	reaper_signals(ret_set);
	sigaddset(ret_set, REAPER_STOP_ALL);
}

/* A word of the supervisor: only who is outside of the namespace has no number in it, and only the
 * kernel fills that field in where the code is SI_USER (rt_sigqueueinfo(2)). */
static bool is_from_supervisor(const siginfo_t *info)
{
	return info->si_code == SI_USER && info->si_pid == 0;
}

static void pass_on(const siginfo_t *info, pid_t tool_pid)
{
	if (info->si_signo == SIGCHLD)
		return;
	/* Everything in the namespace but its PID 1 (kill(2)), at one moment. */
	if (info->si_signo == REAPER_STOP_ALL && is_from_supervisor(info))
		kill(-1, SIGSTOP);
	/* The tool is the leader of its session and group: what a terminal would do to a
	 * foreground job. */
	else if (info->si_signo != REAPER_STOP_ALL)
		kill(-tool_pid, info->si_signo);
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
	siginfo_t info;
	int status = 0;

	reaper_own_signals(&waited);
	while (!reap(tool_pid, &status)) {
		int number = released ? sigwaitinfo(&waited, &info)
				      : sigtimedwait(&waited, &info, &idle);

		if (number < 0 && errno == EAGAIN && !released) {
			memory_release_program();
			released = true;
		}
		if (number > 0)
			pass_on(&info, tool_pid);
	}
	return status;
}
