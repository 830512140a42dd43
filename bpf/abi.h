/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* What the kernel programs and user space share: fixed-width fields, no implicit padding, sizes
 * asserted at the end. Any change of a layout or of a meaning raises METER_ABI: pinned maps of
 * another number are never adopted. */

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define METER_ABI 5
#define METER_ABI_MAGIC 0x4245524dU

/* Accounts: what is charged. Account 0 is the host. A run's own account has the number of its slot;
 * agents and groups live above them. */
#define METER_RUNS 2048 /* slots 1 .. METER_RUNS - 1 */
#define METER_ACCOUNTS 4096
#define METER_LEVELS 3    /* run, agent, group */
#define METER_SCOPES 1024 /* scope 0: no file or network rules, effects are counted only */
#define METER_RULES                                                                                \
	262144 /* anchors, names, addresses of all scopes; each takes memory when made */
#define METER_COUNTERS 16
#define METER_STEPS 4         /* thresholds of one counter beside its cap */
#define METER_BREAKERS 4      /* of one account */
#define METER_DENIALS_KEPT 64 /* most refusals that a breaker can wait for */
#define METER_UNLIMITED                                                                            \
	(1ULL << 62) /* the cap of what has none; also where every counter saturates */
#define METER_WRITE_MAX 0x7ffff000ULL /* MAX_RW_COUNT: no single call writes more (fs.h) */

enum meter_counter {
	METER_FILES_CHANGED = 0, /* distinct files created, changed, renamed or replaced */
	METER_FILES_CREATED,     /* names made: create, mkdir, mknod, symlink, link */
	METER_FILES_DELETED,     /* names lost of files that the run did not make itself */
	METER_BYTES_WRITTEN,   /* to regular files; a shared writable mapping counts its length when
				  mapped */
	METER_BYTES_SENT,      /* payload, each byte of a TCP stream once */
	METER_BYTES_RECEIVED,  /* payload */
	METER_HOSTS_CONTACTED, /* distinct addresses */
	METER_PROCESSES_STARTED, /* forks that made a process, not threads */
	METER_PROGRAMS_STARTED,  /* successful execve */
	METER_DENIALS,           /* refusals that count for the breaker */
	METER_PACKETS_DROPPED,
	METER_COUNTER_COUNT
};

/* A posture is a set of refusals; the effective one is the union over run, agent, group and host.
 */
enum meter_posture {
	METER_NO_WRITE = 1,
	METER_NO_NETWORK = 2,
	METER_NO_EXEC = 4,
	METER_NO_FORK = 8,
	METER_FROZEN = 16, /* every hooked operation is refused */
	METER_DEAD = 32,   /* as frozen, and the caller is killed */
};
#define METER_OPEN 0
#define METER_READ_ONLY (METER_NO_WRITE | METER_NO_NETWORK)
#define METER_POSTURE_FROZEN (METER_READ_ONLY | METER_NO_EXEC | METER_NO_FORK | METER_FROZEN)
#define METER_POSTURE_DEAD (METER_POSTURE_FROZEN | METER_DEAD)

/* What a refusal means for the breakers. */
enum meter_class {
	METER_QUIET = 0, /* recorded, does not count */
	METER_DENIAL,    /* counts */
	METER_CANARY,    /* a canary was touched; counts as a denial too */
	METER_ESCAPE,    /* an attempt to escape; counts as a denial too */
};

/* One number a hook, in the order of hooks.def: in events and in the proof that each program fires.
 */
enum meter_hook {
	METER_HOOK_NONE = 0,
#define HOOK_LSM(lsm, security, need) METER_HOOK_##lsm,
#define HOOK_CGROUP(name, section) METER_HOOK_##name,
#define HOOK_PROBE(name, function, need) METER_HOOK_##name,
#include "hooks.def"
#undef HOOK_LSM
#undef HOOK_CGROUP
#undef HOOK_PROBE
	METER_HOOK_COUNT
};
#define METER_HOOK_WORDS 2

/* The last refusals that a breaker waits for: CLOCK_BOOTTIME, a ring. */
struct meter_window {
	__u64 next;
	__u64 time_ns[METER_DENIALS_KEPT];
};

struct meter_windows {
	struct meter_window of[METER_BREAKERS];
};

