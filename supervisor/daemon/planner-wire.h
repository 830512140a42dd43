/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "policy/document.h"
#include "wire/planner.pb-c.h"

/* What goes between a session and its planner (daemon/planner.h): frames, and the one strict reader
 * of each message. A session believes nothing of what its planner says. */

#define PLANNER_VERSION 1
#define PLANNER_MESSAGE_MAX (32U << 20) /* bytes */
#define PLANNER_REPEATED_MAX 500000U /* elements of a message, those of what is in it with them */
#define PLANNER_DIAGNOSTICS_MAX (1U << 20)

/* Send one message, waiting no longer than until `until` (CLOCK_MONOTONIC, milliseconds; 0: for
 * ever). 0 or -errno: -ETIMEDOUT, -EPIPE … */
int planner_send(int fd, const ProtobufCMessage *message, size_t max, uint64_t until) must_check;
/* Receive the bytes of one (caller frees). 0; -EPIPE where the peer is gone, -EPROTO where it is of
 * no bytes or of more than max, -ETIMEDOUT. */
int planner_receive(
	int fd, size_t max, uint64_t until, uint8_t **ret_bytes, size_t *ret_length) must_check;
/* So many bytes that are no message. -errno as above. */
int planner_receive_bytes(int fd, void *data, size_t length, uint64_t until) must_check;
uint64_t planner_until(unsigned ms); /* in so many milliseconds */

/* The order in bytes that a session sent, or NULL. */
Berm__Wire__PlannerOrder *planner_order_read(const uint8_t *bytes, size_t length) must_check;

/* The answer in bytes that may be anything: walked before anything is allocated, as it is written,
 * and with nothing in it that would change how a terminal shows it. -EPROTO, err says what is
 * wrong. Release with berm__wire__planner_answer__free_unpacked(). */
int planner_answer_read(const uint8_t *bytes, size_t length, Berm__Wire__PlannerAnswer **ret_answer,
	struct error *err) must_check;

/* Put a tree into an answer, which is released as ever. -ENOMEM. */
int planner_nodes_put(const struct node *root, Berm__Wire__PlannerAnswer *answer) must_check;
/* The tree of an answer that was read, or NULL where it has none: as document_parse() would have
 * made it, within its bounds. `name` is that of the file (struct source.file). -EPROTO, -ENOMEM. */
int planner_nodes_take(const Berm__Wire__PlannerAnswer *answer, struct arena *arena,
	const char *name, struct node **ret_root, struct error *err) must_check;
