/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "govern/delegation.h"

#include <stdbool.h>
#include <sys/types.h>

/* Runs that the tool of a run starts through its door (apply/apply.h). Each is begun by a process
 * of its own, that this one forks before anything of what is asked was read: what narrows it is the
 * profile in memory, after all that ever narrowed it, and no list of that can be incomplete. It
 * reads the request itself, so that no descriptor of the tool's ever comes here. */

struct session;
struct run_entry;

/* What the new process knows of the run that it was asked for by. Lives as long as the process. */
struct delegation_origin {
	const struct session *from;
	struct delegation_chain chain; /* of the new run: its last hop is `from` */
	uint64_t left[COUNTER_COUNT];  /* of the caps of `from`, or DELEGATION_NOTHING */
	uint64_t wall_left_ms;         /* of its time limit; 0: none */
	unsigned posture;              /* POSTURE_… of `from` now */
	int link_fd;                   /* to the berm of `from`; SOCK_SEQPACKET */
	int client_fd;                 /* to the tool; SOCK_SEQPACKET */
	int init_fd;                   /* pidfd of the first process of `from`, or -1 */
};

/* From the berm of the run that delegates: what the run that it began may do no longer. */
struct delegation_posture {
	uint32_t posture;
};

/* The other way, once, when it is over. */
struct delegation_report {
	uint32_t rule;                   /* enum delegation_rule */
	char target[AGENT_NAME_MAX + 1]; /* what was asked for; "": it never came to that */
	uint64_t done[COUNTER_COUNT];
};

struct delegated {
	pid_t pid;                    /* 0: no such run */
	bool over;                    /* it said so, or died: it is reaped when there is time */
	int link_fd;                  /* owned */
	unsigned told;                /* posture */
	uint64_t held[COUNTER_COUNT]; /* of the caps of this run; 0: nothing */
};

/* Zero is no valid state: initialise with DELEGATIONS_NONE. */
struct delegations {
	struct session *session; /* NULL: this run delegates nothing */
	struct delegated runs[DELEGATIONS_AT_ONCE];
	uint64_t asked;
	uint64_t started_ms; /* CLOCK_BOOTTIME, for the time limit */
	int epoll_fd;        /* borrowed */
	int init_fd;         /* owned */
	/* A request was refused. */
	void (*refused)(struct session *session, enum delegation_rule rule, const char *target);
};
#define DELEGATIONS_NONE                                                                           \
	(struct delegations)                                                                       \
	{                                                                                          \
		.epoll_fd = -1, .init_fd = -1                                                      \
	}

/* True where the session's agent may delegate at all: without that its run has no door. */
bool delegations_are_allowed(const struct session *session);
/* Have epoll_fd be readable when there is something to look at. */
void delegations_begin(struct delegations *d, struct session *session, int epoll_fd);
/* The run has its first process. */
void delegations_enter(struct delegations *d, const struct run_entry *entry);
/* Begin a process for one request. Returns the tool's end of its connection (the caller's), or
 * -errno: -EAGAIN where enough of them last, -EPERM where there were enough. */
int delegations_door(struct delegations *d);
/* Take what they say, and tell them the posture of this run. */
void delegations_look(struct delegations *d);
/* Nothing of them is left afterwards; what they did is in session->delegated_done. */
void delegations_end(struct delegations *d);
