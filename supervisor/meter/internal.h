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
	X(windows)                                                                                 \
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

/* Iterators: what the kernel is asked for. */
enum meter_list { METER_LIST_INODES, METER_LIST_TASKS, METER_LIST_COUNT };

struct meter {
	enum meter_make make;
	bool adopted;
	int pins_fd;                   /* the pin directory, for its lock; -1 = nothing is pinned */
	int list_fd[METER_LIST_COUNT]; /* -1 = of no use in this make */
	int map_fd[METER_MAP_COUNT];   /* -1 = not there */
	int link_fd[METER_LINKS_MAX];
	uint32_t hook[METER_LINKS_MAX]; /* enum meter_hook */
	size_t link_count;
	/* Shared memory with the kernel. */
	const struct meter_account *accounts; /* METER_ACCOUNTS, read-only */
	struct meter_control *controls;       /* METER_ACCOUNTS */
	struct meter_host *host;
	const uint64_t *fired; /* METER_HOOK_COUNT, read-only */
};

extern const char *const meter_map_name[METER_MAP_COUNT];
/* Where the links of this build are pinned, with a suffix. */
void meter_links_path(const char *directory, enum meter_make make, const char *suffix, char *path,
	size_t capacity);
/* Take over what is pinned. -ESTALE without an error text: not there, of another build, or not
 * complete. */
int meter_adopt(struct meter *m, const char *directory, struct error *err) must_check;
int meter_pin_lists(const struct meter *m, const char *links, struct error *err) must_check;

/* The open inodes of this process, as the fmod_ret make's programs call them. */
struct inode_list {
	struct meter_open_inode *items; /* owned */
	size_t count;
};
/* Nothing in the other makes. */
int inodes_read(
	const struct meter *meter, struct inode_list *ret_list, struct error *err) must_check;
/* 0 = no such descriptor. */
uint64_t inodes_find(const struct inode_list *list, int fd);
void inodes_finish(struct inode_list *list);
/* Identities of all tasks that are in a run; *ret_tasks is the caller's to free. */
int tasks_read(const struct meter *meter, struct meter_task **ret_tasks, size_t *ret_count,
	struct error *err) must_check;

/* A new descriptor of the program of a link, or -1. */
int meter_program_of(int link_fd);

/* A hook's name as in hooks.def. */
const char *meter_hook_name(uint32_t hook);
