/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "record/recorder.h"

#include <stdbool.h>
#include <sys/types.h>

/* The recorder as others see it: takes the records of any number of runs, each on a connection of
 * its own, and brings them to the disk together. Waits for nobody: who does not take an answer, or
 * says what makes no sense, is dropped, and costs only itself. */

#define RECORDER_CLIENTS_MAX RECORD_RUNS_MAX
/* Whoever connects says so soon which run it is. */
#define RECORDER_SILENT_MS 10000
/* Packets of one client at a time, before the next one's. */
#define RECORDER_TURN_PACKETS 16

struct recorder_server;

struct recorder_server_options {
	struct recorder *recorder; /* borrowed */
	int listen_fd;             /* borrowed: SOCK_SEQPACKET, not blocking; -1: none */
	unsigned places;           /* clients at once; 0: RECORDER_CLIENTS_MAX, which is the most */
	uid_t owner;               /* may connect, as root may; never a process inside of a run */
};

int recorder_server_create(const struct recorder_server_options *options,
	struct recorder_server **ret_server, struct error *err) must_check;
/* Clients are dropped; what they told stays in the queue. NULL is fine. */
void recorder_server_destroy(struct recorder_server *server);

/* A connected socket of a client that is known to be allowed. Takes *fd on success. */
int recorder_server_add(struct recorder_server *server, int *fd, struct error *err) must_check;
/* Readable when there is something to do. */
int recorder_server_fd(const struct recorder_server *server);
/* Take what is there, a turn of each client, and commit what is due; at once where somebody waits.
 * An error means that the recorder has failed: everybody was told, last words are in the log where
 * there was room, and only recorder_server_destroy() is left. */
int recorder_server_handle(struct recorder_server *server, struct error *err) must_check;
/* Seal what is on the disk, which tells of an anchor that fails or works again. Errors as above. */
int recorder_server_seal(struct recorder_server *server, struct error *err) must_check;
/* Tell everybody why nothing more is taken. */
void recorder_server_refuse(struct recorder_server *server, const struct error *why);

unsigned recorder_server_clients(const struct recorder_server *server);
/* Boot time in ns since when there was no client. */
uint64_t recorder_server_idle_since_ns(const struct recorder_server *server);
/* Somebody asked for the recorder's end, and nobody is there any more. */
bool recorder_server_is_to_close(const struct recorder_server *server);
