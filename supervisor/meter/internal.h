/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "meter/meter.h"

#include <bpf/bpf.h>

/* Every map, once: bpf.c loads or adopts them by name, the rest of the layer uses the descriptors.
 */
#define METER_MAPS(X)                                                                              \
	X(tasks)                                                                                   \
	X(works)                                                                                   \
	X(runs)                                                                                    \
	X(accounts)                                                                                \
	X(controls)                                                                                \
	X(limits)                                                                                  \
	X(host)                                                                                    \
	X(fired)                                                                                   \
	X(seen)                                                                                    \
	X(anchors)                                                                                 \
	X(numbered)                                                                                \
	X(rights)                                                                                  \
	X(names)                                                                                   \
	X(scopes)                                                                                  \
	X(identities)                                                                              \
	X(cgroups)                                                                                 \
	X(networks)                                                                                \
	X(sockets)                                                                                 \
	X(verdicts)                                                                                \
	X(activity)

enum meter_map {
#define X(name) METER_MAP_##name,
	METER_MAPS(X)
#undef X
		METER_MAP_COUNT
};

#define METER_LINKS_MAX 128

struct meter {
	enum meter_make make;
	bool adopted;
	int map_fd[METER_MAP_COUNT];     /* -1 = not there */
	int program_fd[METER_LINKS_MAX]; /* of each link */
	int link_fd[METER_LINKS_MAX];
	uint32_t hook[METER_LINKS_MAX]; /* enum meter_hook */
	size_t link_count;
	/* Shared memory with the kernel. */
	const struct meter_account *accounts; /* METER_ACCOUNTS, read-only */
	struct meter_control *controls;       /* METER_ACCOUNTS */
	struct meter_host *host;
	const uint64_t *fired; /* METER_HOOK_COUNT, read-only */
};

/* A hook's name as in hooks.def. */
const char *meter_hook_name(uint32_t hook);