/* The kernel writes, user space maps it read-only. */
struct meter_account {
	__u64 value[METER_COUNTERS];   /* saturating; what happened */
	__u64 refused[METER_COUNTERS]; /* what was asked for beyond the cap */
	__u64 sequence[2];             /* events made, by ring */
	__u64 lost[2];                 /* of those, not delivered */
	__u64 untracked; /* files or hosts beyond the run's memory of distinct ones: each charged
			    every time */
	__u32 fired[METER_COUNTERS]; /* bit i: threshold i was reported; bit METER_STEPS: the cap */
	__u32 tripped;               /* bit i: breaker i tripped once */
	__u32 reserved;
};

/* Both write, with atomic operations only. */
struct meter_control {
	__u32 posture; /* METER_NO_WRITE … */
	__u32 owner;   /* not 0: taken; which process did is for user space */
};

/* An id is for user space: the events of a cap, a step or a breaker carry it. */
struct meter_cap {
	__u64 limit;   /* the last value that is still allowed, <= METER_UNLIMITED */
	__u32 posture; /* added to the account's when it refuses for the first time */
	__u32 id;
};

struct meter_step {
	__u64 at;      /* reached when value + refused arrives here; 0 = unused */
	__u32 posture; /* added to the account's, once */
	__u32 id;
};

/* So many refusals of a class in a window that ends with each of them. */
struct meter_breaker {
	__u64 within_ns; /* 0 = ever */
	__u32 count;     /* 0 = no breaker; <= METER_DENIALS_KEPT */
	__u32 class;     /* METER_DENIAL counts canaries and attempts to escape too */
	__u32 posture;   /* added to the account's each time it trips */
	__u32 id;
};

/* User space writes. */
struct meter_limits {
	struct meter_cap cap[METER_COUNTERS];
	struct meter_step step[METER_COUNTERS][METER_STEPS];
	struct meter_breaker breaker[METER_BREAKERS];
};

enum meter_run_flag {
	METER_RUN_LIVE = 1,
	METER_RUN_PROOF = 2,         /* the load-time canary: hooks record that they fired */
	METER_RUN_ACTIVITY = 4,      /* allowed effects are reported too */
	METER_RUN_LOOPBACK_FREE = 8, /* own network namespace: loopback is the run's own talk */
	METER_RUN_NO_ANON_EXEC = 16, /* no executable memory without a file */
};

struct meter_run {
	__u64 run_id;     /* never reused */
	__u64 cgroup_id;  /* of the run's cgroup on the unified hierarchy */
	__u32 generation; /* of the slot; a task with another one is refused everything */
	__u32 flags;
	__u32 account[METER_LEVELS]; /* 0 = no such level */
	__u32 scope;
	__u32 orphan_posture; /* added while the supervisor's heartbeat is older than
				 orphan_after_ns */
	__u32 reserved;
	__u64 orphan_after_ns;
};

struct meter_host {
	__u32 magic;
	__u32 abi;
	__u64 heartbeat_ns; /* CLOCK_MONOTONIC at the supervisor's last sign of life */
	__u64 overflow;     /* task or run state that could not be made: each was refused */
	__u32 next_domain;  /* of anchors: user space takes the next one with an atomic add */
	__u32 reserved;
	__u64 attached[METER_HOOK_WORDS]; /* bit i: the program of hook i was attached when these
					     maps were last loaded for */
	__u32 scope_owner[METER_SCOPES];  /* not 0: taken; which process did is for user space */
};

/* An agent or group; user space keeps its account here, across runs and restarts. */
struct meter_identity {
	__u8 bytes[16];
};

/* Identity of a task, in task storage. */
struct meter_task {
	__u64 run_id;
	__u32 slot;
	__u32 generation;
};

/* A file or host that was counted already, in the run's own set. */
enum meter_seen_kind {
	METER_SEEN_FILE = 1,
	METER_SEEN_HOST = 2,
};
/* Bits of the value. */
#define SEEN_COUNTED 1U
#define SEEN_CREATED 2U    /* the run made this file itself */
#define SEEN_PENDING 4U    /* the operation that put it here has not ended */
#define SEEN_SHARED 8U     /* another operation relied on it meanwhile: it stays */
#define SEEN_WITHDRAWN 16U /* the operation failed: about to go */

struct meter_seen_key {
	__u32 kind;
	__u32 generation; /* i_generation */
	__u64 high;       /* inode number, or the address' first half */
	__u64 low;        /* s_dev, or the address' second half */
};

