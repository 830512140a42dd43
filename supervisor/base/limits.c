/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"

#include "base/own.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS 65536
#define DESCRIPTORS_USUAL 1024 /* select(2) */

static const int resources[] = {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA};

static struct rlimit before[array_size(resources)];
static bool were_taken_off[array_size(resources)];

static bool take_off(int resource, struct rlimit *ret_before)
{
	struct rlimit limit;

	if (getrlimit(resource, ret_before) < 0)
		return false;
	limit = *ret_before;
	limit.rlim_cur = resource == RLIMIT_NOFILE ? DESCRIPTORS : RLIM_INFINITY;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	if (setrlimit(resource, &limit) == 0)
		return true;
	/* Root of a user namespace: as far as it may. */
	limit = *ret_before;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit) == 0;
}

void limits_take_off(void)
{
	static bool done;

	if (done || geteuid() != 0)
		return;
	done = true;
	for (size_t i = 0; i < array_size(resources); i++)
		were_taken_off[i] = take_off(resources[i], &before[i]);
	signal(SIGXFSZ, SIG_IGN);
}

void limits_leave(void)
{
	for (int resource = 0; resource < (int)RLIM_NLIMITS; resource++) {
		__rlimit_resource_t kind = (__rlimit_resource_t)resource;
		struct rlimit own, usual;

		if (getrlimit(kind, &own) < 0)
			continue;
		if (geteuid() == 0 && prlimit(1, kind, NULL, &usual) == 0) {
			if (kind == RLIMIT_NOFILE && usual.rlim_cur > DESCRIPTORS_USUAL)
				usual.rlim_cur = DESCRIPTORS_USUAL;
			if (setrlimit(kind, &usual) == 0)
				continue;
		}
		/* As far as it may; that which every program has a usual value of stays. */
		if (kind == RLIMIT_STACK || kind == RLIMIT_CORE || kind == RLIMIT_NOFILE)
			continue;
		own.rlim_cur = own.rlim_max;
		(void)!setrlimit(kind, &own);
	}
}

int limits_put_on(void)
{
	for (size_t i = 0; i < array_size(resources); i++) {
		struct rlimit now;

		if (!were_taken_off[i])
			continue;
		if (getrlimit(resources[i], &now) < 0)
			return -errno;
		/* What was set since is narrower, or was taken off too. */
		if (now.rlim_cur > before[i].rlim_cur)
			now.rlim_cur = before[i].rlim_cur;
		if (now.rlim_max > before[i].rlim_max)
			now.rlim_max = before[i].rlim_max;
		if (setrlimit(resources[i], &now) < 0)
			return -errno;
	}
	return 0;
}
