/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/control.h"
#include "apply/launch.h"
#include "base/memory.h"

#include <signal.h>
#include <sys/wait.h>

#define KILL_AGAIN_MS 1000
/* At most: a wait does not count the time that the host sleeps, a deadline does. */
#define LOOK_MS 60000

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

/* What a terminal would stop berm by, and its clock with it: the tool has a session of its own and
 * would go on. */
static const int ignored[] = {SIGTSTP, SIGTTIN, SIGTTOU};

void reaper_supervisor_signals(sigset_t *ret_set)
{
	reaper_signals(ret_set);
	for (size_t i = 0; i < array_size(ignored); i++)
		sigaddset(ret_set, ignored[i]);
}

bool reaper_forwards(int number)
{
	for (size_t i = 0; i < array_size(forwarded); i++)
		if (forwarded[i] == number)
			return true;
	return false;
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

/* The sooner of two waits: until memory is given back (before that was done), and until the run is
 * over. NULL: for ever. */
static const struct timespec *next_wait(bool released, uint64_t deadline_ms, struct timespec *wait)
{
	uint64_t now = control_now_ms(), least = released ? UINT64_MAX : MEMORY_IDLE_MS;

	if (deadline_ms && least > LOOK_MS)
		least = LOOK_MS;
	if (deadline_ms && (now >= deadline_ms || deadline_ms - now < least))
		least = now >= deadline_ms ? 0 : deadline_ms - now;
	if (least == UINT64_MAX)
		return NULL;
	*wait = (struct timespec){(time_t)(least / 1000), (long)(least % 1000) * 1000000};
	return wait;
}

/* Whoever should have ended the run was stopped itself. Asked whatever came: who can send signals
 * to this process must not keep it from looking at the time. */
static void strike(uint64_t *deadline_ms)
{
	uint64_t now = *deadline_ms ? control_now_ms() : 0;

	if (!*deadline_ms || now < *deadline_ms)
		return;
	kill(-1, SIGKILL);
	*deadline_ms = now + KILL_AGAIN_MS;
}

int reaper_run(pid_t tool_pid, uint64_t deadline_ms)
{
	bool released = false;
	struct timespec wait;
	sigset_t waited;
	siginfo_t info;
	int status = 0;

	reaper_own_signals(&waited);
	while (!reap(tool_pid, &status)) {
		const struct timespec *until = next_wait(released, deadline_ms, &wait);
		int number =
			until ? sigtimedwait(&waited, &info, until) : sigwaitinfo(&waited, &info);
		bool idle = number < 0 && errno == EAGAIN;

		strike(&deadline_ms);
		if (idle && !released) {
			memory_release_program();
			released = true;
		}
		if (number > 0)
			pass_on(&info, tool_pid);
	}
	return status;
}
