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
	int inodes_fd;                   /* program list_inodes; -1 where it is not needed */
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

/* The open inodes of this process, as the fmod_ret make's programs call them. */
struct inode_list {
	struct meter_open_inode *items; /* owned */
	size_t count;
};
int inodes_read(
	const struct meter *meter, struct inode_list *ret_list, struct error *err) must_check;
/* 0 = no such descriptor. */
uint64_t inodes_find(const struct inode_list *list, int fd);
void inodes_finish(struct inode_list *list);

/* A hook's name as in hooks.def. */
const char *meter_hook_name(uint32_t hook);
