/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"
#include "apply/sys.h"

#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

static int reset_signals(struct error *err)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};

	for (int number = 1; number < NSIG; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		/* EINVAL: the two real-time signals that the C library keeps for itself. */
		if (sigaction(number, &standard, NULL) < 0 && errno != EINVAL)
			return error_errno(err, "reset signal %d", number);
	}
	return 0;
}

static int reset_scheduling(struct error *err)
{
	struct sched_param none = {0};
	cpu_set_t every;

	memset(&every, 0xff, sizeof(every));
	if (sched_setscheduler(0, SCHED_OTHER, &none) < 0)
		return error_errno(err, "reset the scheduling policy");
	if (sched_setaffinity(0, sizeof(every), &every) < 0)
		return error_errno(err, "reset the CPU affinity");
	/* A raised priority is never inherited; a lowered one can only be given back by who has the
	 * right to. */
	if (getpriority(PRIO_PROCESS, 0) != 0 && setpriority(PRIO_PROCESS, 0, 0) < 0 &&
		errno != EACCES && errno != EPERM)
		return error_errno(err, "reset the nice value");
	return 0;
}

/* Everything that fork(2) and execve(2) hand on and that is not part of the plan. */
int inherited_reset(struct error *err)
{
	struct itimerval off = {0};
	int r;

	if (setsid() < 0 && errno != EPERM)
		return error_errno(err, "start a session");
	r = reset_signals(err);
	if (r == 0)
		r = reset_scheduling(err);
	if (r < 0)
		return r;
	umask(022);
	setitimer(ITIMER_REAL, &off, NULL);
	setitimer(ITIMER_VIRTUAL, &off, NULL);
	setitimer(ITIMER_PROF, &off, NULL);
	if (personality(0xffffffff) != 0 && personality(0) < 0)
		return error_errno(err, "reset the personality");
	if (prctl(PR_SET_TIMERSLACK, 0) < 0)
		return error_errno(err, "reset the timer slack");
	/* A new, empty session keyring (keyctl(2)); without the facility there is none to inherit.
	 */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return error_errno(err, "leave the session keyring");
	return 0;
}
