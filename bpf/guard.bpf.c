// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a run has no business with, whatever its profile says: the meter itself, other processes,
 * mounts and ways around the hooks. seccomp refuses most of this earlier; here it is refused once
 * more, also for descriptors that were opened before. Which of them is an attempt to escape, and
 * which a denial like any other, is as where seccomp refuses it (supervisor/meter/classes.c): a
 * profile that adds unshare or perf_event_open to its calls is refused here, and means no harm. */
#include "subject.bpf.h"

static __always_inline int refuse_here(__u32 hook, __u32 class)
{
	struct subject s;
	int r = enter(&s, hook, 0);

	if (r <= 0)
		return r;
	return refuse_as(&s, class, 0, -EPERM);
}

#define GUARD(lsm, security, class)                                                                \
	SEC("?lsm/" #lsm) int lsm_##lsm(void *ctx)                                                 \
	{                                                                                          \
		return verdict(refuse_here(METER_HOOK_##lsm, class));                              \
	}                                                                                          \
	SEC("?fmod_ret/security_" #security) int mod_##lsm(void *ctx)                              \
	{                                                                                          \
		return verdict(refuse_here(METER_HOOK_##lsm, class));                              \
	}

GUARD(bpf, bpf, METER_ESCAPE)
GUARD(perf_event_open, perf_event_open, METER_DENIAL)
GUARD(userns_create, create_user_ns, METER_DENIAL)
GUARD(uring_override_creds, uring_override_creds, METER_ESCAPE)
GUARD(uring_sqpoll, uring_sqpoll, METER_ESCAPE)
GUARD(sb_mount, sb_mount, METER_ESCAPE)
GUARD(sb_umount, sb_umount, METER_ESCAPE)
GUARD(move_mount, move_mount, METER_ESCAPE)
GUARD(sb_pivotroot, sb_pivotroot, METER_ESCAPE)

/* 0 = same run or not ours, negative = refused. */
static __always_inline int only_own(struct task_struct *target, __u32 hook, __u32 class)
{
	struct meter_task *its;
	struct subject s;
	int r = enter(&s, hook, 0);

	if (r <= 0)
		return r;
	its = bpf_task_storage_get(&tasks, target, 0, 0);
	if (its && its->run_id == s.run->run_id)
		return 0;
	return refuse_as(&s, class, 0, -EPERM);
}

HOOK(ptrace_access_check, ptrace_access_check, (struct task_struct * child, unsigned int mode),
	(child, mode))
{
	return only_own(child, METER_HOOK_ptrace_access_check, METER_ESCAPE);
}

HOOK(ptrace_traceme, ptrace_traceme, (struct task_struct * parent), (parent))
{
	return only_own(parent, METER_HOOK_ptrace_traceme, METER_ESCAPE);
}

HOOK(task_kill, task_kill,
	(struct task_struct * target, struct kernel_siginfo *info, int signal,
		const struct cred *cred),
	(target, info, signal, cred))
{
	return only_own(target, METER_HOOK_task_kill, METER_DENIAL);
}

HOOK(file_send_sigiotask, file_send_sigiotask,
	(struct task_struct * target, struct fown_struct *fown, int signal), (target, fown, signal))
{
	return only_own(target, METER_HOOK_file_send_sigiotask, METER_DENIAL);
}
