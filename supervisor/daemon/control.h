/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "wire/control.pb-c.h"
#include "wire/strict.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What may be asked of a run that lasts, and who may ask: the server inside of berm run, and the
 * other end for the verbs. One packet is one message. */

#define CONTROL_VERSION 1
#define CONTROL_REQUEST_MAX 256 /* bytes of one request */
#define CONTROL_REPLY_MAX 65536
#define CONTROL_CLIENTS_MAX 8 /* at once; one more and the oldest is dropped */
/* What a status tells at most, so that it always fits into a reply. */
#define CONTROL_DENIALS_MAX 16
#define CONTROL_TRIPS_MAX 16
#define CONTROL_WORDS_MAX 16
#define CONTROL_RULES_MAX 64
#define CONTROL_TEXT_MAX 256 /* bytes of one string */
/* What anybody's packet may be: more than there is of rows, and fields of a later berm. */
#define CONTROL_BOUNDS ((struct message_bounds){.repeated = 1024, .may_grow = true})

/* What the run does when it is asked. */
struct control_actions {
	void *context;
	/* Fill an empty status; strings and arrays are allocated. -ENOMEM or 0. */
	int (*status)(void *context, Berm__Wire__RunStatus *status);
	/* posture: one of those that a person may set (control_postures). */
	int (*posture)(void *context, unsigned posture, struct error *err);
};

struct control_client {
	int fd; /* owned; -1: free */
	uint64_t order;
};

/* The server of one run. It never waits: whoever does not take its answer at once is dropped. */
struct control {
	int epoll_fd;  /* owned; readable when there is something to do; -1: not open */
	int listen_fd; /* borrowed */
	uid_t owner;   /* may ask, as root may */
	ino_t own_namespace;
	const struct control_actions *actions;
	struct control_client clients[CONTROL_CLIENTS_MAX];
	uint64_t order;
	struct ucred asker; /* of the request that is being answered; pid 0: nobody's */
};

#define ASKER_BYTES 64
/* Who asks, as "uid 1000, pid 4711"; for the calls of actions. */
void control_asker(const struct control *control, char ret_words[ASKER_BYTES]);

/* listen_fd: of runs_enter(); actions: borrowed until control_close(). */
int control_open(struct control *control, int listen_fd, uid_t owner,
	const struct control_actions *actions, struct error *err) must_check;
/* Take what is there: new clients, and one request of each. */
void control_handle(struct control *control);
void control_close(struct control *control);

/* One request as it came and its packed answer in a new buffer (caller frees); 0 bytes: nothing to
 * answer with, since memory ran out. Whatever the bytes are, there is an answer. */
size_t control_answer(const struct control_actions *actions, const uint8_t *request, size_t length,
	uint8_t **ret_reply);

/* True where a person may set that posture: "open", "read-only" and "frozen". */
bool control_posture_is_known(unsigned posture);
/* The same by its word; false where it is none. */
bool control_posture_parse(const char *word, unsigned *ret_posture);

/* The verbs' end. Ask the run behind a connected socket (runs_connect()); its status in
 * *ret_status, released with berm__wire__run_status__free_unpacked(). Every string is bounded, and
 * everything else is what the other end says. Errors: as the run says, kind REFUSED; -ETIMEDOUT
 * where it says nothing for five seconds. */
int control_ask(int fd, const Berm__Wire__ControlRequest *request,
	Berm__Wire__RunStatus **ret_status, struct error *err) must_check;
/* The two halves of it, for asking many at once; wait_ms: for the answer. -ETIMEDOUT. */
int control_ask_begin(
	int fd, const Berm__Wire__ControlRequest *request, struct error *err) must_check;
int control_ask_end(
	int fd, unsigned wait_ms, Berm__Wire__RunStatus **ret_status, struct error *err) must_check;
/* The answer in a packet. */
int control_read_reply(const uint8_t *packet, size_t length, Berm__Wire__RunStatus **ret_status,
	struct error *err) must_check;

/* A copy of at most CONTROL_TEXT_MAX bytes for a field; empty where memory ran out. */
ProtobufCBinaryData control_bytes(const char *text);
