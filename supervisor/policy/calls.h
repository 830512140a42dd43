/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/own.h"
#include "policy/profile.h"

/* Every system call of x86_64 and aarch64 up to Linux 7.0, each in exactly one group. One table for
 * what a profile may name (policy/), for what explain answers (decide.h) and for the filter
 * (plan/syscalls.h). Pure. */

#define CALLS_NUMBER_MAX 511 /* no call of these two machines has a higher number */
#define CALLS_NO_NUMBER (-1)

enum calls_group {
	CALLS_FILE_IO, /* on an open descriptor; sendmsg too, by which the launcher hands over the
			  listener */
	CALLS_PATH,    /* on a path */
	CALLS_XATTR,
	CALLS_WATCH,
	CALLS_MEMORY,
	CALLS_NUMA,
	CALLS_PROCESS,
	CALLS_THREAD,
	CALLS_SIGNAL,
	CALLS_IDENTITY,
	CALLS_SECURITY, /* what a program does to confine itself further */
	CALLS_TIME,
	CALLS_POLL,
	CALLS_SCHED,
	CALLS_SYSTEM,
	CALLS_NETWORK,
	CALLS_IPC,
	CALLS_AIO,
	/* From here on: in no base, only by name in syscalls.allow. */
	CALLS_MOUNT,
	CALLS_NAMESPACE,
	CALLS_KEYRING,
	CALLS_MODULE,
	CALLS_RAW_IO,
	CALLS_REBOOT,
	CALLS_KEXEC,
	CALLS_SWAP,
	CALLS_CLOCK,
	CALLS_DEBUG,
	CALLS_BPF,
	CALLS_IO_URING,
	CALLS_USERFAULTFD,
	CALLS_QUOTA,
	CALLS_ACCOUNTING,
	CALLS_LOG,
	CALLS_HANDLE,
	CALLS_FANOTIFY,
	CALLS_HOST,
	CALLS_CPU_EMULATION,
	CALLS_OBSOLETE,
	CALLS_GROUP_COUNT
};

enum calls_flag {
	/* The launcher and the start of any program need it: a profile that takes it away is
	 * refused, since the run would hang or die before the tool's first instruction
	 * (moby#40205). */
	CALLS_ESSENTIAL = 1,
	/* Libraries try it and have another way: refused quietly with ENOSYS, never reported. */
	CALLS_PROBED = 2,
	/* Its arguments lie in memory, or it makes other calls, so that allowing it would undo
	 * argument rules and socket families: no profile can allow it. */
	CALLS_NEVER = 4,
	/* Takes a path and changes, opens or runs what is there: what trace mode watches. */
	CALLS_TRACED = 8,
	/* Rare, and a run without a network wants to know where its tool tried to go: watched in
	 * every run that has a network namespace of its own. Reporting only: the namespace is the
	 * wall. */
	CALLS_WATCHED = 16,
};

struct calls_entry {
	const char *name;
	int16_t x86_64; /* CALLS_NO_NUMBER: the machine does not have it */
	int16_t aarch64;
	uint8_t group; /* enum calls_group */
	uint8_t flags; /* enum calls_flag */
};

struct calls_group_entry {
	const char *name; /* as in syscalls.deny_groups */
	bool in_base[SYSCALL_BASE_COUNT];
	const char *holds; /* one line for people */
};

/* The whole table, sorted by x86_64 number. */
const struct calls_entry *calls_table(size_t *ret_count);
/* The call of that name, or NULL. */
const struct calls_entry *calls_find(const char *name);
const struct calls_group_entry *calls_group(enum calls_group group);
/* Whether a base allows the call before allow, deny and deny_groups: its group does, and it is not
 * CALLS_NEVER. */
bool calls_in_base(const struct calls_entry *call, enum syscall_base base);
/* The group of that name; false where there is none. */
bool calls_group_find(const char *name, enum calls_group *ret_group) must_check;
/* The known name nearest to a misspelt one, for "did you mean"; NULL where none is near. */
const char *calls_nearest(const char *name);
const char *calls_group_nearest(const char *name);

/* What a word in syscalls.families is; number is AF_*. */
struct calls_family {
	const char *name;
	uint16_t number;
	bool nameable;      /* false: no profile can allow it; reason says why */
	const char *reason; /* NULL where nameable */
};

const struct calls_family *calls_families(size_t *ret_count);
const struct calls_family *calls_family_find(const char *name); /* or NULL */