/* ---- rules ---- */

enum meter_right {
	METER_RIGHT_READ = 1,
	METER_RIGHT_WRITE = 2,
	METER_RIGHT_EXEC = 4,
	METER_RIGHT_MAP_EXEC = 8, /* executable mapping: libraries */
	METER_RIGHT_CONNECT = 16, /* unix socket */
	METER_RIGHT_SCRATCH = 64, /* private to the run: what happens here is not counted */
	/* Marks: nobody asks for them, they say what a place is. */
	METER_RIGHT_CANARY = 128,    /* whoever comes here touches a canary */
	METER_RIGHT_PROTECTED = 256, /* never WRITE, also where the same inode is elsewhere */
};
#define METER_RIGHT_MARKS (METER_RIGHT_CANARY | METER_RIGHT_PROTECTED)

#define METER_NAME_WORDS 4
/* components of all patterns of a scope together */
#define METER_NAME_BITS (64 * METER_NAME_WORDS)
#define METER_GLOB_WORDS 2
/* characters of all globs of a scope together */
#define METER_GLOB_STATES (64 * METER_GLOB_WORDS)
#define METER_GLOBS 32
#define METER_DEPTH 64        /* components between an object and its anchor; deeper is refused */
#define METER_LIVE_MATCHES 16 /* components on one path that occur in patterns; more is refused */
#define METER_NAME_BYTES 256

struct meter_bits {
	__u64 word[METER_NAME_WORDS];
};

/* An anchored inode belongs to a domain; what a scope may do there. */
struct meter_anchor {
	__u32 domain;
	__u32 reserved;
};

/* What the programs call an inode that is held open: where it is. */
struct meter_open_inode {
	__u64 inode;
	__u32 fd;
	__u32 reserved;
};

struct meter_right_key {
	__u32 scope;
	__u32 domain;
};

struct meter_right_value {
	__u32 rights;
	__u32 rule; /* index into Plan.rules */
	struct meter_bits
		live; /* pattern components that may match the next component beneath this anchor */
};

struct meter_name_key {
	__u64 hash; /* meter_name_hash() */
	__u32 scope;
	__u32 length;
};

struct meter_glob {
	struct meter_bits bits;
	__u32 accept; /* state */
	__u32 reserved;
};

/* Patterns by component: bit i is one component of one pattern; the next component of the same
 * pattern is bit i + 1. A "**" has a bit too, in any_depth. */
struct meter_scope {
	struct meter_bits any_depth; /* bits that are "**" */
	struct meter_bits final;     /* last component of its pattern */
	struct meter_bits no_read;   /* of those: refuses reading */
	struct meter_bits no_write;
	struct meter_bits canary;
	__u64 length_mask[4]; /* lengths of names that can match anything */
	__u64 families;       /* bit AF_x: socket(AF_x) is allowed */
	__u32 pattern_count;  /* 0 = names are not looked at */
	__u32 glob_count;
	__u32 socket_types;  /* bit SOCK_x of inet sockets */
	__u32 network_rules; /* 0 = no address is allowed */
	__u64 glob_start[METER_GLOB_WORDS];
	__u64 glob_loop[METER_GLOB_WORDS];
	struct meter_glob glob[METER_GLOBS];
	__u32 glob_first[256]; /* globs that a name with this first byte can match */
	__u32 glob_last[256];
	__u64 glob_accepts[256][METER_GLOB_WORDS]; /* states entered by this byte */
	__u16 rule_of_bit[METER_NAME_BITS];
};

enum meter_direction {
	METER_NET_CONNECT = 0,
	METER_NET_LISTEN = 1,
};

#define METER_NET_RANGES 16
#define METER_NET_ANY_PROTOCOL 0

/* Longest prefix wins; the compiler of rules has put everything that covers a prefix into its
 * entry. */
struct meter_net_key {
	__u32 prefix_bits; /* 64 + bits of the address */
	__u32 scope;       /* big-endian, as the address: tries compare from the first bit */
	__u32 direction;   /* big-endian */
	__u8 address[16];  /* IPv4 as ::ffff:a.b.c.d */
};

struct meter_net_range {
	__u16 first; /* ports, host order, inclusive */
	__u16 last;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, 0 = both */
	__u8 allow;
	__u16 rule;
};

