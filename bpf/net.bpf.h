/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Events of the network programs: some run in a softirq, where the current task means nothing. */

#include "subject.bpf.h"

struct net_report {
	__u16 kind;
	__u16 hook;
	__u16 class;
	__u16 protocol;
	__u32 rule;
	__u32 posture;
	__u8 address[16];
	__u16 port;
	__u16 reserved;
	__u32 reserved2;
};

/* Send an event about an address. Never fails: what does not fit is counted as lost. */
int net_emit(__u32 slot, struct net_report *report);
