/* SPDX-License-Identifier: Apache-2.0 */

/* What supervisors that died left in the maps. Programs and maps are pinned, so their runs go on
 * without them; a run without a task is over. */
#include "base/io.h"
#include "base/own.h"
#include "meter/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 4096

static bool is_dead(uint32_t owner)
{
	return owner != 0 && kill((pid_t)owner, 0) && errno == ESRCH;
}

/* Whether there is anything to look for: asking for every task of the host is not for free. */
static bool somebody_died(const struct meter *m)
{
	for (uint32_t slot = 1; slot < METER_RUNS; slot++)
		if (is_dead(__atomic_load_n(&m->controls[slot].owner, __ATOMIC_ACQUIRE)))
			return true;
	for (uint32_t scope = 1; scope < METER_SCOPES; scope++)
		if (is_dead(__atomic_load_n(&m->host->scope_owner[scope], __ATOMIC_ACQUIRE)))
			return true;
	return false;
}

/* Whether a process is in a cgroup or below it; false also where the cgroup is gone. */
static bool cgroup_is_populated(const struct meter *m, uint64_t id)
{
	/* As meter_cgroup_id(); the type is FILEID_KERNFS (linux/exportfs.h). */
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head = {.handle_bytes = sizeof(uint64_t), .handle_type = 0xfe}, .id = id};
	autoclose int fd = m->hierarchy_fd < 0 ? -1
					       : open_by_handle_at(m->hierarchy_fd, &handle.head,
							 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *events = NULL;

	/* Not to be told is no reason to let go. */
	if (fd < 0)
		return errno != ESTALE && errno != ENOENT;
	return io_read_file(fd, "cgroup.events", EVENTS_MAX, &events, NULL, NULL) < 0 ||
	       strstr(events, "populated 1");
}

/* Bit i: slot i has a task. */
struct slots {
	uint64_t word[METER_RUNS / 64];
};

/* The network's programs go by cgroup and know no tasks. */
static int find_cgroups(const struct meter *m, struct slots *alive)
{
	struct meter_run run;

	for (uint32_t slot = 1; slot < METER_RUNS; slot++) {
		if (!is_dead(__atomic_load_n(&m->controls[slot].owner, __ATOMIC_ACQUIRE)))
			continue;
		if (bpf_map_lookup_elem(m->map_fd[METER_MAP_runs], &slot, &run) ||
			(run.cgroup_id && cgroup_is_populated(m, run.cgroup_id)))
			alive->word[slot / 64] |= 1ULL << (slot % 64);
	}
	return 0;
}

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

	if (!somebody_died(meter) ||
		(meter->make == METER_MAKE_NETWORK ? find_cgroups(meter, &alive)
						   : find_alive(meter, &alive)))
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
