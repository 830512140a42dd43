// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "net.bpf.h"

__noinline int net_emit(__u32 slot, struct net_report *report)
{
	struct meter_run *run = bpf_map_lookup_elem(&runs, &slot);
	struct meter_account *a = bpf_map_lookup_elem(&accounts, &slot);
	void *ring = bpf_map_lookup_elem(&verdicts, &slot);
	struct meter_long_event *e;
	__u64 sequence;

	if (!run || !a || !report)
		return 0;
	sequence = __sync_fetch_and_add(&a->sequence[METER_RING_VERDICTS], 1) + 1;
	e = ring ? bpf_ringbuf_reserve(ring, sizeof(*e), 0) : 0;
	if (!e) {
		__sync_fetch_and_add(&a->lost[METER_RING_VERDICTS], 1);
		return 0;
	}
	__builtin_memset(&e->head, 0, sizeof(e->head));
	e->head.sequence = sequence;
	e->head.time_ns = bpf_ktime_get_boot_ns();
	e->head.run_id = run->run_id;
	e->head.account = slot;
	e->head.slot = slot;
	e->head.kind = report->kind;
	e->head.hook = report->hook;
	e->head.class = report->class;
	e->head.rule = report->rule;
	e->head.posture = report->posture;
	e->head.result = -EPERM;
	e->head.port = report->port;
	e->head.protocol = report->protocol;
	__builtin_memcpy(e->head.address, report->address, sizeof(e->head.address));
	e->text[0] = 0;
	bpf_ringbuf_submit(e, 0);
	return 0;
}
