/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bpf/abi.h"

enum hook_kind {
	HOOK_KIND_LSM,
	HOOK_KIND_PROBE,
	HOOK_KIND_CGROUP,
};

/* One row of bpf/hooks.def. */
struct hook {
	const char *name;     /* programs are called lsm_NAME and mod_NAME, probe_NAME, or NAME */
	const char *function; /* kernel function of a probe and of the fmod_ret twin (with security_
				 before it) */
	enum hook_kind kind;
	int required;
};

/* Indexed by enum meter_hook. */
extern const struct hook hook_table[METER_HOOK_COUNT];
