/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the supervisor knows. Private to supervisor*.c. */

#include "daemon/supervisor-closer.h"
#include "daemon/supervisor-peer.h"
#include "daemon/supervisor-place.h"
#include "daemon/supervisor-users.h"
#include "daemon/supervisor-wire.h"
#include "daemon/supervisor.h"

#include <stdint.h>
#include <sys/epoll.h>

/* A connection that has not asked yet. */
struct waiting {
	int fd; /* owned; -1: free */
	struct supervisor_peer peer;
	struct user *user;
	uint64_t deadline_ms; /* boot time */
};

/* A run that lasts. */
struct running {
	int fd;            /* owned: readable when it is over, or has a word to say; -1: free */
	struct user *user; /* NULL: of nobody who is counted */
	bool adopted;
};

struct supervisor {
	const struct supervisor_options *options;
	struct supervisor_place place;
	struct users users;
	struct waiting waiting[SUPERVISOR_PEERS_MAX];
	struct running running[SUPERVISOR_SESSIONS_MAX];
	int epoll_fd, signal_fd;
	int reserve_fd; /* given up to accept and refuse when descriptors run out */
	struct closer closer;
	bool upgrades;        /* it is to become the program that is on disk now */
	unsigned watchdog_ms; /* 0: nobody wants to know */
	uint64_t watched_ms;  /* when to say next that the loop turns */
	uint64_t refused;
	uint8_t packet[SUPERVISE_REQUEST_MAX];
};

uint64_t supervisor_now_ms(void);

/* ---- supervisor-sessions.c ---- */

/* Have a session do what the client asks for: it finds the request in the connection. Else kind
 * REFUSED or what went wrong, and nothing was started. */
int supervisor_begin(struct supervisor *s, struct waiting *client, struct error *err) must_check;
bool supervisor_is_operator(const struct supervisor_peer *peer);
/* Find what a supervisor before this one has started. */
void supervisor_adopt(struct supervisor *s);
/* The session in that place may be over. */
void supervisor_look(struct supervisor *s, unsigned place);
unsigned supervisor_running(const struct supervisor *s, bool adopted_only);
int supervisor_watch(const struct supervisor *s, int fd, uint64_t mark);

/* ---- supervisor.c ---- */

#define EVENTS_MAX 64
/* What a turn of the loop brings. False when it is time to end. */
bool supervisor_handle(struct supervisor *s, const struct epoll_event *events, int count);
/* Nobody waits for events of that client any more; a child closes the connection. */
void supervisor_drop(struct supervisor *s, struct waiting *client);

/* ---- supervisor-end.c ---- */

/* Serve who came in time, before this program ends. */
void supervisor_drain(struct supervisor *s);
/* Become the program that is on disk now, as the same process and the same supervisor. Returns
 * where that does not work; it goes on then, and nobody has lost anything. */
void supervisor_upgrade(struct supervisor *s);

/* Marks of the epoll set: what it is, and its place. */
#define MARK_LISTEN 0
#define MARK_SIGNAL 1
#define MARK_WAITING(place) (((uint64_t)1 << 32) | (place))
#define MARK_RUNNING(place) (((uint64_t)2 << 32) | (place))
