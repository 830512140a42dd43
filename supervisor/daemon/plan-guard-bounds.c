/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/plan-guard-internal.h"

#include "base/number.h"
#include "daemon/agent-run.h"
#include "plan/compile.h"
#include "wire/effects.h"

#include <string.h>
#include <sys/resource.h>

/* How much a run may do: its profile has the caps and limits, those of its agent, its tier and the
 * ceilings among them. A plan that does not have them all would let more be done than is left. */

/* ---- what is counted ---- */

static bool sees_all(const struct guarded *g)
{
	return g->facts->meter_programs == BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL;
}

/* Whoever wrote the profile said that it may be left out where the host lacks what counts it. */
static bool may_be_uncounted(const struct guarded *g)
{
	return !sees_all(g) && (guard_is_degraded(g, "bpf") || guard_is_degraded(g, "notify"));
}

static bool is_capped(const Berm__Wire__Meter *meter, unsigned counter)
{
	for (size_t i = 0; meter && i < meter->n_caps; i++)
		if (meter->caps[i]->counter == counter)
			return true;
	return false;
}

static int check_caps(const struct guarded *g)
{
	const Berm__Wire__Meter *meter = g->plan->meter;

	for (size_t i = 0; meter && i < meter->n_caps; i++)
		if (meter->caps[i]->limit > agent_run_cap(g->profile, meter->caps[i]->counter))
			return guard_wrong(g, "lets more be done than is left");
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		if (agent_run_cap(g->profile, i) != AGENT_UNLIMITED && !is_capped(meter, i) &&
			!may_be_uncounted(g))
			return guard_wrong(g, "does not count what has a cap");
	return 0;
}

/* What counts is what this host proved to work. */
static int check_meter(const struct guarded *g)
{
	const Berm__Wire__Meter *meter = g->plan->meter;
	uint32_t proved = g->facts->meter_programs;

	if (!meter)
		return 0;
	if (proved > BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_ALL)
		proved = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
	if ((uint32_t)meter->programs != proved ||
		(meter->n_caps && !sees_all(g) && g->facts->seccomp_notify && !meter->gate))
		return guard_wrong(g, "has a meter that does not count");
	return 0;
}

/* ---- what is bounded ---- */

struct bound {
	size_t offset; /* of the limit in struct profile */
	uint64_t more; /* that the run itself takes */
	uint32_t resource;
	const char *controller, *file; /* NULL: no cgroup has it */
};

static bool has_controller(const struct guarded *g, const char *name)
{
	for (size_t i = 0; g->facts->cgroup_v2 && i < g->facts->n_cgroup_controllers; i++)
		if (strcmp(g->facts->cgroup_controllers[i], name) == 0)
			return true;
	return false;
}

static bool is_bounded_by_cgroup(const struct guarded *g, const char *file, uint64_t most)
{
	const Berm__Wire__Cgroup *cgroup = g->plan->cgroup;
	bool bounded = false;

	for (size_t i = 0; cgroup && cgroup->use && i < cgroup->n_values; i++) {
		const Berm__Wire__CgroupValue *is = cgroup->values[i];
		uint64_t value;

		if (strcmp(is->file, file) != 0)
			continue;
		if (is->optional || !number_parse_u64(is->value, &value) || value > most)
			return false;
		bounded = true;
	}
	return bounded;
}

static bool is_bounded_by_rlimit(const struct guarded *g, uint32_t resource, uint64_t most)
{
	bool bounded = false;

	for (size_t i = 0; i < g->plan->n_rlimits; i++) {
		const Berm__Wire__Rlimit *is = g->plan->rlimits[i];

		if (is->resource != resource)
			continue;
		if (is->soft > most || is->hard > most)
			return false;
		bounded = true;
	}
	return bounded;
}

static int check_limits(const struct guarded *g)
{
	static const struct bound bounds[] = {
		{offsetof(struct profile, limits.memory_bytes), 0, RLIMIT_DATA, "memory",
			"memory.max"},
		{offsetof(struct profile, limits.pids), PLAN_OWN_TASKS, RLIMIT_NPROC, "pids",
			"pids.max"},
		{offsetof(struct profile, limits.open_files), 0, RLIMIT_NOFILE, NULL, NULL},
		{offsetof(struct profile, limits.file_size_bytes), 0, RLIMIT_FSIZE, NULL, NULL},
	};

	for (size_t i = 0; i < array_size(bounds); i++) {
		const struct bound *b = &bounds[i];
		const struct limit *limit = (const void *)((const char *)g->profile + b->offset);
		uint64_t most = limit->value + b->more;

		if (limit->set && !(b->file && has_controller(g, b->controller)
						  ? is_bounded_by_cgroup(g, b->file, most)
						  : is_bounded_by_rlimit(g, b->resource, most)))
			return guard_wrong(g, "takes more of this host than it may");
	}
	return 0;
}

int guard_bounds(const struct guarded *g)
{
	int r = check_caps(g);

	if (r == 0)
		r = check_meter(g);
	return r < 0 ? r : check_limits(g);
}
