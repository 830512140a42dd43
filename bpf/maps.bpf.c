// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

struct meter_tasks_map tasks SEC(".maps");
struct meter_works_map works SEC(".maps");
struct meter_runs_map runs SEC(".maps");
struct meter_accounts_map accounts SEC(".maps");
struct meter_controls_map controls SEC(".maps");
struct meter_limits_map limits SEC(".maps");
struct meter_windows_map windows SEC(".maps");
struct meter_host_map host SEC(".maps");
struct meter_fired_map fired SEC(".maps");
struct meter_seen_map seen SEC(".maps");
struct meter_anchors_map anchors SEC(".maps");
struct meter_numbered_map numbered SEC(".maps");
struct meter_rights_map rights SEC(".maps");
struct meter_names_map names SEC(".maps");
struct meter_scopes_map scopes SEC(".maps");
struct meter_identities_map identities SEC(".maps");
struct meter_cgroups_map cgroups SEC(".maps");
struct meter_networks_map networks SEC(".maps");
struct meter_sockets_map sockets SEC(".maps");
struct meter_rings_map verdicts SEC(".maps");
struct meter_rings_map activity SEC(".maps");

/* Set before loading where the fmod_ret twins are used: they have no inode storage. */
const volatile __u32 anchors_by_number = 0;

/* Set before loading for kernels until 6.4. */
const volatile __u32 splices_ask_twice = 0;

/* bpf_task_storage, bpf_send_signal and most of the rest are GPL-only helpers. */
char _license[] SEC("license") = "Dual BSD/GPL";
