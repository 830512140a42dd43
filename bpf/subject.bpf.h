/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Who is acting, and the few calls that every hook makes. */

#include "kernel.bpf.h"

/* account.bpf.c. Each is verified once a program; a pointer may be NULL. */

/* Add amount to a counter of the run, its agent and its group. 0, or -EPERM where a cap would be
 * crossed: then nothing was added, the refusal is counted and the cap's posture is set. */
int charge(__u32 slot, __u32 counter, __u64 amount, __u32 hook);
/* Take back what charge() added. */
int refund(__u32 slot, __u32 counter, __u64 amount);
/* Count what cannot be refused because it has happened. */
int account_only(__u32 slot, __u32 counter, __u64 amount, __u32 hook);
/* Charge an address (its two halves), each once a run. */
int charge_host(__u32 slot, __u64 high, __u64 low, __u32 hook);
/* Count a refusal for the breakers. */
int note_refusal(__u32 slot, __u32 class);
/* End the pending operation: failed = give everything back; written = bytes of a write that really
 * happened. */
int settle(struct work *work, __u32 failed, __u64 written);

/* events.bpf.c */
struct report {
	__u16 kind;
	__u16 hook;
	__u16 class;
	__u16 counter;
	__u32 rule;
	__s32 result;
	__u64 value;
	__u64 limit;
	__u32 account;
	__u32 id;
	__u32 posture;
	__u32 pid;
	__u32 tid;
	__u32 reserved;
};
/* Send an event to its ring; work (may be NULL) gives the text. Never fails: what does not fit is
 * counted as lost. */
int emit(__u32 slot, struct report *report, struct work *work);
/* Count a refusal, send its event and return result. what: hook | class << 16. Returns result. */
int deny(__u32 slot, __u32 what, __u32 rule, int result, struct work *work);
/* The same for what the posture refuses; kills the caller where it is dead. Returns -EPERM. */
int deny_posture(__u32 slot, __u32 hook, __u32 posture);
/* Report an effect that was let through; work gives the text. */
int report_effect(__u32 slot, __u32 hook, struct work *work);

struct subject {
	struct meter_run *run;
	struct work *work;
	__u32 slot;
	__u32 posture;
	__u32 hook;
};

static __always_inline __u32 posture_of(const struct meter_run *run)
{
	__u32 zero = 0, posture = 0, account;
	struct meter_control *control;
	struct meter_host *h;

	control = bpf_map_lookup_elem(&controls, &zero);
	if (control)
		posture |= control->posture;
	for (int level = 0; level < METER_LEVELS; level++) {
		account = run->account[level];
		control = bpf_map_lookup_elem(&controls, &account);
		if (control)
			posture |= account ? control->posture : 0;
	}
	if (run->orphan_posture) {
		h = bpf_map_lookup_elem(&host, &zero);
		if (!h ||
			(__s64)(bpf_ktime_get_ns() - h->heartbeat_ns) > (__s64)run->orphan_after_ns)
			posture |= run->orphan_posture;
	}
	return posture;
}

/* Record that a hook fired, for the load-time proof. */
static __always_inline void prove(const struct meter_run *run, __u32 hook)
{
	__u64 *count;

	if (!(run->flags & METER_RUN_PROOF))
		return;
	count = bpf_map_lookup_elem(&fired, &hook);
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void count_overflow(void)
{
	__u32 zero = 0;
	struct meter_host *h = bpf_map_lookup_elem(&host, &zero);

	if (h)
		__sync_fetch_and_add(&h->overflow, 1);
}

/* The run of the current task: 0 = in none, 1 = found, negative = a task of a run that has ended.
 */
static __always_inline int find_subject(struct subject *s, __u32 hook)
{
	struct meter_task *task;

	task = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	if (!task)
		return 0;
	s->slot = task->slot;
	s->hook = hook;
	s->work = 0;
	s->run = bpf_map_lookup_elem(&runs, &s->slot);
	if (!s->run || !(s->run->flags & METER_RUN_LIVE) || s->run->generation != task->generation)
		return -EPERM;
	return 1;
}

static __always_inline struct work *work_of_current(void)
{
	return bpf_task_storage_get(
		&works, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* Refuse because of the posture: the rule is none of the profile's. */
static __always_inline int refuse_posture(struct subject *s)
{
	return deny_posture(s->slot, s->hook, s->posture);
}

/* Start of a hook that can refuse: 0 = not ours, negative = refused already, 1 = go on, with s
 * filled. */
static __always_inline int enter(struct subject *s, __u32 hook, __u32 refused_by)
{
	int r = find_subject(s, hook);

	if (r <= 0)
		return r;
	prove(s->run, hook);
	s->posture = posture_of(s->run);
	if (s->posture & (METER_FROZEN | refused_by))
		return refuse_posture(s);
	return 1;
}

/* The same, for hooks that need memory of their own. No memory = refused. */
static __always_inline int enter_with_work(struct subject *s, __u32 hook, __u32 refused_by)
{
	int r = enter(s, hook, refused_by);

	if (r <= 0)
		return r;
	s->work = work_of_current();
	if (s->work)
		return 1;
	count_overflow();
	return -EPERM;
}

/* Refuse an operation that a rule forbids. */
static __always_inline int refuse_as(struct subject *s, __u32 class, __u32 rule, int result)
{
	return deny(s->slot, s->hook | class << 16, rule, result, s->work);
}

/* Remember what is about to happen, so that it can be given back when it does not. What was left
 * over from an operation that nobody ended stays charged. */
static __always_inline struct pending *begin(struct subject *s, __u32 kind)
{
	struct pending *p = &s->work->operation;

	p->kind = kind;
	p->slot = s->slot;
	p->changed = 0;
	p->created = 0;
	p->deleted = 0;
	p->processes = 0;
	p->bytes = 0;
	p->object = 0;
	p->keys = 0;
	p->unannounced = 0;
	return p;
}
