/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Features of the host that only trying can prove: a string in /sys or a kernel version says little
 * where a sandbox around us, lockdown or an LSM refuses. Each trial happens in a child process and
 * leaves nothing behind. */
enum probe_feature {
	PROBE_LANDLOCK,          /* a ruleset really refuses to open a file */
	PROBE_SECCOMP,           /* a filter can be installed without privilege */
	PROBE_NOTIFY,            /* a filter with a user notification listener can be installed */
	PROBE_USER_NAMESPACE,    /* a user namespace can be made, with capabilities inside */
	PROBE_NETWORK_NAMESPACE, /* a network namespace too */
	PROBE_ID_MAP,            /* the file system of "/" can be id-mapped by this process */
	PROBE_BPF_LSM,           /* a BPF program of the LSM kind loads */
	PROBE_OVERLAY,           /* an overlay can be mounted in a user namespace */
	PROBE_COUNT
};

/* Try one feature: 0 when it works, else the negative errno that stopped it. */
int probe_feature(enum probe_feature feature);

/* The quick form for the start of a run: some microseconds. True where namespaces can be made by
 * this process. */
int probe_namespaces_quickly(int clone_flags);

/* Highest Landlock ABI, 0 where there is none (landlock_create_ruleset(2)). */
int probe_landlock_abi(void);

/* True where the kernel has seccomp user notification and no filter around us has a listener
 * already, as far as can be told without trying. */
int probe_notify_quickly(void);
