/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/launch.h"

#include <sys/resource.h>

/* A limit above the inherited hard limit is cut to it: a run never gets more than its caller had.
 */
int limits_apply(const struct launch *launch, struct error *err)
{
	const Berm__Wire__Plan *plan = launch->plan;

	for (size_t i = 0; i < plan->n_rlimits; i++) {
		const Berm__Wire__Rlimit *limit = plan->rlimits[i];
		struct rlimit now, value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};

		if (getrlimit((__rlimit_resource_t)limit->resource, &now) < 0)
			return error_errno(err, "read resource limit %u", limit->resource);
		if (value.rlim_max > now.rlim_max)
			value.rlim_max = now.rlim_max;
		if (value.rlim_cur > value.rlim_max)
			value.rlim_cur = value.rlim_max;
		if (setrlimit((__rlimit_resource_t)limit->resource, &value) < 0)
			return error_errno(err, "set resource limit %u", limit->resource);
	}
	return 0;
}
