/* SPDX-License-Identifier: Apache-2.0 */

/* Accounts, caps, postures, and the life of a run in the maps. */
#include "meter/internal.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

enum meter_make meter_make(const struct meter *meter)
{
	return meter->make;
}

bool meter_adopted(const struct meter *meter)
{
	return meter->adopted;
}

void meter_heartbeat(struct meter *meter)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	__atomic_store_n(&meter->host->heartbeat_ns,
		(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, __ATOMIC_RELEASE);
}

/* Take the first free account in [first, end): several processes may do so at once. */
static uint32_t take_account(struct meter *m, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		uint32_t nobody = 0;

		if (__atomic_compare_exchange_n(&m->controls[i].owner, &nobody, (uint32_t)getpid(),
			    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return i;
	}
	return 0;
}

static void give_account(struct meter *m, uint32_t account)
{
	__atomic_store_n(&m->controls[account].posture, METER_OPEN, __ATOMIC_RELAXED);
	__atomic_store_n(&m->controls[account].owner, 0, __ATOMIC_RELEASE);
}

static int clear_account(struct meter *m, uint32_t account, struct error *err)
{
	static const struct meter_account zero;
	static const struct meter_windows none;

	__atomic_store_n(&m->controls[account].posture, METER_OPEN, __ATOMIC_RELAXED);
	if (bpf_map_update_elem(m->map_fd[METER_MAP_accounts], &account, &zero, BPF_ANY) ||
		bpf_map_update_elem(m->map_fd[METER_MAP_windows], &account, &none, BPF_ANY))
		return error_errno(err, "clear account %u", account);
	return 0;
}

int meter_account(
	struct meter *meter, const uint8_t identity[16], uint32_t *ret_account, struct error *err)
{
	struct meter_identity key;
	struct meter_limits none;
	uint32_t account = 0;
	int r;

	memcpy(key.bytes, identity, sizeof(key.bytes));
	if (bpf_map_lookup_elem(meter->map_fd[METER_MAP_identities], &key, ret_account) == 0)
		return 0;
	account = take_account(meter, METER_RUNS, METER_ACCOUNTS);
	if (!account)
		return error_set(err, -ENOSPC, ERROR_INTERNAL,
			"every account for agents and groups is taken");
	meter_limits_none(&none);
	r = clear_account(meter, account, err);
	if (!r)
		r = meter_limits_set(meter, account, &none, err);
	if (!r && bpf_map_update_elem(
			  meter->map_fd[METER_MAP_identities], &key, &account, BPF_NOEXIST)) {
		/* Another process was faster with the same identity: its account counts. */
		r = errno == EEXIST ? -EEXIST : error_errno(err, "keep an account's identity");
	}
	if (r) {
		give_account(meter, account);
		if (r == -EEXIST)
			r = bpf_map_lookup_elem(
				    meter->map_fd[METER_MAP_identities], &key, ret_account)
				    ? error_errno(err, "find an account")
				    : 0;
		return r;
	}
	*ret_account = account;
	return 0;
}

int meter_account_release(struct meter *meter, const uint8_t identity[16], struct error *err)
{
	struct meter_identity key;
	uint32_t account;

	memcpy(key.bytes, identity, sizeof(key.bytes));
	if (bpf_map_lookup_elem(meter->map_fd[METER_MAP_identities], &key, &account))
		return error_errno(err, "find an account");
	if (bpf_map_delete_elem(meter->map_fd[METER_MAP_identities], &key))
		return error_errno(err, "forget an account");
	give_account(meter, account);
	return 0;
}

void meter_limits_none(struct meter_limits *limits)
{
	memset(limits, 0, sizeof(*limits));
	for (size_t i = 0; i < METER_COUNTERS; i++)
		limits->cap[i].limit = METER_UNLIMITED;
}

int meter_limits_set(
	struct meter *meter, uint32_t account, const struct meter_limits *limits, struct error *err)
{
	for (size_t i = 0; i < METER_BREAKERS; i++)
		if (limits->breaker[i].count > METER_DENIALS_KEPT)
			return error_set(err, -EINVAL, ERROR_UNSUPPORTED,
				"a breaker can wait for at most %d refusals, not %u",
				METER_DENIALS_KEPT, limits->breaker[i].count);
	if (bpf_map_update_elem(meter->map_fd[METER_MAP_limits], &account, limits, BPF_ANY))
		return error_errno(err, "set the limits of account %u", account);
	return 0;
}

uint32_t meter_posture(const struct meter *meter, uint32_t account)
{
	return __atomic_load_n(
		&meter->controls[account < METER_ACCOUNTS ? account : 0].posture, __ATOMIC_ACQUIRE);
}

uint32_t meter_posture_change(struct meter *meter, uint32_t account, uint32_t add, uint32_t remove)
{
	uint32_t *posture = &meter->controls[account < METER_ACCOUNTS ? account : 0].posture;
	uint32_t before = __atomic_load_n(posture, __ATOMIC_ACQUIRE);
	uint32_t after;

	do
		after = (before & ~remove) | add;
	while (!__atomic_compare_exchange_n(
		posture, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return after;
}

/* ---- runs ---- */

int meter_cgroup_id(int cgroup_fd, uint64_t *ret_id, struct error *err)
{
	/* The handle of a file on cgroupfs is its 64-bit node number (kernfs_encode_fh). */
	struct {
		struct file_handle head;
		uint64_t id;
	} handle = {.head = {.handle_bytes = sizeof(uint64_t)}};
	int mount;

	if (name_to_handle_at(cgroup_fd, "", &handle.head, &mount, AT_EMPTY_PATH))
		return error_errno(err, "ask for the id of a cgroup");
	*ret_id = handle.id;
	return 0;
}

static int fill_run(
	struct meter *m, const struct meter_run_request *request, uint32_t slot, struct error *err)
{
	struct meter_run run;
	struct meter_limits none;
	uint32_t generation;
	int r;

	if (bpf_map_lookup_elem(m->map_fd[METER_MAP_runs], &slot, &run))
		return error_errno(err, "read slot %u", slot);
	generation = run.generation + 1;
	r = clear_account(m, slot, err);
	if (r)
		return r;
	meter_limits_none(&none);
	r = meter_limits_set(m, slot, request->limits ? request->limits : &none, err);
	if (!r)
		r = slot_maps_give(m, request, slot, err);
	if (r)
		return r;
	run = (struct meter_run){
		.run_id = request->run_id,
		.cgroup_id = request->cgroup_id,
		.generation = generation,
		.flags = request->flags | METER_RUN_LIVE,
		.account = {slot, request->agent, request->group},
		.scope = request->scope,
		.orphan_posture = request->orphan_posture,
		.orphan_after_ns = request->orphan_after_ns,
	};
	if (bpf_map_update_elem(m->map_fd[METER_MAP_runs], &slot, &run, BPF_ANY))
		return error_errno(err, "fill slot %u", slot);
	if (request->cgroup_id && bpf_map_update_elem(m->map_fd[METER_MAP_cgroups],
					  &request->cgroup_id, &slot, BPF_ANY))
		return error_errno(err, "bind slot %u to its cgroup", slot);
	return 0;
}

int meter_run_create(struct meter *meter, const struct meter_run_request *request,
	uint32_t *ret_slot, struct error *err)
{
	uint32_t slot = take_account(meter, 1, METER_RUNS);
	int r;

	if (!slot)
		return error_set(err, -ENOSPC, ERROR_INTERNAL, "all %d slots for runs are taken",
			METER_RUNS - 1);
	r = fill_run(meter, request, slot, err);
	if (r) {
		meter_run_destroy(meter, slot);
		return r;
	}
	*ret_slot = slot;
	return 0;
}

int meter_run_enrol(struct meter *meter, uint32_t slot, int pidfd, struct error *err)
{
	struct meter_task task = {.slot = slot};
	struct meter_run run;

	if (bpf_map_lookup_elem(meter->map_fd[METER_MAP_runs], &slot, &run) ||
		!(run.flags & METER_RUN_LIVE))
		return error_set(err, -EINVAL, ERROR_INTERNAL, "slot %u holds no run", slot);
	task.run_id = run.run_id;
	task.generation = run.generation;
	if (bpf_map_update_elem(meter->map_fd[METER_MAP_tasks], &pidfd, &task, BPF_ANY))
		return error_errno(err, "put a process into slot %u", slot);
	return 0;
}

void meter_run_destroy(struct meter *meter, uint32_t slot)
{
	struct meter_run run;

	if (slot == 0 || slot >= METER_RUNS)
		return;
	if (bpf_map_lookup_elem(meter->map_fd[METER_MAP_runs], &slot, &run) == 0) {
		/* The generation stays and is raised by the next run: tasks that are left match
		 * neither. */
		run.flags = 0;
		bpf_map_update_elem(meter->map_fd[METER_MAP_runs], &slot, &run, BPF_ANY);
		if (run.cgroup_id)
			bpf_map_delete_elem(meter->map_fd[METER_MAP_cgroups], &run.cgroup_id);
	}
	slot_maps_take(meter, slot);
	give_account(meter, slot);
}
