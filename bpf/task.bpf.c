// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Identity: a task of a run makes only tasks of that run. Set inside the kernel when the task is
 * allocated, so neither a change of cgroup, session or namespace nor the way of forking (threads,
 * vfork, io workers) sheds it. */
#include "subject.bpf.h"

HOOK(task_alloc, task_alloc, (struct task_struct * task, unsigned long clone_flags),
	(task, clone_flags))
{
	struct meter_task *mine, *its;
	struct subject s;
	struct pending *p;
	int r = enter_with_work(&s, METER_HOOK_task_alloc, METER_NO_FORK);

	if (r <= 0)
		return r;
	mine = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	its = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!mine || !its) {
		count_overflow();
		return -EAGAIN;
	}
	its->run_id = mine->run_id;
	its->generation = mine->generation;
	its->slot = mine->slot;
	if (clone_flags & CLONE_THREAD)
		return 0;
	r = charge(s.slot, METER_PROCESSES_STARTED, 1, METER_HOOK_task_alloc);
	if (r)
		return -EAGAIN; /* what fork(2) says of a limit */
	p = begin(&s, PENDING_FORK);
	p->processes = 1;
	return 0;
}

/* A fork can still fail after it was charged: pids.max comes later. */
SEC("?fexit/kernel_clone")
int probe_kernel_clone(void *ctx)
{
	struct subject s;

	if (find_subject(&s, METER_HOOK_kernel_clone) <= 0)
		return 0;
	prove(s.run, METER_HOOK_kernel_clone);
	s.work = work_of_current();
	if (s.work && s.work->operation.kind == PENDING_FORK)
		settle(s.work, (int)result_of(ctx) < 0, 0);
	return 0;
}
