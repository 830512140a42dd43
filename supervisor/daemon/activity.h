/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* One thing that a run did, as the meter that let it through saw it. All borrowed for the call; 0
 * and NULL: not known. */
enum activity_kind { ACTIVITY_FILE, ACTIVITY_EXEC, ACTIVITY_NETWORK, ACTIVITY_KIND_COUNT };

struct activity {
	enum activity_kind kind;
	const char *operation; /* "read", "write", "exec", "connect" …, or a system call's name */
	const char *target;    /* path, or address and port; bytes of the tool */
	const char *hook;      /* of the kernel, or a system call's name */
	int error;             /* errno that the tool got; 0: it was done */
	uint64_t time_ns;      /* CLOCK_BOOTTIME */
	uint64_t sequence;     /* of the run's own events */
	uint64_t device, inode;
	uint32_t pid, tid;      /* in the host's pid namespace */
	const uint8_t *address; /* 16 bytes, IPv4 as ::ffff:a.b.c.d */
	uint32_t port, protocol;
};
