/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "base/text.h"
#include "policy/profile.h"
#include "record/export.h"

/* One place that records are sent to. Nothing here waits: what the place does not take is kept up
 * to a bound, then counted, and the count is told in its place as a Loss record. */

#define SINK_WAITING_MAX (1U << 20) /* bytes that wait for the place */
#define SINK_JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SINK_SYSLOG_SOCKET "/dev/log"
#define SINK_FILES_OLD 4 /* PATH.1, the newest, to PATH.4, beside a file that has max_bytes */
#define SINK_BACKOFF_MAX_MS 60000 /* between two starts of a program */

/* All copied. */
struct sink_target {
	enum sink_type type;
	enum sink_format format;
	const char *path;           /* SINK_FILE; for sockets NULL is the usual one */
	const char *const *command; /* SINK_EXEC: NULL-terminated, an absolute path first */
	uint64_t max_bytes;         /* SINK_FILE: begun anew before it is larger; 0: never */
};

struct sink;

int sink_create(
	const struct sink_target *target, struct sink **ret_sink, struct error *err) must_check;
/* What still waits is dropped. NULL is fine. */
void sink_destroy(struct sink *sink);
/* Open what can be opened beforehand, for a process that later cannot. */
void sink_prepare(struct sink *sink);
/* The path of a SINK_FILE, the command of a SINK_EXEC; NULL for others. Borrowed. */
const char *sink_file(const struct sink *sink);
char *const *sink_command(const struct sink *sink);
/* Who starts its program (daemon/starter.h): fd is borrowed. Before, a SINK_EXEC sends nothing. */
void sink_set_starter(struct sink *sink, int fd, uint32_t number);
/* Queue the record and send what can be sent. now_ms: a clock that never goes back. */
void sink_give(struct sink *sink, const Berm__Wire__Record *record,
	const struct export_place *place, uint64_t now_ms);
/* Try again: to be called now and then. */
void sink_turn(struct sink *sink, uint64_t now_ms);
/* Bytes that wait; records that were never sent, and were not declared yet. */
size_t sink_waiting(const struct sink *sink);
uint64_t sink_lost(const struct sink *sink);

/* sink-order.c: have the program of that number started, with its standard input (borrowed); and
 * take such an order, with a descriptor (-1: none came). -EPIPE where nobody is left. */
int sink_order_send(int fd, uint32_t number, int input) must_check;
int sink_order_receive(int fd, uint32_t *ret_number, int *ret_input) must_check;

/* sink-message.c: the record as that place takes it, without a line feed for datagrams. */
void sink_message(const struct sink_target *target, const Berm__Wire__Record *record,
	const struct export_place *place, struct text *out);
