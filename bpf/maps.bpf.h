/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* The maps, declared for every file and defined in maps.bpf.c. Include after vmlinux.h and
 * bpf_helpers.h. */

#include "abi.h"
#include "work.bpf.h"

struct meter_tasks_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct meter_task);
};

struct meter_works_map {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct work);
};

struct meter_runs_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_RUNS);
	__type(key, __u32);
	__type(value, struct meter_run);
};

/* Counters are read by user space through mmap(2), without a system call. */
struct meter_accounts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct meter_account);
};

/* One store here changes what running processes may do. */
struct meter_controls_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct meter_control);
};

struct meter_limits_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct meter_limits);
};

struct meter_windows_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_ACCOUNTS);
	__type(key, __u32);
	__type(value, struct meter_windows);
};

struct meter_host_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_host);
};

struct meter_fired_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, METER_HOOK_COUNT);
	__type(key, __u32);
	__type(value, __u64);
};

/* One set a run, made by user space: its size is the run's memory of distinct files and hosts, and
 * it goes with the run. A full set means that more is charged, never less. */
struct meter_seen_set {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct meter_seen_key);
	__type(value, __u32);
};

struct meter_seen_map {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, METER_RUNS);
	__type(key, __u32);
	__array(values, struct meter_seen_set);
};

struct meter_anchors_map {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct meter_anchor);
};

struct meter_numbered_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, METER_RULES);
	__type(key, __u64);
	__type(value, struct meter_anchor);
};

struct meter_rights_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, METER_RULES);
	__type(key, struct meter_right_key);
	__type(value, struct meter_right_value);
};

struct meter_names_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, METER_RULES);
	__type(key, struct meter_name_key);
	__type(value, struct meter_bits);
};

struct meter_scopes_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, METER_SCOPES);
	__type(key, __u32);
	__type(value, struct meter_scope);
};

struct meter_identities_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METER_ACCOUNTS - METER_RUNS);
	__type(key, struct meter_identity);
	__type(value, __u32);
};

/* cgroup id -> slot, for the network programs and for the second look at tasks without identity. */
struct meter_cgroups_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METER_RUNS);
	__type(key, __u64);
	__type(value, __u32);
};

struct meter_networks_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, METER_RULES);
	__type(key, struct meter_net_key);
	__type(value, struct meter_net_value);
};

struct meter_sockets_map {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
};

/* Two rings a run, made by user space: the owner of a run reads its events, nobody else's. */
struct meter_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct meter_rings_map {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, METER_RUNS);
	__type(key, __u32);
	__array(values, struct meter_ring);
};

extern struct meter_tasks_map tasks SEC(".maps");
extern struct meter_works_map works SEC(".maps");
extern struct meter_runs_map runs SEC(".maps");
extern struct meter_accounts_map accounts SEC(".maps");
extern struct meter_controls_map controls SEC(".maps");
extern struct meter_limits_map limits SEC(".maps");
extern struct meter_windows_map windows SEC(".maps");
extern struct meter_host_map host SEC(".maps");
extern struct meter_fired_map fired SEC(".maps");
extern struct meter_seen_map seen SEC(".maps");
extern struct meter_anchors_map anchors SEC(".maps");
extern struct meter_numbered_map numbered SEC(".maps");
extern struct meter_rights_map rights SEC(".maps");
extern struct meter_names_map names SEC(".maps");
extern struct meter_scopes_map scopes SEC(".maps");
extern struct meter_identities_map identities SEC(".maps");
extern struct meter_cgroups_map cgroups SEC(".maps");
extern struct meter_networks_map networks SEC(".maps");
extern struct meter_sockets_map sockets SEC(".maps");
extern struct meter_rings_map verdicts SEC(".maps");
extern struct meter_rings_map activity SEC(".maps");
