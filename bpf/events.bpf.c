// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Events, made from kernel objects only. Each run has two rings of its own: verdicts, and activity,
 * so that no flood of the second pushes out the first, and none of one run another's. Every event
 * takes a number first, and what has no room is counted: recorded + lost = made. */
#include "subject.bpf.h"

/* The next number of one of the run's rings. */
static __always_inline __u64 take_number(struct meter_account *a, __u32 ring)
{
	return __sync_fetch_and_add(&a->sequence[ring], 1) + 1;
}

static __always_inline void fill(struct meter_event *e, __u32 slot, const struct meter_run *run,
	__u64 sequence, const struct report *r)
{
	e->sequence = sequence;
	e->time_ns = bpf_ktime_get_boot_ns();
	e->run_id = run->run_id;
	e->account = r->account;
	e->slot = slot;
	e->kind = r->kind;
	e->hook = r->hook;
	e->class = r->class;
	e->counter = r->counter;
	e->rule = r->rule;
	e->result = r->result;
	e->value = r->value;
	e->limit = r->limit;
	e->posture = r->posture;
	e->id = r->id;
	e->pid = r->pid;
	e->tid = r->tid;
	e->device = 0;
	e->inode = 0;
	__builtin_memset(e->address, 0, sizeof(e->address));
	e->port = 0;
	e->protocol = 0;
	e->text_bytes = 0;
	__builtin_memset(e->command, 0, sizeof(e->command));
}

static __always_inline int emit_verdict(
	__u32 slot, struct meter_run *run, struct report *r, struct work *work)
{
	struct meter_account *a = bpf_map_lookup_elem(&accounts, &slot);
	void *ring = bpf_map_lookup_elem(&verdicts, &slot);
	struct meter_long_event *e;
	__u64 sequence;

	if (!a)
		return 0;
	sequence = take_number(a, METER_RING_VERDICTS);
	e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;
	if (!e) {
		__sync_fetch_and_add(&a->lost[METER_RING_VERDICTS], 1);
		return 0;
	}
	fill(&e->head, slot, run, sequence, r);
	e->text[0] = 0;
	if (work && work->text_bytes && work->text_bytes <= sizeof(e->text)) {
		bpf_probe_read_kernel(e->text, sizeof(e->text), work->text);
		e->head.text_bytes = work->text_bytes;
		e->head.device = work->text_device;
		e->head.inode = work->text_inode;
		__builtin_memcpy(e->head.command, work->command, sizeof(e->head.command));
		work->text_bytes = 0;
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline int emit_activity(
	__u32 slot, struct meter_run *run, struct report *r, struct work *work)
{
	struct meter_account *a = bpf_map_lookup_elem(&accounts, &slot);
	void *ring = bpf_map_lookup_elem(&activity, &slot);
	struct meter_short_event *e;
	__u64 sequence;

	if (!a)
		return 0;
	sequence = take_number(a, METER_RING_ACTIVITY);
	e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;
	if (!e) {
		__sync_fetch_and_add(&a->lost[METER_RING_ACTIVITY], 1);
		return 0;
	}
	fill(&e->head, slot, run, sequence, r);
	e->text[0] = 0;
	if (work && work->text_bytes) {
		bpf_probe_read_kernel(e->text, sizeof(e->text), work->text);
		e->head.text_bytes =
			work->text_bytes < sizeof(e->text) ? work->text_bytes : sizeof(e->text);
		work->text_bytes = 0;
	}
	/* Nobody waits for activity: the reader polls, and a wakeup for each would cost more than
	 * the event. */
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

__noinline int emit(__u32 slot, struct report *report, struct work *work)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);

	if (!run || !report)
		return 0;
	if (report->kind == METER_EVENT_ACTIVITY)
		return emit_activity(slot, run, report, work);
	return emit_verdict(slot, run, report, work);
}

/* From here on only what runs in the context of the task that acts: cgroup_skb programs may not
 * even ask. */
static __always_inline void sign(struct report *report)
{
	__u64 id = bpf_get_current_pid_tgid();

	report->pid = id >> 32;
	report->tid = (__u32)id;
}

__noinline int deny(__u32 slot, __u32 what, __u32 rule, int result, struct work *work)
{
	struct report report = {
		.kind = METER_EVENT_DENIAL,
		.hook = (__u16)what,
		.class = (__u16)(what >> 16),
		.rule = rule,
		.result = result,
		.account = slot,
	};

	note_refusal(slot, what >> 16);
	sign(&report);
	if (work)
		bpf_get_current_comm(work->command, sizeof(work->command));
	emit(slot, &report, work);
	/* The verifier wants to see a number that the hook may return. */
	if (result == -EXDEV || result == -EOPNOTSUPP || result == -EAGAIN)
		return result;
	return -EPERM;
}

__noinline int deny_posture(__u32 slot, __u32 hook, __u32 posture)
{
	struct report report = {
		.kind = METER_EVENT_POSTURE,
		.hook = (__u16)hook,
		.result = -EPERM,
		.posture = posture,
		.account = slot,
	};

	if (posture & METER_DEAD)
		bpf_send_signal(SIGKILL);
	sign(&report);
	emit(slot, &report, 0);
	return -EPERM;
}

__noinline int report_effect(__u32 slot, __u32 hook, struct work *work)
{
	struct report report = {
		.kind = METER_EVENT_ACTIVITY,
		.hook = (__u16)hook,
		.account = slot,
	};

	if (!work)
		return 0;
	sign(&report);
	bpf_get_current_comm(work->command, sizeof(work->command));
	return emit(slot, &report, work);
}
