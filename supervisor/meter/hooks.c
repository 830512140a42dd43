/* SPDX-License-Identifier: Apache-2.0 */
#include "meter/hooks.h"

#include "meter/internal.h"

/* clang-format off */
const struct hook hook_table[METER_HOOK_COUNT] = {
#define HOOK_LSM(lsm, security, need)                                                              \
	[METER_HOOK_##lsm] = {#lsm, "security_" #security, HOOK_KIND_LSM, need},
#define HOOK_PROBE(probe, kernel_function, need)                                                   \
	[METER_HOOK_##probe] = {#probe, #kernel_function, HOOK_KIND_PROBE, need},
#define HOOK_CGROUP(program, section)                                                              \
	[METER_HOOK_##program] = {#program, section, HOOK_KIND_CGROUP, 1},
#include "bpf/hooks.def"
#undef HOOK_LSM
#undef HOOK_PROBE
#undef HOOK_CGROUP
};
/* clang-format on */

const char *meter_hook_name(uint32_t hook)
{
	return hook > 0 && hook < METER_HOOK_COUNT ? hook_table[hook].name : "none";
}

const char *meter_make_name(enum meter_make make)
{
	switch (make) {
	case METER_MAKE_AUTO:
		return "auto";
	case METER_MAKE_LSM:
		return "bpf-lsm";
	case METER_MAKE_FMOD_RET:
		return "bpf-fmod_ret";
	case METER_MAKE_NETWORK:
		return "bpf-cgroup";
	case METER_MAKE_COUNT:
		break;
	}
	return "none";
}
