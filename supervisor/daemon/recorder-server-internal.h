/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon/recorder-server.h"
#include "daemon/recorder-wire.h"
#include "daemon/run-id.h"

/* What the two halves of the recorder's server share: connections, and what is asked on them. */

struct client {
	int fd; /* owned; -1: free */
	struct record_run *run;
	char run_id[RUN_ID_LENGTH + 1];
	uint64_t since_ns;  /* boot time when it came */
	uint64_t number;    /* of the last record that it told */
	uint64_t committed; /* all up to this one is on the disk */
	uint64_t durable;   /* up to here it was told that all is on the disk */
	bool begun;         /* it said which run it is */
	bool is_act;        /* no run: no receipt will come */
	bool has_end;       /* the run's receipt has come */
	bool ended;         /* it said that this was all */
	bool waits;         /* for its acknowledgement */
	bool writable;      /* an answer did not fit: asked to be told when it does */
};

struct recorder_server {
	struct recorder_server_options options;
	int epoll_fd, timer_fd;
	struct client *clients; /* RECORDER_CLIENTS_MAX */
	unsigned count, highest;
	uint8_t *packet;                 /* RECORDER_PACKET_MAX + 1 */
	struct recorder_request request; /* the one that is in it */
	uint64_t armed_ns, idle_since_ns;
	bool close_asked;
};

/* One request of a client, its parts in order. An error is the client's end; its words are for it.
 */
int server_take(struct recorder_server *server, struct client *client,
	const struct recorder_request *told, struct error *err) must_check;
/* The client's run is over; without a receipt the log says so in its place. */
void server_end_run(struct recorder_server *server, struct client *client);
/* False where the client cannot take it now, or is gone. */
bool server_answer(const struct client *client, const struct recorder_reply *reply);
