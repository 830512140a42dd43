/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kill.h"

#include <sched.h>
#include <sys/resource.h>

int kill_go_first(void)
{
	const struct sched_param first = {.sched_priority = 1};
	const struct rlimit forever = {RLIM_INFINITY, RLIM_INFINITY};
	int before = sched_getscheduler(0);

	/* Over such a limit the kernel ends who is first: whoever started this may have set one. */
	if (before != SCHED_OTHER || setrlimit(RLIMIT_RTTIME, &forever) < 0)
		return -1;
	if (sched_setscheduler(0, SCHED_RR, &first) == 0)
		return before;
	return -1;
}

void kill_go_as_before(int before)
{
	const struct sched_param usual = {0};

	if (before >= 0)
		(void)!sched_setscheduler(0, before, &usual);
}