struct meter_net_value {
	__u32 count;
	__u32 reserved;
	struct meter_net_range range[METER_NET_RANGES]; /* first match wins */
};

/* ---- events ---- */

enum meter_ring_kind {
	METER_RING_VERDICTS = 0, /* denials, trips, posture changes */
	METER_RING_ACTIVITY = 1,
};

enum meter_event_kind {
	METER_EVENT_DENIAL = 1, /* an operation was refused */
	METER_EVENT_CAP,        /* a cap refused for the first time; value = what was asked for */
	METER_EVENT_STEP,       /* a threshold was reached */
	METER_EVENT_BREAKER,    /* a breaker tripped; value = refusals so far, limit = its count */
	METER_EVENT_POSTURE,    /* an operation was refused because of the posture */
	METER_EVENT_ACTIVITY,   /* an operation was let through */
};

#define METER_EVENT_TEXT 512 /* components, leaf first, each NUL-terminated */
#define METER_EVENT_SHORT_TEXT 128

struct meter_event {
	__u64 sequence; /* of the run's account, from 1, without a gap where nothing was lost */
	__u64 time_ns;  /* CLOCK_BOOTTIME */
	__u64 run_id;
	__u32 account; /* who the event belongs to: the run, or the level that tripped */
	__u32 slot;
	__u16 kind;    /* enum meter_event_kind */
	__u16 hook;    /* enum meter_hook */
	__u16 class;   /* enum meter_class */
	__u16 counter; /* enum meter_counter, of CAP and STEP */
	__u32 rule;    /* index into Plan.rules; 0 = berm's own */
	__s32 result;  /* what the caller was told: 0 or negative errno */
	__u64 value;
	__u64 limit;
	__u32 posture; /* effective, after this event */
	__u32 id;      /* of the cap, step or breaker */
	__u32 pid;     /* thread group, in the initial pid namespace */
	__u32 tid;
	__u64 device; /* kernel's s_dev */
	__u64 inode;
	__u8 address[16]; /* network */
	__u16 port;
	__u16 protocol;
	__u32 text_bytes;
	char command[16]; /* comm of the task */
};

struct meter_long_event {
	struct meter_event head;
	char text[METER_EVENT_TEXT];
};

struct meter_short_event {
	struct meter_event head;
	char text[METER_EVENT_SHORT_TEXT];
};

/* The hash of one component: FNV-1a over bytes would be simple but slow in the kernel; this takes
 * eight bytes a step of the name padded with zeros. A collision can only refuse too much, never too
 * little. */
#define METER_HASH_SEED 0x9e3779b97f4a7c15ULL
#define METER_HASH_FACTOR 0xff51afd7ed558ccdULL
#define METER_LITERAL_BYTES 64 /* longest literal component of a pattern, padding included */

static inline __u64 meter_hash_step(__u64 hash, __u64 eight_bytes)
{
	hash = (hash ^ eight_bytes) * METER_HASH_FACTOR;
	return hash ^ (hash >> 32);
}

#ifndef METER_ASSERT
#define METER_ASSERT(expression) _Static_assert(expression, #expression)
#endif
METER_ASSERT(sizeof(struct meter_account) == 32 * 8 + 4 * 8 + 8 + 16 * 4 + 8);
METER_ASSERT(sizeof(struct meter_control) == 8);
METER_ASSERT(sizeof(struct meter_limits) == 16 * 16 + 16 * 4 * 16 + 4 * 24);
METER_ASSERT(sizeof(struct meter_run) == 56);
METER_ASSERT(sizeof(struct meter_task) == 16);
METER_ASSERT(sizeof(struct meter_seen_key) == 24);
METER_ASSERT(sizeof(struct meter_right_value) == 40);
METER_ASSERT(sizeof(struct meter_name_key) == 16);
METER_ASSERT(sizeof(struct meter_net_key) == 28);
METER_ASSERT(sizeof(struct meter_net_value) == 8 + 16 * 8);
METER_ASSERT(sizeof(struct meter_event) == 136);
METER_ASSERT(sizeof(struct meter_open_inode) == 16);
METER_ASSERT(METER_HOOK_COUNT <= 64 * METER_HOOK_WORDS);
METER_ASSERT(METER_COUNTER_COUNT <= METER_COUNTERS);
