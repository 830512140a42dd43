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

struct meter_note_link {
	uint32_t hook; /* enum meter_hook */
	uint32_t link_id;
	uint32_t program_id; /* names one program for as long as it is loaded */
	uint8_t tag[8];
};

/* Beside the pinned links; see note.h. */
struct meter_note {
	uint32_t magic;
	uint32_t bytes;  /* of this struct */
	uint32_t proved; /* these links were seen to run */
	uint32_t link_count;
	uint64_t cgroup_id; /* that the cgroup programs are attached to; 0 = there are none */
	uint64_t pid_namespace;
	uint32_t map_id[METER_MAP_COUNT]; /* 0 = not there */
	uint32_t list_id[METER_LIST_COUNT];
	struct meter_note_link link[METER_LINKS_MAX];
	char why[512]; /* what the host lacks for a stronger make; "" = nothing */
};

#define METER_WINDOWS 8

/* The pages of one account: to share all of them takes the kernel a tenth of a millisecond. */
struct account_window {
	const void *memory; /* NULL = free */
	size_t bytes;
	uint32_t account;
};

struct meter {
	enum meter_make make;
	bool adopted;
	int pins_fd;          /* the pin directory, for its lock; -1 = nothing is pinned */
	char *pins;           /* its path */
	char links[128];      /* in it: the directory of the links that are held */
	uint64_t links_inode; /* of that directory; 0 = not there */
	int hierarchy_fd;     /* meter_options.cgroup_fd; -1 = there is none */
	int note_fd;          /* -1 = nothing is pinned */
	struct meter_note note;
	int list_fd[METER_LIST_COUNT]; /* -1 = of no use in this make */
	int map_fd[METER_MAP_COUNT];   /* -1 = not there */
	int link_fd[METER_LINKS_MAX];
	uint32_t hook[METER_LINKS_MAX]; /* enum meter_hook */
	size_t link_count;
	/* Shared memory with the kernel. */
	struct account_window window[METER_WINDOWS];
	struct meter_account looked;    /* what meter_look() gives where no window is free */
	struct meter_control *controls; /* METER_ACCOUNTS */
	struct meter_host *host;
	const uint64_t *fired; /* METER_HOOK_COUNT, read-only */
};

extern const char *const meter_map_name[METER_MAP_COUNT];
/* The inode of a directory of links in the pin directory, 0 where it is not there. What was put in
 * its place has another one, whatever its name: bpffs gives each its own (bpf_get_inode() in
 * kernel/bpf/inode.c). */
uint64_t meter_links_inode(const struct meter *meter, const char *links);
/* Where the links of this build are pinned, with a suffix. */
void meter_links_path(const char *directory, enum meter_make make, const char *suffix, char *path,
	size_t capacity);
/* Take over what is pinned. Without an error text: -ESTALE not there, of another build, or not
 * complete; -EXDEV not for this process. */
int meter_adopt(struct meter *m, const struct meter_options *options) must_check;
/* Open the links of m->note below a directory; false where one is not as noted down. */
bool adopt_links(struct meter *m, const char *links);
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

/* The maps that a slot has for itself: made, or those of an earlier run, emptied. */
int slot_maps_give(struct meter *m, const struct meter_run_request *request, uint32_t slot,
	struct error *err) must_check;
/* The run is over: what the next one in this slot can use stays where the meter is pinned. */
void slot_maps_take(struct meter *m, uint32_t slot);
/* For the first runs after loading. */
int slot_maps_prepare(struct meter *m, struct error *err) must_check;

/* A new descriptor of the program of a link, or -1. */
int meter_program_of(int link_fd);

/* A hook's name as in hooks.def. */
const char *meter_hook_name(uint32_t hook);
