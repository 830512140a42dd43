/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/recorder-client.h"
#include "daemon/recorder-wire.h"

/* One thing that was told: a record, or records that were lost. */
struct kept {
	struct kept *next;
	uint64_t number; /* of the record; of the first one that was lost */
	uint64_t count;  /* 1; how many were lost */
	enum record_ring ring;
	unsigned source; /* LOSS_…, 0: a record */
	size_t length;
	uint8_t bytes[]; /* the packed record */
};

struct recorder_client {
	struct recorder_client_options options;
	struct kept *first, *last; /* not acknowledged, in order; owned */
	struct kept *unsent;       /* one of these, from which on nothing was sent */
	size_t kept_bytes, kept_activity_bytes;
	uint64_t number; /* of the last one that was told */
	uint64_t durable;
	uint64_t lost;
	int fd;       /* owned; -1: not connected */
	int epoll_fd; /* owned: fd, wherever it leads */
	bool begin_sent, begun;
	bool ending, end_sent, close_too;
	bool wants_room; /* the socket was full */
	bool has_failed;
	unsigned restarts;
	struct error failure;
	uint8_t *packet; /* RECORDER_PACKET_MAX */
};

/* recorder-kept.c: what is kept until it is acknowledged. */
/* True where it was kept; else it counts as lost. */
bool kept_add(struct recorder_client *c, enum record_ring ring, const Berm__Wire__Record *record);
void kept_add_lost(
	struct recorder_client *c, enum record_ring ring, unsigned source, uint64_t count);
/* Everything up to that number is on the disk. */
void kept_release(struct recorder_client *c, uint64_t durable);
void kept_free(struct recorder_client *c);
/* The next packet of what was not sent: its length, and in *ret_next what follows it. 0: there is
 * nothing to say. */
size_t kept_next_packet(struct recorder_client *c, struct kept **ret_next);
