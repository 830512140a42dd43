/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "test.h"

#include "hostile-host.h"

#include <sys/resource.h>

/* Plans of a planner that was taken over: what they would have let a run do. */

static void higher_cap(Berm__Wire__Plan *plan)
{
	assert_true(plan->meter && plan->meter->n_caps > 0);
	plan->meter->caps[0]->limit++;
}

static void no_cap(Berm__Wire__Plan *plan)
{
	assert_int_equal(plan->meter->n_caps, 1);
	berm__wire__meter_cap__free_unpacked(plan->meter->caps[0], NULL);
	plan->meter->n_caps = 0;
}

static void cap_of_another_counter(Berm__Wire__Plan *plan)
{
	plan->meter->caps[0]->counter++;
}

static void no_meter(Berm__Wire__Plan *plan)
{
	berm__wire__meter__free_unpacked(plan->meter, NULL);
	plan->meter = NULL;
}

static void nothing_counts(Berm__Wire__Plan *plan)
{
	plan->meter->programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NONE;
}

static void only_the_network_counts(Berm__Wire__Plan *plan)
{
	plan->meter->programs = BERM__WIRE__METER_PROGRAMS__METER_PROGRAMS_NETWORK;
}

static void no_gate(Berm__Wire__Plan *plan)
{
	assert_true(plan->meter->gate);
	plan->meter->gate = false;
}

static Berm__Wire__CgroupValue *find_value(Berm__Wire__Plan *plan, const char *file)
{
	for (size_t i = 0; i < plan->cgroup->n_values; i++)
		if (strcmp(plan->cgroup->values[i]->file, file) == 0)
			return plan->cgroup->values[i];
	fail_msg("nothing is written to %s", file);
	return NULL;
}

static void more_processes(Berm__Wire__Plan *plan)
{
	put_string(&find_value(plan, "pids.max")->value, "12");
}

static void processes_without_end(Berm__Wire__Plan *plan)
{
	put_string(&find_value(plan, "pids.max")->value, "max");
}

static void processes_by_chance(Berm__Wire__Plan *plan)
{
	find_value(plan, "pids.max")->optional = true;
}

static void unbounded_processes(Berm__Wire__Plan *plan)
{
	put_string(&find_value(plan, "pids.max")->file, "io.weight");
}

/* What is written last holds. */
static void processes_once_more(Berm__Wire__Plan *plan)
{
	Berm__Wire__Cgroup *cgroup = plan->cgroup;
	Berm__Wire__CgroupValue *more = malloc(sizeof(*more));

	berm__wire__cgroup_value__init(more);
	more->file = strdup("pids.max");
	more->value = strdup("max");
	cgroup->values = realloc(cgroup->values, (cgroup->n_values + 1) * sizeof(*cgroup->values));
	cgroup->values[cgroup->n_values++] = more;
}

static void no_cgroup(Berm__Wire__Plan *plan)
{
	plan->cgroup->use = false;
}

static Berm__Wire__Rlimit *find_rlimit(Berm__Wire__Plan *plan, uint32_t resource)
{
	for (size_t i = 0; i < plan->n_rlimits; i++)
		if (plan->rlimits[i]->resource == resource)
			return plan->rlimits[i];
	fail_msg("there is no limit %u", resource);
	return NULL;
}

static void more_open_files(Berm__Wire__Plan *plan)
{
	find_rlimit(plan, RLIMIT_NOFILE)->soft++;
}

static void more_open_files_later(Berm__Wire__Plan *plan)
{
	find_rlimit(plan, RLIMIT_NOFILE)->hard++;
}

static void unbounded_files(Berm__Wire__Plan *plan)
{
	find_rlimit(plan, RLIMIT_NOFILE)->resource = RLIMIT_NICE;
}
