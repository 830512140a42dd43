/* SPDX-License-Identifier: Apache-2.0 */

/* What supervisors that died left in the maps. Programs and maps are pinned, so their runs go on
 * without them; a run without a task is over. */
#include "meter/internal.h"

#include <signal.h>
#include <unistd.h>

static bool is_dead(uint32_t owner)
{
	return owner != 0 && kill((pid_t)owner, 0) && errno == ESRCH;
}

/* Bit i: slot i has a task. */
struct slots {
	uint64_t word[METER_RUNS / 64];
};

static int find_alive(const struct meter *m, struct slots *alive)
{
	struct meter_task *tasks = NULL;
	struct error ignored = {0};
	size_t count = 0;
	int r = tasks_read(m, &tasks, &count, &ignored);

	for (size_t i = 0; r == 0 && i < count; i++)
		if (tasks[i].slot < METER_RUNS)
			alive->word[tasks[i].slot / 64] |= 1ULL << (tasks[i].slot % 64);
	free(tasks);
	return r;
}

unsigned meter_reap(struct meter *meter)
{
	struct slots alive = {0}, kept = {0};
	struct meter_run run;
	unsigned reaped = 0;

	/* The network's programs go by cgroup and know no tasks. */
	if (meter->make == METER_MAKE_NETWORK || find_alive(meter, &alive))
		return 0;
	for (uint32_t slot = 1; slot < METER_RUNS; slot++) {
		uint32_t owner = __atomic_load_n(&meter->controls[slot].owner, __ATOMIC_ACQUIRE);

		if (!owner || bpf_map_lookup_elem(meter->map_fd[METER_MAP_runs], &slot, &run))
			continue;
		if (is_dead(owner) && !(alive.word[slot / 64] >> (slot % 64) & 1)) {
			meter_run_destroy(meter, slot);
			reaped++;
		} else if (run.scope < METER_SCOPES) {
			kept.word[run.scope / 64] |= 1ULL << (run.scope % 64);
		}
	}
	for (uint32_t scope = 1; scope < METER_SCOPES; scope++) {
		uint32_t owner =
			__atomic_load_n(&meter->host->scope_owner[scope], __ATOMIC_ACQUIRE);

		if (is_dead(owner) && !(kept.word[scope / 64] >> (scope % 64) & 1))
			meter_scope_destroy(meter, scope);
	}
	return reaped;
}
